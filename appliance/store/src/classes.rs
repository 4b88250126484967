//! Classes and who is enrolled in them.

use belfry_model::{ClassId, DistrictId, PersonId, Pii, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::Error;
use crate::people::word;
use crate::schools::district_of;
use crate::writer::Store;

/// How old the students of a class are; the youngest get calmer defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    K5,
    Grades6To12,
}

impl Band {
    pub const ALL: [Self; 2] = [Self::K5, Self::Grades6To12];

    /// The stable name that databases and wires hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::K5 => "k5",
            Self::Grades6To12 => "6-12",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|band| band.as_str() == text)
    }
}

/// What somebody is in one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnrolledAs {
    Teacher,
    Student,
}

impl EnrolledAs {
    pub const ALL: [Self; 2] = [Self::Teacher, Self::Student];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Student => "student",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub id: ClassId,
    pub district: DistrictId,
    pub school: SchoolId,
    pub name: String,
    pub band: Band,
    /// Put away: kept with its roster, but no lessons are held.
    pub archived: bool,
}

#[derive(Clone, Debug)]
pub struct NewClass {
    pub school: SchoolId,
    pub name: String,
    pub band: Band,
}

/// A class as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassListed {
    pub class: Class,
    pub teachers: Vec<Pii<String>>,
    pub students_count: u64,
}

/// Somebody in a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    pub person: PersonId,
    pub name: Pii<String>,
    pub username: Pii<String>,
    pub enrolled_as: EnrolledAs,
    pub disabled: bool,
}

pub(crate) const COLUMNS: &str = "class.id, class.district_id, class.school_id, class.name, class.band, class.archived_at IS NOT NULL";
/// How many columns those are.
pub(crate) const COLUMNS_COUNT: usize = 6;

impl Store {
    pub async fn create_class(&self, new: NewClass, now: Timestamp) -> Result<ClassId, Error> {
        self.write(move |tx| insert_class(tx, &new, now)).await
    }

