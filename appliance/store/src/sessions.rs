//! Signed-in sessions, by the hash of their token only, and the sign-in throttle.

use belfry_model::{DistrictId, Identity, LessonId, PersonId, Pii, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::Error;
use crate::people::{Person, person_in};
use crate::writer::Store;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Person(PersonId),
    /// Without an account, in one lesson.
    Guest {
        lesson: LessonId,
        identity: Identity,
        name: Pii<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    pub holder: Holder,
    pub district: DistrictId,
    pub school: SchoolId,
    pub created_at: Timestamp,
    /// Kept to a minute or so: not every request is a write.
    pub seen_at: Timestamp,
    /// The absolute end.
    pub expires_at: Timestamp,
    /// When the password was last typed.
    pub stepped_up_at: Option<Timestamp>,
}

/// What is known about failed sign-ins of one account or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ThrottleRow {
    pub failures: i64,
    pub last_failed_at: Timestamp,
    pub blocked_until: Timestamp,
}

impl Store {
    pub async fn create_session(&self, session: SessionRow) -> Result<(), Error> {
        self.write(move |tx| insert(tx, &session)).await
    }

    /// `false`: the lesson has `count_max` guests already. One step, so that guests who come at the
    /// same moment count each other.
    pub async fn create_guest_session(
        &self,
        lesson: LessonId,
        session: SessionRow,
        count_max: u64,
    ) -> Result<bool, Error> {
        self.write(move |tx| {
            let count: i64 = tx
                .query_row("SELECT count(*) FROM session WHERE lesson_id = ?1", [lesson.0], |row| {
                    row.get(0)
                })
                .map_err(Error::doing("count the guests of a lesson"))?;
            if count.cast_unsigned() >= count_max {
                return Ok(false);
            }
            insert(tx, &session).map(|()| true)
        })
        .await
    }

    /// A session with its person, who is absent for a guest.
    pub async fn session(
        &self,
        token_hash: [u8; 32],
    ) -> Result<Option<(SessionRow, Option<Person>)>, Error> {
        self.read(move |tx| {
            let found = tx
                .prepare_cached(
                    "SELECT token_hash, person_id, lesson_id, guest_identity, guest_name, school_id,
                            created_at, seen_at, expires_at, stepped_up_at, district_id
                     FROM session WHERE token_hash = ?1",
                )
                .and_then(|mut statement| statement.query_row([token_hash], session).optional())
                .map_err(Error::doing("read a session"))?;
            let Some(row) = found else { return Ok(None) };
            let person = match row.holder {
                Holder::Person(id) => person_in(tx, id)?,
                Holder::Guest { .. } => None,
            };
            Ok(Some((row, person)))
        })
        .await
    }

