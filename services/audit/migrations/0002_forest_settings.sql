-- What is turned off in single forests, and why whoever changed the settings last did so.
ALTER TABLE settings
    ADD COLUMN note    text  NOT NULL DEFAULT '',
    ADD COLUMN forests jsonb NOT NULL DEFAULT '{}';