    pub async fn change_class(
        &self,
        id: ClassId,
        name: String,
        band: Band,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute(
                    "UPDATE class SET name = ?2, band = ?3, changed_at = ?4 WHERE id = ?1",
                    params![id.0, name, band.as_str(), now.0],
                )
                .map_err(Error::doing_with("change a class", "a class"))?;
            if count == 0 { Err(Error::NotFound { what: "class" }) } else { Ok(()) }
        })
        .await
    }

    /// Puts a class away, or takes it back. A lesson that is under way goes on.
    pub async fn set_archived(
        &self,
        id: ClassId,
        archived: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute(
                    "UPDATE class SET archived_at = ?2, changed_at = ?3 WHERE id = ?1",
                    params![id.0, archived.then_some(now.0), now.0],
                )
                .map_err(Error::doing("put a class away"))?;
            if count == 0 { Err(Error::NotFound { what: "class" }) } else { Ok(()) }
        })
        .await
    }

    /// With its enrolments and its timetable; lessons that were held stay.
    pub async fn delete_class(&self, id: ClassId) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute("DELETE FROM class WHERE id = ?1", [id.0])
                .map_err(Error::doing("delete a class"))?;
            if count == 0 { Err(Error::NotFound { what: "class" }) } else { Ok(()) }
        })
        .await
    }

    pub async fn class(&self, id: ClassId) -> Result<Option<Class>, Error> {
        self.read(move |tx| {
            tx.query_row(&format!("SELECT {COLUMNS} FROM class WHERE id = ?1"), [id.0], class)
                .optional()
                .map_err(Error::doing("read a class"))
        })
        .await
    }

    /// Those that are held first, each by name.
    pub async fn classes(&self, school: SchoolId) -> Result<Vec<ClassListed>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("list classes");
            let mut statement = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, (SELECT count(*) FROM enrolment
                        WHERE class_id = class.id AND enrolled_as = 'student')
                     FROM class WHERE school_id = ?1 ORDER BY archived_at IS NOT NULL, name"
                ))
                .map_err(&failed)?;
            let rows = statement
                .query_map([school.0], |row| {
                    Ok((class(row)?, row.get::<_, i64>(COLUMNS_COUNT)? as u64))
                })
                .map_err(&failed)?;
            let listed: Vec<_> = rows.collect::<Result<_, _>>().map_err(&failed)?;
            listed
                .into_iter()
                .map(|(class, students_count)| {
                    let teachers = teachers_of(tx, class.id)?;
                    Ok(ClassListed { class, teachers, students_count })
                })
                .collect()
        })
        .await
    }

    /// Enrols somebody, or changes as what; both must be of one school.
    pub async fn enrol(
        &self,
        class: ClassId,
        person: PersonId,
        enrolled_as: EnrolledAs,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |tx| insert_enrolment(tx, class, person, enrolled_as, now)).await
    }

    /// `false` if the person was not enrolled.
    pub async fn unenrol(&self, class: ClassId, person: PersonId) -> Result<bool, Error> {
        self.write(move |tx| {
            tx.execute(
                "DELETE FROM enrolment WHERE class_id = ?1 AND person_id = ?2",
                params![class.0, person.0],
            )
            .map(|count| count > 0)
            .map_err(Error::doing("remove an enrolment"))
        })
        .await
    }

    /// Teachers first, then by name.
    pub async fn enrolled(&self, class: ClassId) -> Result<Vec<Enrolled>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("list enrolments");
            let mut statement = tx
                .prepare_cached(
                    "SELECT person.id, person.name, person.username, enrolled_as, person.disabled
                     FROM enrolment JOIN person ON person.id = enrolment.person_id
                     WHERE class_id = ?1 ORDER BY enrolled_as DESC, person.name, person.id",
                )
                .map_err(&failed)?;
            let rows = statement
                .query_map([class.0], |row| {
                    Ok(Enrolled {
                        person: PersonId(row.get(0)?),
                        name: Pii::new(row.get(1)?),
                        username: Pii::new(row.get(2)?),
                        enrolled_as: word(row, 3, EnrolledAs::parse)?,
                        disabled: row.get(4)?,
                    })
                })
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    /// As what the person is enrolled in the class, if at all.
    pub async fn enrolment(
        &self,
        class: ClassId,
        person: PersonId,
    ) -> Result<Option<EnrolledAs>, Error> {
        self.read(move |tx| {
            tx.prepare_cached(
                "SELECT enrolled_as FROM enrolment WHERE class_id = ?1 AND person_id = ?2",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![class.0, person.0], |row| word(row, 0, EnrolledAs::parse))
                    .optional()
            })
            .map_err(Error::doing("read an enrolment"))
        })
        .await
    }

    /// The classes of a person by name, without those that were put away.
    pub async fn classes_of(&self, person: PersonId) -> Result<Vec<(Class, EnrolledAs)>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("list the classes of a person");
            let mut statement = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, enrolled_as FROM enrolment JOIN class ON class.id = enrolment.class_id
                     WHERE person_id = ?1 AND class.archived_at IS NULL ORDER BY class.name"
                ))
                .map_err(&failed)?;
            let rows = statement
                .query_map([person.0], |row| Ok((class(row)?, word(row, COLUMNS_COUNT, EnrolledAs::parse)?)))
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }
}

pub(crate) fn insert_class(
    tx: &Transaction<'_>,
    new: &NewClass,
    now: Timestamp,
) -> Result<ClassId, Error> {
    let district = district_of(tx, new.school)?;
    tx.execute(
        "INSERT INTO class (district_id, school_id, name, band, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        params![district.0, new.school.0, new.name, new.band.as_str(), now.0],
    )
    .map_err(Error::doing_with("create a class", "a class"))?;
    Ok(ClassId(tx.last_insert_rowid()))
}

pub(crate) fn insert_enrolment(
    tx: &Transaction<'_>,
    class: ClassId,
    person: PersonId,
    enrolled_as: EnrolledAs,
    now: Timestamp,
) -> Result<(), Error> {
    let count = tx
        .execute(
            "INSERT INTO enrolment (class_id, person_id, school_id, enrolled_as, created_at)
             SELECT class.id, ?2, class.school_id, ?3, ?4 FROM class WHERE class.id = ?1
             ON CONFLICT (class_id, person_id) DO UPDATE SET enrolled_as = ?3",
            params![class.0, person.0, enrolled_as.as_str(), now.0],
        )
        .map_err(Error::doing_with("enrol somebody", "the person"))?;
    if count == 0 { Err(Error::NotFound { what: "class" }) } else { Ok(()) }
}

pub(crate) fn teachers_of(tx: &Transaction<'_>, class: ClassId) -> Result<Vec<Pii<String>>, Error> {
    let failed = Error::doing("list the teachers of a class");
    let mut statement = tx
        .prepare_cached(
            "SELECT person.name FROM enrolment JOIN person ON person.id = enrolment.person_id
             WHERE class_id = ?1 AND enrolled_as = 'teacher' ORDER BY person.name",
        )
        .map_err(&failed)?;
    let rows = statement.query_map([class.0], |row| row.get(0).map(Pii::new)).map_err(&failed)?;
    rows.collect::<Result<_, _>>().map_err(&failed)
}

