#!/bin/sh
# Makes what a composed Writeback starts from: keys, certificates, passwords, the broker's users. Each file goes into the
# volume of the one that needs it, mounted here at /to/<name>, readable by that one's user number and no other.
#
# What is there is kept: the script can run before every start. Certificates are renewed 30 days before they end.
#
#   FORESTS   "<id>:<domain> …": sealing keys for each, and its lab domain controller's certificate and passwords
set -eu
umask 077

here=$(dirname "$0")
own=/to/setup       # authorities and the issuer: whoever has these can sign for everybody
public=/to/public
public_keys=/to/public-keys
operator=/to/operator
product=10001:10001 # the user of our images
third=999:999       # the user of the official images of RabbitMQ and PostgreSQL
issuer=https://login.lab.example
audience=https://writeback.lab.example
operators_audience=https://audit.writeback.lab.example

say() { echo "setup: $*"; }

# shellcheck source=certificates.sh
. "$here/certificates.sh"
# shellcheck source=tokens.sh
. "$here/tokens.sh"

# A password that satisfies Active Directory's complexity rule, made on first use.
password() {
    [ -s "$1" ] || { printf 'aA1-%s' "$(head -c 18 /dev/urandom | base64url)" >"$1.new" && mv "$1.new" "$1"; }
}

# The same secret for a second reader.
share() { cp "$1" "$2"; }

mkdir -p "$own" "$public" "$operator"

say "authority of the platform"
authority "$own/platform" "Writeback compose CA"
cp "$own/platform.pem" "$public/ca.pem"

# A certificate each, also to show who they are when they ask; a password for the broker each.
for service in intake resolver audit; do
    certificate "$own/platform" "/to/$service/service" "$service" localhost 127.0.0.1
    password "/to/$service/broker-password"
done
certificate "$own/platform" /to/rabbitmq/server rabbitmq localhost 127.0.0.1
certificate "$own/platform" /to/postgres/server postgres localhost 127.0.0.1
cp "$public/ca.pem" /to/rabbitmq/ca.pem

say "database: superuser, owner, audit"
password /to/postgres/postgres
for role in writeback_owner writeback_audit; do
    password "/to/postgres/$role"
    share "/to/postgres/$role" "/to/audit/$role"
done
[ -s /to/audit/signing.pem ] || openssl genpkey -algorithm ed25519 -out /to/audit/signing.pem

for entry in $FORESTS; do
    id=${entry%%:*} domain=${entry#*:}
    writer=/to/writer-$id controller=/to/dc-$id keys=/to/$id-keys
    say "forest $id: sealing keys, authority, passwords"
    certificate "$own/platform" "$writer/service" "writer-$id"
    password "$writer/broker-password"
    if ! ls "$keys"/*.pem >/dev/null 2>&1; then
        # the newest last, which senders prefer: it opens in a fraction of the time that RSA takes
        for algorithm in rsa-oaep-256 ecdh-es+a256kw; do
            writebackctl keys generate --forest "$id" --algorithm "$algorithm" \
                --private-keys-directory "$keys" --public-keys-file "$public_keys/jwks.json" >/dev/null
        done
    fi
    authority "$own/$id" "$domain lab CA"
    cp "$own/$id.pem" "$public/$id-ca.pem"
    cp "$own/$id.pem" "$controller/ca.pem"
    certificate "$own/$id" "$controller/server" "dc1.$domain" localhost 127.0.0.1
    for account in administrator people svc-writeback svc-writeback-read; do password "$controller/$account"; done
    share "$controller/svc-writeback" "$writer/$id-svc-writeback"
    share "$controller/svc-writeback-read" "/to/resolver/$id-svc-writeback-read"
    share "$controller/administrator" "$operator/$id-administrator"
    share "$controller/people" "$operator/$id-people"
    chown -R 0:0 "$controller"
    chown -R "$product" "$writer" "$keys"
    chmod 700 "$keys"
done

say "broker: users and their rights"
password "$operator/broker-administrator"
passwords=$(mktemp -d)
for entry in $FORESTS; do ln -s "/to/writer-${entry%%:*}/broker-password" "$passwords/writer-${entry%%:*}"; done
for service in intake resolver audit; do ln -s "/to/$service/broker-password" "$passwords/$service"; done
ln -s "$operator/broker-administrator" "$passwords/administrator"
# shellcheck disable=SC2046 # a word for each forest
"$here/definitions.sh" "$passwords" $(for entry in $FORESTS; do echo "${entry%%:*}"; done) >/to/rabbitmq/definitions.json.new
rm -r "$passwords"
mv /to/rabbitmq/definitions.json.new /to/rabbitmq/definitions.json

say "the lab's issuer: a token with every scope for a caller, and one for the operator, for 30 days"
key_set "$own/issuer" >"$public/issuer.json"
token "$own/issuer" "$audience" "password.reset password.change account.unlock operations.read" >"$operator/token"
token "$own/issuer" "$operators_audience" "ledger.read settings.write keys.write" operator@lab.example \
    >"$operator/operator-token"

chown -R "$product" /to/intake /to/resolver /to/audit "$operator" "$public_keys"
chown -R "$third" /to/rabbitmq /to/postgres
chown -R 0:0 "$own" "$public"
chmod 755 "$public"
chmod 644 "$public"/*
say "done"
