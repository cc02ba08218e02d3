-- Which operation may write to an account. No part of the ledger: it need not survive a crash of the server, and is
-- not waited for to be on disk (PostgreSQL, CREATE TABLE, UNLOGGED).
CREATE UNLOGGED TABLE claims (
    object_guid  bytea  PRIMARY KEY,
    operation_id uuid   NOT NULL,
    at           bigint NOT NULL
);
