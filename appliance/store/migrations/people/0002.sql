-- Accounts that were erased: nothing but the number, which the audit log goes on using.
CREATE TABLE erased (
    person_id   INTEGER PRIMARY KEY,
    district_id INTEGER NOT NULL REFERENCES district (id),
    erased_at   INTEGER NOT NULL,
    -- When the file, its write-ahead log and its copies held no bytes of it any more.
    scrubbed_at INTEGER
) STRICT;
