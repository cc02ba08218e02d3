-- The ledger's database, empty: audit makes the tables, or pg_restore does (docs/backup.md). A dump of one database has neither
-- its owner nor who may connect to it, so a restored one begins with this too. Run by psql as a superuser, connected to another.
\set ON_ERROR_STOP on
CREATE DATABASE writeback OWNER writeback_owner;
REVOKE ALL ON DATABASE writeback FROM PUBLIC;
GRANT CONNECT ON DATABASE writeback TO writeback_audit;
