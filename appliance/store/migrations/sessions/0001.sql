CREATE TABLE session (
    -- SHA-256 of the token; the token itself is only in the cookie.
    token_hash    BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    district_id   INTEGER NOT NULL,
    school_id     INTEGER NOT NULL,
    person_id     INTEGER REFERENCES person (id) ON DELETE CASCADE,
    -- A guest: without an account, in one lesson.
    lesson_id      INTEGER,
    guest_identity TEXT,
    guest_name     TEXT,
    created_at    INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    stepped_up_at INTEGER,
    CHECK ((person_id IS NULL) = (lesson_id IS NOT NULL)),
    CHECK ((lesson_id IS NULL) = (guest_identity IS NULL) AND (lesson_id IS NULL) = (guest_name IS NULL)),
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_person ON session (person_id);
CREATE INDEX session_by_lesson ON session (lesson_id);
CREATE INDEX session_by_end ON session (expires_at);

CREATE TABLE throttle (
    -- A keyed hash of the account's user name or of the address.
    subject        BLOB PRIMARY KEY CHECK (length(subject) = 32),
    failures       INTEGER NOT NULL,
    last_failed_at INTEGER NOT NULL,
    blocked_until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttle_by_age ON throttle (last_failed_at);
