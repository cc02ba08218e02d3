-- The ledger. Times are microseconds since the Unix epoch, by this database's clock.

-- Append-only: the service's role may read and insert, nothing else.
CREATE TABLE entries (
    sequence     bigint PRIMARY KEY,
    at           bigint NOT NULL,
    kind         text   NOT NULL,
    operation_id uuid,
    content      text   NOT NULL,
    previous     bytea  NOT NULL,
    hash         bytea  NOT NULL
);
CREATE INDEX entries_of_operation ON entries (operation_id, sequence) WHERE operation_id IS NOT NULL;

-- One row. Whoever appends holds its lock, so replicas append one after the other.
CREATE TABLE head (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence   bigint NOT NULL,
    at         bigint NOT NULL,
    hash       bytea  NOT NULL,
    public_key bytea  NOT NULL,
    signature  bytea  NOT NULL
);
INSERT INTO head (sequence, at, hash, public_key, signature)
VALUES (0, 0, decode(repeat('00', 32), 'hex'), '', '');

CREATE TABLE settings (
    one                  boolean PRIMARY KEY DEFAULT true CHECK (one),
    writeback            boolean NOT NULL,
    unlock_without_reset boolean NOT NULL,
    changed_at           bigint  NOT NULL,
    changed_by           text    NOT NULL
);
INSERT INTO settings (writeback, unlock_without_reset, changed_at, changed_by)
VALUES (true, true, 0, '');

-- What the entries say of each operation, ready to ask. Everything here follows from the entries.
CREATE TABLE operations (
    id             uuid    PRIMARY KEY,
    event_source   text    NOT NULL,
    event_id       text    NOT NULL,
    content_digest bytea   NOT NULL,
    person_keys    text[]  NOT NULL,
    admitted_at    bigint  NOT NULL,
    deadline       bigint  NOT NULL,
    counted        boolean NOT NULL,
    admission      text    NOT NULL,
    status         text    NOT NULL,
    outcome        text,
    completed_at   bigint  NOT NULL,
    forest         text,
    domain         text,
    object_guid    bytea,
    steps          text    NOT NULL,
    step_count     integer NOT NULL,
    write          text,
    UNIQUE (event_source, event_id)
);
CREATE UNIQUE INDEX operations_by_admission ON operations (admitted_at);
CREATE INDEX operations_by_forest ON operations (forest, admitted_at);
CREATE INDEX operations_by_object ON operations (object_guid, admitted_at);
CREATE INDEX operations_by_person ON operations USING gin (person_keys);
CREATE INDEX operations_pending_by_person ON operations USING gin (person_keys) WHERE status = 'pending';
CREATE INDEX operations_pending_by_deadline ON operations (deadline) WHERE status = 'pending';
