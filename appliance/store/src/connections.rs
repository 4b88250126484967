//! How participants' connections were: one row for each presence in a lesson, for some weeks.

use belfry_model::{DistrictId, Identity, LessonId, PersonId, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::Error;
use crate::people::word;
use crate::writer::Store;

/// Rows that one page is made from; a school of thousands makes fewer in a week.
const USES_MAX: u32 = 100_000;
/// Presences of one participant that are shown.
const PRESENCES_MAX: u32 = 100;
/// Presences that are deleted at a time, so that nobody waits long behind it.
const FORGOTTEN_AT_ONCE_MAX: u32 = 2_000;

/// The ways that media can take; the words that the schema knows.
const WAYS: [&str; 5] = ["udp", "turn_udp", "ice_tcp", "turn_tcp", "turn_tls"];

/// How long each kind of trouble lasted, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    pub lossy_ms: i64,
    pub slow_ms: i64,
    pub device_ms: i64,
    pub away_ms: i64,
}

/// A way that media took, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWay {
    pub subnet: String,
    pub way: &'static str,
    pub used_ms: i64,
}

/// What is kept of a presence that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPresence {
    pub lesson: LessonId,
    pub identity: Identity,
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
    pub device: Option<String>,
    pub ways: Vec<KeptWay>,
    pub troubles: Troubles,
    /// JSON of whoever made it.
    pub timeline: String,
}

/// One participant in one network on one way, all presences together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayUse {
    pub subnet: String,
    pub way: &'static str,
    pub identity: Identity,
    pub present_ms: i64,
    pub troubles: Troubles,
}

impl Store {
    /// Keeps presences, all or nothing. Those of a lesson that is gone are left out, and those of
    /// an account that is gone; returns how many were kept.
    pub async fn keep_presences(&self, presences: Vec<KeptPresence>) -> Result<usize, Error> {
        self.write(move |tx| {
            let mut count = 0;
            for presence in &presences {
                count += usize::from(keep(tx, presence)?);
            }
            Ok(count)
        })
        .await
    }

    /// Who used which way in which network since a time.
    pub async fn way_uses(&self, school: SchoolId, since: Timestamp) -> Result<Vec<WayUse>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("read the ways of connections");
            let mut statement = tx
                .prepare_cached(
                    "SELECT subnet, way, identity, sum(ended_at - began_at), sum(lossy_ms),
                            sum(slow_ms), sum(device_ms), sum(away_ms)
                     FROM presence JOIN presence_way ON presence_id = presence.id
                     WHERE school_id = ?1 AND ended_at >= ?2
                     GROUP BY subnet, way, identity LIMIT ?3",
                )
                .map_err(&failed)?;
            let rows = statement
                .query_map(params![school.0, since.0, USES_MAX], way_use)
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    /// The presences of a participant, the newest first.
    pub async fn presences_of(
        &self,
        school: SchoolId,
        identity: Identity,
    ) -> Result<Vec<KeptPresence>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("read the connections of a participant");
            let mut statement = tx
                .prepare_cached(
                    "SELECT id, lesson_id, identity, began_at, ended_at, device, lossy_ms, slow_ms,
                            device_ms, away_ms, timeline
                     FROM presence WHERE school_id = ?1 AND identity = ?2
                     ORDER BY ended_at DESC, id DESC LIMIT ?3",
                )
                .map_err(&failed)?;
            let rows = statement
                .query_map(params![school.0, identity.as_str(), PRESENCES_MAX], presence)
                .map_err(&failed)?;
            let mut found: Vec<(i64, KeptPresence)> =
                rows.collect::<Result<_, _>>().map_err(&failed)?;
            for (id, presence) in &mut found {
                presence.ways = ways_of(tx, *id)?;
            }
            Ok(found.into_iter().map(|(_, presence)| presence).collect())
        })
        .await
    }

    /// Deletes what ended before a time, a bounded number at once; returns how many.
    pub async fn forget_presences(
        &self,
        district: DistrictId,
        before: Timestamp,
    ) -> Result<usize, Error> {
        self.write(move |tx| {
            tx.execute(
                "DELETE FROM presence WHERE id IN (
                     SELECT id FROM presence WHERE district_id = ?1 AND ended_at < ?2 LIMIT ?3)",
                params![district.0, before.0, FORGOTTEN_AT_ONCE_MAX],
            )
            .map_err(Error::doing("delete old connections"))
        })
        .await
    }
}

