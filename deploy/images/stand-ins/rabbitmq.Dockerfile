# Stands in for rabbitmq:4-management: Debian's RabbitMQ under the official image's user numbers and paths.
FROM debian:bookworm-slim
RUN groupadd --system --gid 999 rabbitmq \
 && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq \
 && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq /var/log/rabbitmq \
 && mkdir -p /var/lib/rabbitmq /var/log/rabbitmq && chown rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
# the launcher then becomes the node, instead of a shell that hears no signal
ENV HOME=/var/lib/rabbitmq RUNNING_UNDER_SYSTEMD=1
COPY rabbitmq.entry.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
EXPOSE 5671 5672 15672 15692
VOLUME /var/lib/rabbitmq
LABEL dev.writeback.stand-in=true
