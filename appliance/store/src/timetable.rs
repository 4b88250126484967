//! When classes meet: slots that repeat each week, or happen once.

use belfry_model::{ClassId, PersonId, Pii, Timestamp};
use rusqlite::{Row, Transaction, params};

use crate::classes::{self, COLUMNS_COUNT, Class, EnrolledAs, teachers_of};
use crate::error::Error;
use crate::people::word;
use crate::writer::Store;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// One calendar day where the school is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970-01-01, local calendar.
    pub number: i64,
    /// Minutes that local time is ahead of UTC on that day.
    pub utc_offset_minutes: i32,
}

impl Day {
    pub fn at(now: Timestamp, utc_offset_minutes: i32) -> Self {
        let local_ms = now.0.saturating_add(i64::from(utc_offset_minutes) * MINUTE_MS);
        Self { number: local_ms.div_euclid(DAY_MS), utc_offset_minutes }
    }

    /// 1 = Monday ... 7 = Sunday (1970-01-01 was a Thursday).
    pub fn weekday(self) -> u8 {
        (self.number + 3).rem_euclid(7) as u8 + 1
    }

    /// The moment `minute` minutes after local midnight.
    pub fn moment(self, minute: u16) -> Timestamp {
        let minutes = i64::from(minute) - i64::from(self.utc_offset_minutes);
        Timestamp(self.number * DAY_MS + minutes * MINUTE_MS)
    }
}

/// On which day a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotDay {
    /// Every week; 1 = Monday ... 7 = Sunday.
    Weekday(u8),
    /// Once; days since 1970-01-01.
    Once(i64),
}

impl SlotDay {
    /// The weekday and the day, of which the database holds one.
    fn columns(self) -> (Option<u8>, Option<i64>) {
        match self {
            Self::Weekday(weekday) => (Some(weekday), None),
            Self::Once(day) => (None, Some(day)),
        }
    }

    fn weekday(self) -> u8 {
        match self {
            Self::Weekday(weekday) => weekday,
            Self::Once(number) => Day { number, utc_offset_minutes: 0 }.weekday(),
        }
    }