pub(crate) fn class(row: &Row<'_>) -> rusqlite::Result<Class> {
    Ok(Class {
        id: ClassId(row.get(0)?),
        district: DistrictId(row.get(1)?),
        school: SchoolId(row.get(2)?),
        name: row.get(3)?,
        band: word(row, 4, Band::parse)?,
        archived: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use belfry_model::Role;

    use super::{Band, EnrolledAs, NewClass};
    use crate::people::tests::somebody;
    use crate::schools::tests::{NOW, one_school};
    use crate::{Day, Error, NewSlot, SlotDay};

    #[tokio::test]
    async fn a_class_lists_its_teachers_and_counts_its_students() {
        let (_dir, store, school) = one_school().await;
        let new = NewClass { school, name: "4b".to_owned(), band: Band::K5 };
        let class = store.create_class(new.clone(), NOW).await.unwrap();
        assert!(matches!(
            store.create_class(new, NOW).await,
            Err(Error::Taken { what: "a class" })
        ));
        let teacher =
            store.create_person(somebody(school, "lee", Role::Teacher), NOW).await.unwrap();
        store.enrol(class, teacher, EnrolledAs::Teacher, NOW).await.unwrap();
        for name in ["kim", "ann"] {
            let id = store.create_person(somebody(school, name, Role::Student), NOW).await.unwrap();
            store.enrol(class, id, EnrolledAs::Student, NOW).await.unwrap();
            store.enrol(class, id, EnrolledAs::Student, NOW).await.unwrap();
        }
        let listed = store.classes(school).await.unwrap();
        assert_eq!((listed[0].students_count, listed[0].teachers.len()), (2, 1));
        let names: Vec<_> = store.enrolled(class).await.unwrap();
        let names: Vec<_> = names.iter().map(|e| e.username.reveal().as_str()).collect();
        assert_eq!(names, ["lee", "ann", "kim"]);
        assert_eq!(store.enrolment(class, teacher).await.unwrap(), Some(EnrolledAs::Teacher));
        assert_eq!(store.classes_of(teacher).await.unwrap().len(), 1);
        assert!(store.unenrol(class, teacher).await.unwrap());
        assert_eq!(store.enrolment(class, teacher).await.unwrap(), None);
        store.delete_class(class).await.unwrap();
        assert!(store.class(class).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_archived_class_is_kept_and_out_of_everybodys_day() {
        let (_dir, store, school) = one_school().await;
        let day = Day::at(NOW, 0);
        let kim = store.create_person(somebody(school, "kim", Role::Student), NOW).await.unwrap();
        let mut ids = Vec::new();
        for name in ["Art", "Music"] {
            let new = NewClass { school, name: name.to_owned(), band: Band::K5 };
            let class = store.create_class(new, NOW).await.unwrap();
            store.enrol(class, kim, EnrolledAs::Student, NOW).await.unwrap();
            let (starts_minute, ends_minute) = (480, 525);
            let slot = NewSlot { day: SlotDay::Once(day.number), starts_minute, ends_minute };
            assert!(store.add_slot(class, slot).await.unwrap());
            ids.push(class);
        }
        store.set_archived(ids[0], true, NOW).await.unwrap();
        let today = store.timetable_of(kim, day).await.unwrap();
        assert_eq!(today.len(), 1);
        assert_eq!(today[0].class.id, ids[1]);
        assert_eq!(store.classes_of(kim).await.unwrap().len(), 1);
        let listed = store.classes(school).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|l| (l.class.id, l.class.archived)).collect();
        assert_eq!(listed, [(ids[1], false), (ids[0], true)], "the archived one is last");
        store.set_archived(ids[0], false, NOW).await.unwrap();
        assert_eq!(store.timetable_of(kim, day).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn nobody_is_enrolled_across_schools() {
        let (_dir, store, school) = one_school().await;
        let district = store.district().await.unwrap().unwrap().id;
        let other = store.create_school(district, "Fir Street".to_owned(), NOW).await.unwrap();
        let kim = store.create_person(somebody(other, "kim", Role::Student), NOW).await.unwrap();
        let new = NewClass { school, name: "4b".to_owned(), band: Band::Grades6To12 };
        let class = store.create_class(new, NOW).await.unwrap();
        let enrolled = store.enrol(class, kim, EnrolledAs::Student, NOW).await;
        assert!(matches!(enrolled, Err(Error::OtherSchool { .. })), "{enrolled:?}");
    }
}
