#!/bin/bash
# As the official image, as far as docker-compose.yml uses it: initialises an empty volume, runs the scripts of
# /docker-entrypoint-initdb.d against a server that only this container reaches, and becomes the server.
set -eu
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
[ "$1" = postgres ] || exec "$@"
export POSTGRES_USER=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding UTF8 --locale C.UTF-8 --pgdata "$PGDATA"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ ! -f "$script" ] || bash "$script"
    done
    pg_ctl -D "$PGDATA" -w -m fast stop
fi
shift
exec postgres -c 'listen_addresses=*' "$@"
