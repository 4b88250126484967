CREATE TABLE district (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE school (
    id          INTEGER PRIMARY KEY,
    district_id INTEGER NOT NULL REFERENCES district (id),
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (district_id, name),
    -- What other tables refer to, so that a record cannot name a school of another district.
    UNIQUE (id, district_id)
) STRICT;
