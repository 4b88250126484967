-- How somebody's connection was in one lesson, from joining to leaving. No address: its network only.
CREATE TABLE presence (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    district_id INTEGER NOT NULL,
    school_id   INTEGER NOT NULL,
    lesson_id   INTEGER NOT NULL REFERENCES lesson (id) ON DELETE CASCADE,
    -- Goes with the account; absent for guests.
    person_id   INTEGER REFERENCES person (id) ON DELETE CASCADE,
    identity    TEXT NOT NULL,
    began_at    INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    -- Families and versions of browser and system; absent for clients that do not report.
    device      TEXT,
    -- How long each kind of trouble lasted, in milliseconds.
    lossy_ms    INTEGER NOT NULL CHECK (lossy_ms >= 0),
    slow_ms     INTEGER NOT NULL CHECK (slow_ms >= 0),
    device_ms   INTEGER NOT NULL CHECK (device_ms >= 0),
    away_ms     INTEGER NOT NULL CHECK (away_ms >= 0),
    -- Intervals with their causes, JSON of the ops crate.
    timeline    TEXT NOT NULL,
    FOREIGN KEY (school_id, district_id) REFERENCES school (id, district_id),
    CHECK (ended_at >= began_at)
) STRICT;

CREATE INDEX presence_by_end ON presence (school_id, ended_at);
CREATE INDEX presence_by_identity ON presence (school_id, identity, ended_at);
CREATE INDEX presence_by_age ON presence (district_id, ended_at);
CREATE INDEX presence_by_person ON presence (person_id);
CREATE INDEX presence_by_lesson ON presence (lesson_id);

-- The ways that its media took, and from which network.
CREATE TABLE presence_way (
    presence_id INTEGER NOT NULL REFERENCES presence (id) ON DELETE CASCADE,
    subnet      TEXT NOT NULL,
    way         TEXT NOT NULL CHECK (way IN ('udp', 'turn_udp', 'ice_tcp', 'turn_tcp', 'turn_tls')),
    -- In milliseconds; of the two connections, the one that used it longer.
    used_ms     INTEGER NOT NULL CHECK (used_ms >= 0),
    PRIMARY KEY (presence_id, subnet, way)
) STRICT, WITHOUT ROWID;