/// The account of a participant that has one.
fn person_of(identity: &Identity) -> Option<PersonId> {
    identity.as_str().strip_prefix('p')?.parse().ok().map(PersonId)
}

fn keep(tx: &Transaction<'_>, presence: &KeptPresence) -> Result<bool, Error> {
    let failed = Error::doing("keep a connection");
    let person = person_of(&presence.identity);
    if let Some(person) = person {
        let there = tx
            .prepare_cached("SELECT 1 FROM person WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([person.0], |_| Ok(())).optional())
            .map_err(&failed)?;
        if there.is_none() {
            return Ok(false);
        }
    }
    let Troubles { lossy_ms, slow_ms, device_ms, away_ms } = presence.troubles;
    let kept = tx
        .prepare_cached(
            "INSERT INTO presence (district_id, school_id, lesson_id, person_id, identity, began_at,
                                   ended_at, device, lossy_ms, slow_ms, device_ms, away_ms, timeline)
             SELECT district_id, school_id, id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
             FROM lesson WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                presence.lesson.0,
                person.map(|person| person.0),
                presence.identity.as_str(),
                presence.began_at.0,
                presence.ended_at.0,
                presence.device,
                lossy_ms,
                slow_ms,
                device_ms,
                away_ms,
                presence.timeline,
            ])
        })
        .map_err(&failed)?;
    if kept == 0 {
        return Ok(false);
    }
    let id = tx.last_insert_rowid();
    for KeptWay { subnet, way, used_ms } in &presence.ways {
        tx.prepare_cached(
            "INSERT INTO presence_way (presence_id, subnet, way, used_ms) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut statement| statement.execute(params![id, subnet, way, used_ms]))
        .map_err(&failed)?;
    }
    Ok(true)
}

fn ways_of(tx: &Transaction<'_>, presence: i64) -> Result<Vec<KeptWay>, Error> {
    let failed = Error::doing("read the ways of a connection");
    let mut statement = tx
        .prepare_cached(
            "SELECT subnet, way, used_ms FROM presence_way WHERE presence_id = ?1
             ORDER BY used_ms DESC",
        )
        .map_err(&failed)?;
    let rows = statement
        .query_map([presence], |row| {
            Ok(KeptWay { subnet: row.get(0)?, way: way(row, 1)?, used_ms: row.get(2)? })
        })
        .map_err(&failed)?;
    rows.collect::<Result<_, _>>().map_err(&failed)
}

