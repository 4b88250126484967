CREATE TABLE person (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    district_id   INTEGER NOT NULL,
    school_id     INTEGER NOT NULL,
    -- Lower case; identity normalises it.
    username      TEXT NOT NULL,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'teacher', 'student')),
    password_hash TEXT NOT NULL,
    must_change   INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)),
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    UNIQUE (district_id, username),
    UNIQUE (id, school_id),
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id)
) STRICT;

CREATE INDEX person_by_name ON person (school_id, name);
