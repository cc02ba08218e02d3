-- What the last verification of the whole ledger found, for every replica to tell. One row.
CREATE TABLE verification (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Of which moment it speaks; while there was none, since when the ledger waits for the first.
    at       bigint  NOT NULL,
    verified boolean NOT NULL,
    -- What was wrong with the ledger in itself.
    findings bigint  NOT NULL,
    -- Of what is known to have been its end once, how much it does not hold any more.
    missed   bigint  NOT NULL
);
INSERT INTO verification (at, verified, findings, missed)
VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, false, 0, 0);
