#!/bin/sh
# As the official image: made its own the data, becomes the user, becomes the program.
set -eu
if [ "$(id -u)" -eq 0 ]; then
    find /var/lib/rabbitmq ! -user rabbitmq -exec chown rabbitmq:rabbitmq {} +
    exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups "$0" "$@"
fi
[ "$1" != rabbitmq-server ] || set -- /usr/lib/rabbitmq/bin/rabbitmq-server
exec "$@"