fn way(row: &Row<'_>, column: usize) -> rusqlite::Result<&'static str> {
    word(row, column, |text| WAYS.into_iter().find(|way| *way == text))
}

fn way_use(row: &Row<'_>) -> rusqlite::Result<WayUse> {
    Ok(WayUse {
        subnet: row.get(0)?,
        way: way(row, 1)?,
        identity: Identity::from(row.get::<_, String>(2)?),
        present_ms: row.get(3)?,
        troubles: troubles(row, 4)?,
    })
}

/// Four columns from `first` on.
fn troubles(row: &Row<'_>, first: usize) -> rusqlite::Result<Troubles> {
    Ok(Troubles {
        lossy_ms: row.get(first)?,
        slow_ms: row.get(first + 1)?,
        device_ms: row.get(first + 2)?,
        away_ms: row.get(first + 3)?,
    })
}

fn presence(row: &Row<'_>) -> rusqlite::Result<(i64, KeptPresence)> {
    let presence = KeptPresence {
        lesson: LessonId(row.get(1)?),
        identity: Identity::from(row.get::<_, String>(2)?),
        began_at: Timestamp(row.get(3)?),
        ended_at: Timestamp(row.get(4)?),
        device: row.get(5)?,
        ways: Vec::new(),
        troubles: troubles(row, 6)?,
        timeline: row.get(10)?,
    };
    Ok((row.get(0)?, presence))
}

#[cfg(test)]
mod tests {
    use belfry_model::{LessonId, PersonId, Pii, Role, SchoolId};

    use super::{KeptPresence, KeptWay, Troubles};
    use crate::error::Error;
    use crate::people::tests::somebody;
    use crate::schools::tests::{NOW, one_school};
    use crate::{Band, NewLesson, Store};

    const MINUTE_MS: i64 = 60_000;

    async fn lesson() -> (tempfile::TempDir, Store, SchoolId, LessonId, PersonId) {
        let (dir, store, school) = one_school().await;
        let who = store.create_person(somebody(school, "lee", Role::Teacher), NOW).await.unwrap();
        let new = NewLesson {
            school,
            class: None,
            name: "Parents".to_owned(),
            band: Band::K5,
            started_by: who,
            guest_code: Pii::new("code".to_owned()),
        };
        let (lesson, _) = store.start_lesson(new, NOW).await.unwrap();
        (dir, store, school, lesson.id, who)
    }

    fn presence(lesson: LessonId, identity: &str, way: &'static str) -> KeptPresence {
        KeptPresence {
            lesson,
            identity: identity.into(),
            began_at: NOW,
            ended_at: NOW.plus_ms(MINUTE_MS),
            device: Some("firefox 153, windows".to_owned()),
            ways: vec![KeptWay { subnet: "10.4.7.0/24".to_owned(), way, used_ms: MINUTE_MS }],
            troubles: Troubles { lossy_ms: 10_000, ..Troubles::default() },
            timeline: "[]".to_owned(),
        }
    }

    #[tokio::test]
    async fn presences_are_kept_with_their_ways_and_read_back() {
        let (_dir, store, school, lesson, who) = lesson().await;
        let me = format!("p{who}");
        let kept = vec![
            presence(lesson, &me, "udp"),
            presence(lesson, "gabc", "turn_tls"),
            presence(lesson, "p999", "udp"),
            presence(LessonId(999), "gdef", "udp"),
        ];
        assert_eq!(store.keep_presences(kept.clone()).await.unwrap(), 2, "two have nobody");
        let read = store.presences_of(school, me.as_str().into()).await.unwrap();
        assert_eq!(read, kept[..1]);
        assert_eq!(store.presences_of(SchoolId(99), "gabc".into()).await.unwrap(), []);
        let uses = store.way_uses(school, NOW).await.unwrap();
        let told: Vec<_> = uses.iter().map(|used| (used.way, used.identity.as_str())).collect();
        assert_eq!(told, [("turn_tls", "gabc"), ("udp", me.as_str())]);
        assert_eq!((uses[0].present_ms, uses[0].troubles.lossy_ms), (MINUTE_MS, 10_000));
        let later = NOW.plus_ms(2 * MINUTE_MS);
        assert!(store.way_uses(school, later).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_old_goes_and_what_belongs_to_an_account_goes_with_it() {
        let (_dir, store, school, lesson, who) = lesson().await;
        let district = store.district().await.unwrap().unwrap().id;
        let me = format!("p{who}");
        let kept = vec![presence(lesson, &me, "udp"), presence(lesson, "gabc", "udp")];
        store.keep_presences(kept).await.unwrap();
        assert_eq!(store.forget_presences(district, NOW).await.unwrap(), 0);
        store
            .write(move |tx| {
                tx.execute("DELETE FROM person WHERE id = ?1", [who.0])
                    .map_err(Error::doing("delete a person"))
            })
            .await
            .unwrap();
        assert_eq!(store.presences_of(school, me.as_str().into()).await.unwrap(), []);
        let later = NOW.plus_ms(2 * MINUTE_MS);
        assert_eq!(store.forget_presences(district, later).await.unwrap(), 1, "the guest's");
        assert!(store.way_uses(school, NOW).await.unwrap().is_empty());
    }
}