    pub async fn touch_session(&self, token_hash: [u8; 32], now: Timestamp) -> Result<(), Error> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE session SET seen_at = ?2 WHERE token_hash = ?1",
                params![token_hash, now.0],
            )
            .map(drop)
            .map_err(Error::doing("touch a session"))
        })
        .await
    }

    /// The session goes on under another token; `false` if it is gone.
    pub async fn rotate_session(
        &self,
        old_hash: [u8; 32],
        new_hash: [u8; 32],
        stepped_up_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE session SET token_hash = ?2, stepped_up_at = ?3, seen_at = ?4 WHERE token_hash = ?1",
                params![old_hash, new_hash, stepped_up_at.map(|at| at.0), now.0],
            )
            .map(|count| count > 0)
            .map_err(Error::doing("rotate a session"))
        })
        .await
    }

    /// `false` if there was none.
    pub async fn end_session(&self, token_hash: [u8; 32]) -> Result<bool, Error> {
        self.write(move |tx| {
            tx.execute("DELETE FROM session WHERE token_hash = ?1", [token_hash])
                .map(|count| count > 0)
                .map_err(Error::doing("end a session"))
        })
        .await
    }

    /// Ends every session of a person; how many there were.
    pub async fn end_sessions_of(&self, person: PersonId) -> Result<u64, Error> {
        self.write(move |tx| end_all(tx, person)).await
    }

    /// Ends every guest's session of a lesson; how many there were.
    pub async fn end_guest_sessions(&self, lesson: LessonId) -> Result<u64, Error> {
        self.write(move |tx| {
            tx.execute("DELETE FROM session WHERE lesson_id = ?1", [lesson.0])
                .map(|count| count as u64)
                .map_err(Error::doing("end the guests' sessions"))
        })
        .await
    }

    /// Removes sessions past their absolute end, those of guests whose lesson has ended, and throttle
    /// rows last touched before `stale`.
    pub async fn sweep_sessions(&self, now: Timestamp, stale: Timestamp) -> Result<u64, Error> {
        self.write(move |tx| {
            let failed = Error::doing("sweep the sessions");
            let ended = tx
                .execute(
                    "DELETE FROM session WHERE expires_at <= ?1 OR lesson_id IN
                        (SELECT id FROM lesson WHERE ended_at IS NOT NULL)",
                    [now.0],
                )
                .map_err(&failed)?;
            tx.execute(
                "DELETE FROM throttle WHERE last_failed_at < ?1 AND blocked_until < ?2",
                params![stale.0, now.0],
            )
            .map_err(&failed)?;
            Ok(ended as u64)
        })
        .await
    }

    /// Reads the rows of `subjects` (in that order), lets `decide` change them and writes them
    /// back, all in one step, so that attempts at the same moment count each other.
    pub async fn throttle<T: Send + 'static>(
        &self,
        subjects: Vec<[u8; 32]>,
        decide: impl FnOnce(&mut [ThrottleRow]) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.write(move |tx| {
            let before =
                subjects.iter().map(|s| throttle_row(tx, s)).collect::<Result<Vec<_>, _>>()?;
            let mut after = before.clone();
            let decided = decide(&mut after);
            for ((subject, was), row) in subjects.iter().zip(&before).zip(&after) {
                if was != row {
                    put_throttle(tx, subject, row)?;
                }
            }
            Ok(decided)
        })
        .await
    }
}

pub(crate) fn end_all(tx: &Transaction<'_>, person: PersonId) -> Result<u64, Error> {
    tx.execute("DELETE FROM session WHERE person_id = ?1", [person.0])
        .map(|count| count as u64)
        .map_err(Error::doing("end the sessions of a person"))
}

fn insert(tx: &Transaction<'_>, session: &SessionRow) -> Result<(), Error> {
    let (person, lesson, identity, name) = match &session.holder {
        Holder::Person(id) => (Some(id.0), None, None, None),
        Holder::Guest { lesson, identity, name } => {
            (None, Some(lesson.0), Some(identity.as_str()), Some(name.reveal().as_str()))
        }
    };
    tx.prepare_cached(
        "INSERT INTO session (token_hash, district_id, school_id, person_id, lesson_id, guest_identity,
                              guest_name, created_at, seen_at, expires_at, stepped_up_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            session.token_hash,
            session.district.0,
            session.school.0,
            person,
            lesson,
            identity,
            name,
            session.created_at.0,
            session.seen_at.0,
            session.expires_at.0,
            session.stepped_up_at.map(|at| at.0),
        ])
    })
    .map(drop)
    .map_err(Error::doing_with("create a session", "a session"))
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let holder = match row.get::<_, Option<i64>>(1)? {
        Some(person) => Holder::Person(PersonId(person)),
        None => Holder::Guest {
            lesson: LessonId(row.get(2)?),
            identity: Identity::new(row.get::<_, String>(3)?),
            name: Pii::new(row.get(4)?),
        },
    };
    Ok(SessionRow {
        token_hash: row.get(0)?,
        holder,
        district: DistrictId(row.get(10)?),
        school: SchoolId(row.get(5)?),
        created_at: Timestamp(row.get(6)?),
        seen_at: Timestamp(row.get(7)?),
        expires_at: Timestamp(row.get(8)?),
        stepped_up_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
    })
}

fn throttle_row(tx: &Transaction<'_>, subject: &[u8; 32]) -> Result<ThrottleRow, Error> {
    tx.prepare_cached(
        "SELECT failures, last_failed_at, blocked_until FROM throttle WHERE subject = ?1",
    )
    .and_then(|mut statement| {
        statement
            .query_row([subject], |row| {
                Ok(ThrottleRow {
                    failures: row.get(0)?,
                    last_failed_at: Timestamp(row.get(1)?),
                    blocked_until: Timestamp(row.get(2)?),
                })
            })
            .optional()
    })
    .map(Option::unwrap_or_default)
    .map_err(Error::doing("read the sign-in throttle"))
}

