CREATE TABLE class (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    district_id INTEGER NOT NULL,
    school_id   INTEGER NOT NULL,
    name        TEXT NOT NULL,
    band        TEXT NOT NULL CHECK (band IN ('k5', '6-12')),
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    UNIQUE (school_id, name),
    UNIQUE (id, school_id),
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id)
) STRICT;

CREATE TABLE enrolment (
    class_id    INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    school_id   INTEGER NOT NULL,
    enrolled_as TEXT NOT NULL CHECK (enrolled_as IN ('teacher', 'student')),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (class_id, person_id),
    -- Both ends are of the same school.
    FOREIGN KEY (class_id, school_id) REFERENCES class (id, school_id) ON DELETE CASCADE,
    FOREIGN KEY (person_id, school_id) REFERENCES person (id, school_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX enrolment_by_person ON enrolment (person_id);

CREATE TABLE slot (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    class_id      INTEGER NOT NULL REFERENCES class (id) ON DELETE CASCADE,
    -- Every week on this day (1 = Monday ... 7 = Sunday), or once on this day (days since 1970-01-01).
    weekday       INTEGER CHECK (weekday BETWEEN 1 AND 7),
    day           INTEGER,
    -- Minutes since local midnight.
    starts_minute INTEGER NOT NULL CHECK (starts_minute BETWEEN 0 AND 1439),
    ends_minute   INTEGER NOT NULL CHECK (ends_minute BETWEEN 1 AND 1440),
    CHECK ((weekday IS NULL) <> (day IS NULL)),
    CHECK (starts_minute < ends_minute)
) STRICT;

CREATE INDEX slot_by_class ON slot (class_id);
