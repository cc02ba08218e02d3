#!/bin/bash
# The ledger's database and its two roles, by deploy/postgres. Run once, by the image's entry point, on an empty volume.
set -eu

export OWNER_PASSWORD_FILE=/run/writeback/writeback_owner AUDIT_PASSWORD_FILE=/run/writeback/writeback_audit
for file in roles.sql database.sql; do
    psql --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres --file "/usr/local/share/writeback/$file"
done