fn put_throttle(tx: &Transaction<'_>, subject: &[u8; 32], row: &ThrottleRow) -> Result<(), Error> {
    let failed = Error::doing("write the sign-in throttle");
    if *row == ThrottleRow::default() {
        return tx
            .execute("DELETE FROM throttle WHERE subject = ?1", [subject])
            .map(drop)
            .map_err(failed);
    }
    tx.execute(
        "INSERT INTO throttle (subject, failures, last_failed_at, blocked_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (subject) DO UPDATE SET failures = ?2, last_failed_at = ?3, blocked_until = ?4",
        params![subject, row.failures, row.last_failed_at.0, row.blocked_until.0],
    )
    .map(drop)
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use belfry_model::{Identity, LessonId, Pii};

    use super::{Holder, SessionRow};
    use crate::schools::tests::{NOW, one_school};

    #[tokio::test]
    async fn the_sweep_takes_the_guests_of_lessons_that_have_ended() {
        let (_dir, store, school) = one_school().await;
        let teacher = crate::people::tests::somebody(school, "lee", belfry_model::Role::Teacher);
        let new = crate::NewLesson {
            school,
            class: None,
            name: "Open day".to_owned(),
            band: crate::Band::K5,
            started_by: store.create_person(teacher, NOW).await.unwrap(),
            guest_code: Pii::new("code".to_owned()),
        };
        let lesson = store.start_lesson(new, NOW).await.unwrap().0;
        let guest = SessionRow {
            token_hash: [1; 32],
            holder: Holder::Guest {
                lesson: lesson.id,
                identity: Identity::new("g1"),
                name: Pii::new("Joe".to_owned()),
            },
            district: lesson.district,
            school,
            created_at: NOW,
            seen_at: NOW,
            expires_at: NOW.plus_ms(60_000),
            stepped_up_at: None,
        };
        let create = |token: u8| {
            let session = SessionRow { token_hash: [token; 32], ..guest.clone() };
            store.create_guest_session(lesson.id, session, 2)
        };
        assert!(create(1).await.unwrap() && create(2).await.unwrap());
        assert!(!create(3).await.unwrap(), "two is the limit");
        assert_eq!(store.sweep_sessions(NOW, NOW).await.unwrap(), 0);
        let ended = crate::LessonChanges { ended: true, ..Default::default() };
        store.keep_lesson(lesson.id, ended, NOW).await.unwrap();
        assert_eq!(store.sweep_sessions(NOW, NOW).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_guest_has_a_session_without_an_account() {
        let (_dir, store, school) = one_school().await;
        let guest = SessionRow {
            token_hash: [5; 32],
            holder: Holder::Guest {
                lesson: LessonId(3),
                identity: Identity::from("gabc"),
                name: Pii::new("Grandma".to_owned()),
            },
            district: belfry_model::DistrictId(1),
            school,
            created_at: NOW,
            seen_at: NOW,
            expires_at: NOW.plus_ms(10),
            stepped_up_at: None,
        };
        store.create_session(guest.clone()).await.unwrap();
        assert_eq!(store.session([5; 32]).await.unwrap(), Some((guest, None)));
        assert!(store.rotate_session([5; 32], [6; 32], None, NOW).await.unwrap());
        assert!(store.session([5; 32]).await.unwrap().is_none());
        assert_eq!(store.sweep_sessions(NOW.plus_ms(9), NOW).await.unwrap(), 0);
        assert_eq!(store.sweep_sessions(NOW.plus_ms(10), NOW).await.unwrap(), 1);
        assert!(!store.end_session([6; 32]).await.unwrap());
    }

    #[tokio::test]
    async fn attempts_at_the_same_moment_count_each_other() {
        let (_dir, store, _) = one_school().await;
        let count = |store: crate::Store| async move {
            store
                .throttle(vec![[1; 32]], |rows| {
                    rows[0].failures += 1;
                    rows[0].last_failed_at = NOW;
                    rows[0].failures
                })
                .await
                .unwrap()
        };
        let mut seen = Vec::new();
        let attempts: Vec<_> = (0..20).map(|_| tokio::spawn(count(store.clone()))).collect();
        for attempt in attempts {
            seen.push(attempt.await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
        assert_eq!(count(store).await, 21);
    }
}
