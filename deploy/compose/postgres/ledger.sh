#!/bin/bash
# The ledger's database and its two roles: the owner holds the tables and migrates them; audit connects as a role that may
# do only what the migrations grant. Run once, by the image's entry point, on an empty volume.
set -eu

# the passwords are read by psql itself: a command line is there for every process to read
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set owner `cat /run/writeback/writeback_owner`
\set audit `cat /run/writeback/writeback_audit`
CREATE ROLE writeback_owner LOGIN PASSWORD :'owner';
CREATE ROLE writeback_audit LOGIN PASSWORD :'audit';
CREATE DATABASE writeback OWNER writeback_owner;
REVOKE ALL ON DATABASE writeback FROM PUBLIC;
GRANT CONNECT ON DATABASE writeback TO writeback_audit;
SQL
