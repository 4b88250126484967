CREATE TABLE lesson (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    district_id INTEGER NOT NULL,
    school_id   INTEGER NOT NULL,
    -- Absent: held without a class, or the class has been deleted since.
    class_id    INTEGER REFERENCES class (id) ON DELETE SET NULL,
    name        TEXT NOT NULL,
    band        TEXT NOT NULL CHECK (band IN ('k5', '6-12')),
    started_by  INTEGER REFERENCES person (id) ON DELETE SET NULL,
    -- What the guest link holds; it opens nothing but the waiting room.
    guest_code  TEXT NOT NULL UNIQUE,
    -- The rules' state as of the last change, for the next process. Gone when the lesson has ended.
    snapshot    TEXT,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id)
) STRICT;

-- A class has one lesson at a time, however many teachers press Start.
CREATE UNIQUE INDEX lesson_running ON lesson (class_id)
    WHERE ended_at IS NULL AND class_id IS NOT NULL;
CREATE INDEX lesson_unended ON lesson (id) WHERE ended_at IS NULL;
CREATE INDEX lesson_by_starter ON lesson (started_by);

CREATE TABLE chat_message (
    lesson_id  INTEGER NOT NULL REFERENCES lesson (id) ON DELETE CASCADE,
    -- From 1 within the lesson.
    number     INTEGER NOT NULL CHECK (number > 0),
    identity   TEXT NOT NULL,
    name       TEXT NOT NULL,
    text       TEXT NOT NULL,
    sent_to    TEXT NOT NULL CHECK (sent_to IN ('everyone', 'teachers')),
    sent_at    INTEGER NOT NULL,
    -- Deleted by a teacher: shown to nobody, kept as evidence.
    deleted_at INTEGER,
    PRIMARY KEY (lesson_id, number)
) STRICT, WITHOUT ROWID;