    /// Whether there is a day that both are on.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Once(one), Self::Once(other)) => one == other,
            (one, other) => one.weekday() == other.weekday(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSlot {
    pub day: SlotDay,
    /// Minutes since local midnight.
    pub starts_minute: u16,
    /// At most 1440, after the start.
    pub ends_minute: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub id: i64,
    pub class: ClassId,
    pub day: SlotDay,
    pub starts_minute: u16,
    pub ends_minute: u16,
}

impl NewSlot {
    /// Whether there is a moment that is in both.
    fn meets(&self, other: &Slot) -> bool {
        self.day.meets(other.day)
            && self.starts_minute < other.ends_minute
            && other.starts_minute < self.ends_minute
    }
}

/// A line of somebody's day.
#[derive(Clone, Debug)]
pub struct TimetableEntry {
    pub class: Class,
    pub enrolled_as: EnrolledAs,
    pub teachers: Vec<Pii<String>>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

impl Store {
    /// `false`: the class meets at that time already.
    pub async fn add_slot(&self, class: ClassId, new: NewSlot) -> Result<bool, Error> {
        self.write(move |tx| {
            if slots_in(tx, class)?.iter().any(|slot| new.meets(slot)) {
                return Ok(false);
            }
            insert_slot(tx, class, &new).map(|()| true)
        })
        .await
    }

    /// `false`: the class meets at that time already.
    pub async fn change_slot(&self, class: ClassId, id: i64, new: NewSlot) -> Result<bool, Error> {
        self.write(move |tx| {
            if slots_in(tx, class)?.iter().any(|slot| slot.id != id && new.meets(slot)) {
                return Ok(false);
            }
            let (weekday, day) = new.day.columns();
            let count = tx
                .execute(
                    "UPDATE slot SET weekday = ?3, day = ?4, starts_minute = ?5, ends_minute = ?6
                     WHERE id = ?1 AND class_id = ?2",
                    params![id, class.0, weekday, day, new.starts_minute, new.ends_minute],
                )
                .map_err(Error::doing("change a timetable"))?;
            if count == 0 { Err(Error::NotFound { what: "time" }) } else { Ok(true) }
        })
        .await
    }

    /// `false` if there was none.
    pub async fn remove_slot(&self, class: ClassId, id: i64) -> Result<bool, Error> {
        self.write(move |tx| {
            tx.execute("DELETE FROM slot WHERE id = ?1 AND class_id = ?2", params![id, class.0])
                .map(|count| count > 0)
                .map_err(Error::doing("change a timetable"))
        })
        .await
    }

    /// The weekly ones first, in the order of the week.
    pub async fn slots(&self, class: ClassId) -> Result<Vec<Slot>, Error> {
        self.read(move |tx| slots_in(tx, class)).await
    }

    /// What a person has on that day, by start.
    pub async fn timetable_of(
        &self,
        person: PersonId,
        day: Day,
    ) -> Result<Vec<TimetableEntry>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("read the timetable of a person");
            let mut statement = tx
                .prepare_cached(&format!(
                    "SELECT {}, enrolled_as, starts_minute, ends_minute
                     FROM enrolment
                     JOIN class ON class.id = enrolment.class_id
                     JOIN slot ON slot.class_id = class.id
                     WHERE person_id = ?1 AND (slot.weekday = ?2 OR slot.day = ?3)
                       AND class.archived_at IS NULL
                     ORDER BY starts_minute, class.name",
                    classes::COLUMNS
                ))
                .map_err(&failed)?;
            let rows = statement
                .query_map(params![person.0, day.weekday(), day.number], |row| {
                    Ok(TimetableEntry {
                        class: classes::class(row)?,
                        enrolled_as: word(row, COLUMNS_COUNT, EnrolledAs::parse)?,
                        teachers: Vec::new(),
                        starts_at: day.moment(row.get(COLUMNS_COUNT + 1)?),
                        ends_at: day.moment(row.get(COLUMNS_COUNT + 2)?),
                    })
                })
                .map_err(&failed)?;
            let mut entries: Vec<TimetableEntry> =
                rows.collect::<Result<_, _>>().map_err(&failed)?;
            for entry in &mut entries {
                entry.teachers = teachers_of(tx, entry.class.id)?;
            }
            Ok(entries)
        })
        .await
    }
}

fn slots_in(tx: &Transaction<'_>, class: ClassId) -> Result<Vec<Slot>, Error> {
    let failed = Error::doing("read a timetable");
    let mut statement = tx
        .prepare_cached(
            "SELECT id, class_id, weekday, day, starts_minute, ends_minute FROM slot
             WHERE class_id = ?1 ORDER BY weekday IS NULL, weekday, day, starts_minute",
        )
        .map_err(&failed)?;
    let rows = statement.query_map([class.0], slot).map_err(&failed)?;
    rows.collect::<Result<_, _>>().map_err(&failed)
}

