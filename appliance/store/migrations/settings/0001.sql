CREATE TABLE setting (
    district_id INTEGER NOT NULL REFERENCES district (id),
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    changed_at  INTEGER NOT NULL,
    changed_by  INTEGER,
    PRIMARY KEY (district_id, key)
) STRICT, WITHOUT ROWID;
