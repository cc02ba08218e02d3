-- The ledger's two roles, once for a server: the owner holds the tables and migrates them; audit connects as a role that may do
-- only what the migrations grant. Run by psql as a superuser, with the names of the files that have their passwords in
-- OWNER_PASSWORD_FILE and AUDIT_PASSWORD_FILE: a command line is there for every process to read.
\set ON_ERROR_STOP on
\set owner `cat "$OWNER_PASSWORD_FILE"`
\set audit `cat "$AUDIT_PASSWORD_FILE"`
CREATE ROLE writeback_owner LOGIN PASSWORD :'owner';
CREATE ROLE writeback_audit LOGIN PASSWORD :'audit';