pub(crate) fn insert_slot(
    tx: &Transaction<'_>,
    class: ClassId,
    slot: &NewSlot,
) -> Result<(), Error> {
    let (weekday, day) = slot.day.columns();
    tx.execute(
        "INSERT INTO slot (class_id, weekday, day, starts_minute, ends_minute) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![class.0, weekday, day, slot.starts_minute, slot.ends_minute],
    )
    .map(drop)
    .map_err(Error::doing_with("write a timetable", "the class"))
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    let day = match row.get::<_, Option<u8>>(2)? {
        Some(weekday) => SlotDay::Weekday(weekday),
        None => SlotDay::Once(row.get(3)?),
    };
    Ok(Slot {
        id: row.get(0)?,
        class: ClassId(row.get(1)?),
        day,
        starts_minute: row.get(4)?,
        ends_minute: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use belfry_model::{Role, Timestamp};

    use super::{Day, NewSlot, SlotDay};
    use crate::people::tests::somebody;
    use crate::schools::tests::{NOW, one_school};
    use crate::{Band, EnrolledAs, NewClass};

    #[test]
    fn a_day_is_that_of_the_school_not_of_utc() {
        // 2026-11-22 is a Sunday; at 23:30 UTC it is Monday in Berlin and Sunday in Denver.
        let late = Timestamp(1_795_390_200_000);
        assert_eq!(Day::at(late, 0).weekday(), 7);
        assert_eq!(Day::at(late, 60).weekday(), 1);
        assert_eq!(Day::at(late, -420).weekday(), 7);
        let berlin = Day::at(late, 60);
        assert_eq!(berlin.moment(30), late);
        assert_eq!(Day::at(berlin.moment(0), 60), berlin);
        assert_eq!(Day::at(Timestamp(0), 0).weekday(), 4);
    }

    #[tokio::test]
    async fn a_person_sees_the_slots_of_the_day_by_start() {
        let (_dir, store, school) = one_school().await;
        let kim = store.create_person(somebody(school, "kim", Role::Student), NOW).await.unwrap();
        let day = Day::at(NOW, -300);
        let slot =
            |day, starts_minute| NewSlot { day, starts_minute, ends_minute: starts_minute + 45 };
        for (name, slots) in [
            ("Art", vec![slot(SlotDay::Weekday(day.weekday()), 600)]),
            (
                "Maths",
                vec![
                    slot(SlotDay::Once(day.number), 480),
                    slot(SlotDay::Once(day.number + 1), 480),
                ],
            ),
            ("Music", vec![slot(SlotDay::Weekday(day.weekday() % 7 + 1), 500)]),
        ] {
            let new = NewClass { school, name: name.to_owned(), band: Band::K5 };
            let class = store.create_class(new, NOW).await.unwrap();
            store.enrol(class, kim, EnrolledAs::Student, NOW).await.unwrap();
            for slot in &slots {
                assert!(store.add_slot(class, *slot).await.unwrap());
            }
            assert_eq!(store.slots(class).await.unwrap().len(), slots.len());
        }
        let today = store.timetable_of(kim, day).await.unwrap();
        let names: Vec<_> = today.iter().map(|entry| entry.class.name.as_str()).collect();
        assert_eq!(names, ["Maths", "Art"]);
        assert_eq!(today[0].starts_at, day.moment(480));
        assert_eq!(today[0].ends_at.since_ms(today[0].starts_at), 45 * 60_000);
    }

    #[tokio::test]
    async fn a_class_does_not_meet_twice_at_a_time() {
        let (_dir, store, school) = one_school().await;
        let new = NewClass { school, name: "Art".to_owned(), band: Band::K5 };
        let class = store.create_class(new, NOW).await.unwrap();
        let today = Day::at(NOW, 0);
        let at =
            |day, starts_minute| NewSlot { day, starts_minute, ends_minute: starts_minute + 45 };
        let weekly = SlotDay::Weekday(today.weekday());
        let (once, later) = (SlotDay::Once(today.number), SlotDay::Once(today.number + 7));
        assert!(store.add_slot(class, at(weekly, 480)).await.unwrap());
        assert!(!store.add_slot(class, at(once, 500)).await.unwrap(), "that day is in the week");
        assert!(store.add_slot(class, at(once, 525)).await.unwrap());
        assert!(store.add_slot(class, at(later, 530)).await.unwrap(), "another day");
        let slots = store.slots(class).await.unwrap();
        assert_eq!(slots.iter().map(|slot| slot.day).collect::<Vec<_>>(), [weekly, once, later]);
        assert!(!store.change_slot(class, slots[0].id, at(weekly, 520)).await.unwrap());
        assert!(store.change_slot(class, slots[0].id, at(weekly, 470)).await.unwrap());
        assert_eq!(store.slots(class).await.unwrap()[0].starts_minute, 470);
        assert!(store.remove_slot(class, slots[1].id).await.unwrap());
        assert!(!store.remove_slot(class, slots[1].id).await.unwrap());
        let gone = store.change_slot(class, slots[1].id, at(weekly, 900)).await;
        assert!(matches!(gone, Err(crate::Error::NotFound { .. })), "{gone:?}");
    }
}
