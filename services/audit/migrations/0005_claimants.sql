-- Which delivery of the operation has the account: one operation may be in its forest's queue several times. Absent where
-- the writer did not say.
ALTER TABLE claims ADD COLUMN claimant uuid;
