-- One more role. A CHECK cannot be changed, so the table is made anew; nothing that refers to it changes.
CREATE TABLE person_new (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    district_id   INTEGER NOT NULL,
    school_id     INTEGER NOT NULL,
    -- Lower case; identity normalises it.
    username      TEXT NOT NULL,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'auditor', 'teacher', 'student')),
    password_hash TEXT NOT NULL,
    must_change   INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    UNIQUE (district_id, username),
    UNIQUE (id, school_id),
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id)
) STRICT;

INSERT INTO person_new (id, district_id, school_id, username, name, role, password_hash, must_change, disabled, created_at, changed_at)
    SELECT id, district_id, school_id, username, name, role, password_hash, must_change, disabled, created_at, changed_at FROM person;

-- A number is never given twice, also that of somebody who is not there any more.
DELETE FROM sqlite_sequence WHERE name = 'person_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'person_new', seq FROM sqlite_sequence WHERE name = 'person';

DROP TABLE person;
ALTER TABLE person_new RENAME TO person;
CREATE INDEX person_by_name ON person (school_id, name);
