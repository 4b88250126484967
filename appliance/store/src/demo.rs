//! A small invented school to try the appliance with.

use belfry_model::{Pii, Role, SchoolId, Timestamp};
use rusqlite::Transaction;

use crate::classes::{Band, EnrolledAs, NewClass, insert_class, insert_enrolment};
use crate::error::Error;
use crate::people::{NewPerson, insert_person};
use crate::schools::{insert_district, insert_school};
use crate::timetable::{NewSlot, SlotDay, insert_slot};
use crate::writer::Store;

/// Somebody of the demo school; nobody real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoPerson {
    pub username: &'static str,
    pub name: &'static str,
    pub role: Role,
}

const fn student(username: &'static str, name: &'static str) -> DemoPerson {
    DemoPerson { username, name, role: Role::Student }
}

/// An admin, two teachers, one class of thirty and an auditor, in that order.
pub const DEMO_PEOPLE: &[DemoPerson] = &[
    DemoPerson { username: "admin", name: "Robin Whitfield", role: Role::Admin },
    DemoPerson { username: "m.okafor", name: "Maya Okafor", role: Role::Teacher },
    DemoPerson { username: "j.lindqvist", name: "Jonas Lindqvist", role: Role::Teacher },
    student("amara.n", "Amara Nwosu"),
    student("ben.c", "Ben Castellano"),
    student("chloe.t", "Chloe Tran"),
    student("daniel.o", "Daniel O'Rourke"),
    student("elena.p", "Elena Petrova"),
    student("farid.h", "Farid Haidari"),
    student("grace.k", "Grace Kim"),
    student("hugo.m", "Hugo Martínez"),
    student("ines.a", "Inês Almeida"),
    student("jaylen.w", "Jaylen Washington"),
    student("kavya.r", "Kavya Raman"),
    student("liam.f", "Liam Fitzgerald"),
    student("mei.l", "Mei-Ling Zhou"),
    student("noah.b", "Noah Bergström"),
    student("olivia.d", "Olivia Dubois"),
    student("pedro.s", "Pedro Sandoval"),
    student("quinn.a", "Quinn Abernathy"),
    student("rosa.v", "Rosa Villanueva"),
    student("samir.k", "Samir Khoury"),
    student("tala.m", "Tala Manygoats"),
    student("uma.j", "Uma Jørgensen"),
    student("victor.e", "Victor Ekwueme"),
    student("willow.g", "Willow Greene"),
    student("xavier.l", "Xavier Leblanc"),
    student("yara.s", "Yara Suleiman"),
    student("zoe.h", "Zoë Hartmann"),
    student("aiden.y", "Aiden Yazzie"),
    student("bianca.r", "Bianca Rossi"),
    student("caleb.j", "Caleb Johnson"),
    student("dalia.m", "Dalia Mizrahi"),
    DemoPerson { username: "auditor", name: "Sasha Lindgren", role: Role::Auditor },
];

/// The class that both teachers teach, all day long, so that whenever somebody tries the
/// appliance, its lesson is on.
const CLASS: &str = "Science 7B";

impl Store {
    /// Makes the demo school, all or nothing; `None` if there is a district already.
    /// `password_hashes` are those of [`DEMO_PEOPLE`], in that order.
    pub async fn seed_demo(
        &self,
        password_hashes: Vec<String>,
        now: Timestamp,
    ) -> Result<Option<SchoolId>, Error> {
        assert_eq!(password_hashes.len(), DEMO_PEOPLE.len(), "one hash for each demo person");
        self.write(move |tx| {
            let districts: i64 = tx
                .query_row("SELECT count(*) FROM district", [], |row| row.get(0))
                .map_err(Error::doing("count the districts"))?;
            if districts > 0 {
                return Ok(None);
            }
            seed(tx, password_hashes, now).map(Some)
        })
        .await
    }
}

fn seed(
    tx: &Transaction<'_>,
    password_hashes: Vec<String>,
    now: Timestamp,
) -> Result<SchoolId, Error> {
    let district = insert_district(tx, "Cedar Valley School District", now)?;
    let school = insert_school(tx, district, "Cedar Valley Middle School", now)?;
    let mut people = Vec::with_capacity(DEMO_PEOPLE.len());
    for (person, password_hash) in DEMO_PEOPLE.iter().zip(password_hashes) {
        let new = NewPerson {
            school,
            username: Pii::new(person.username.to_owned()),
            name: Pii::new(person.name.to_owned()),
            role: person.role,
            password_hash,
            must_change: false,
            disabled: false,
        };
        people.push((person, insert_person(tx, &new, now)?));
    }
    let new = NewClass { school, name: CLASS.to_owned(), band: Band::Grades6To12 };
    let class = insert_class(tx, &new, now)?;
    for (person, id) in &people {
        let enrolled_as = match person.role {
            Role::Admin | Role::Auditor => continue,
            Role::Teacher => EnrolledAs::Teacher,
            Role::Student => EnrolledAs::Student,
        };
        insert_enrolment(tx, class, *id, enrolled_as, now)?;
    }
    for weekday in 1..=7 {
        let all_day =
            NewSlot { day: SlotDay::Weekday(weekday), starts_minute: 0, ends_minute: 1440 };
        insert_slot(tx, class, &all_day)?;
    }
    Ok(school)
}

#[cfg(test)]
mod tests {
    use belfry_model::Role;

    use super::DEMO_PEOPLE;
    use crate::schools::tests::NOW;
    use crate::{Day, EnrolledAs, Store};

    #[tokio::test]
    async fn the_demo_school_has_thirty_students_and_a_lesson_at_any_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let hashes = || vec!["$argon2id$".to_owned(); DEMO_PEOPLE.len()];
        let school = store.seed_demo(hashes(), NOW).await.unwrap().unwrap();
        assert!(store.seed_demo(hashes(), NOW).await.unwrap().is_none(), "never twice");

        let people = store.people(school, None, 0, 100).await.unwrap().people;
        let count = |role| people.iter().filter(|person| person.role == role).count();
        assert_eq!((count(Role::Admin), count(Role::Teacher), count(Role::Student)), (1, 2, 30));
        assert_eq!(count(Role::Auditor), 1);
        let class = store.classes(school).await.unwrap().remove(0);
        assert_eq!((class.students_count, class.teachers.len()), (30, 2));
        let enrolled = store.enrolled(class.class.id).await.unwrap();
        assert_eq!(enrolled[0].enrolled_as, EnrolledAs::Teacher);
        for hours in 0..24 * 7 {
            let now = NOW.plus_ms(hours * 3_600_000);
            let today = store.timetable_of(enrolled[5].person, Day::at(now, 330)).await.unwrap();
            assert!(today.iter().any(|entry| entry.starts_at <= now && now < entry.ends_at));
        }
    }
}
