//! A list of people taken over at once: accounts, classes and who belongs where, all or nothing.

use std::collections::HashMap;

use belfry_model::{ClassId, PersonId, Pii, Role, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::classes::{Band, EnrolledAs, NewClass, insert_class, insert_enrolment};
use crate::error::Error;
use crate::people::{NewPerson, insert_person, word};
use crate::writer::Store;

/// An account of the district, as far as an import needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPerson {
    pub id: PersonId,
    pub school: SchoolId,
    pub role: Role,
}

/// What is there already of what an import names.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By normalised user name.
    pub people: HashMap<String, KnownPerson>,
    /// By name; `true`: put away.
    pub classes: HashMap<String, bool>,
}

/// What is to be made.
#[derive(Clone, Debug, Default)]
pub struct Import {
    pub people: Vec<NewPerson>,
    pub classes: Vec<(String, Band)>,
    /// User name, class, and as what. Whoever is enrolled already stays as they are.
    pub enrolments: Vec<(Pii<String>, String, EnrolledAs)>,
}

/// What was made, with its numbers.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    pub people: Vec<(PersonId, Role)>,
    pub classes: Vec<ClassId>,
    pub enrolments: Vec<(ClassId, PersonId, EnrolledAs)>,
}

impl Store {
    /// What is there already of these user names and classes.
    pub async fn known(
        &self,
        school: SchoolId,
        usernames: Vec<Pii<String>>,
        classes: Vec<String>,
    ) -> Result<Known, Error> {
        self.read(move |tx| {
            let mut known = Known::default();
            for username in usernames {
                if let Some(found) = person_named(tx, &username)? {
                    known.people.insert(username.into_inner(), found);
                }
            }
            for name in classes {
                if let Some((_, archived)) = class_named(tx, school, &name)? {
                    known.classes.insert(name, archived);
                }
            }
            Ok(known)
        })
        .await
    }

    /// Makes all of it or nothing.
    pub async fn import(
        &self,
        school: SchoolId,
        import: Import,
        now: Timestamp,
    ) -> Result<Imported, Error> {
        self.write(move |tx| {
            let mut made = Imported::default();
            for new in &import.people {
                made.people.push((insert_person(tx, new, now)?, new.role));
            }
            for (name, band) in &import.classes {
                let new = NewClass { school, name: name.clone(), band: *band };
                made.classes.push(insert_class(tx, &new, now)?);
            }
            for (username, class, enrolled_as) in &import.enrolments {
                let person =
                    person_named(tx, username)?.ok_or(Error::NotFound { what: "account" })?;
                let class =
                    class_named(tx, school, class)?.ok_or(Error::NotFound { what: "class" })?;
                if !is_enrolled(tx, class.0, person.id)? {
                    insert_enrolment(tx, class.0, person.id, *enrolled_as, now)?;
                    made.enrolments.push((class.0, person.id, *enrolled_as));
                }
            }
            Ok(made)
        })
        .await
    }
}

fn person_named(
    tx: &Transaction<'_>,
    username: &Pii<String>,
) -> Result<Option<KnownPerson>, Error> {
    tx.prepare_cached("SELECT id, school_id, role FROM person WHERE username = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([username.reveal()], |row| {
                    let (id, school) = (PersonId(row.get(0)?), SchoolId(row.get(1)?));
                    Ok(KnownPerson { id, school, role: word(row, 2, Role::parse)? })
                })
                .optional()
        })
        .map_err(Error::doing("look up an account"))
}

/// The class and whether it was put away.
fn class_named(
    tx: &Transaction<'_>,
    school: SchoolId,
    name: &str,
) -> Result<Option<(ClassId, bool)>, Error> {
    tx.prepare_cached(
        "SELECT id, archived_at IS NOT NULL FROM class WHERE school_id = ?1 AND name = ?2",
    )
    .and_then(|mut statement| {
        statement
            .query_row(params![school.0, name], |row| Ok((ClassId(row.get(0)?), row.get(1)?)))
            .optional()
    })
    .map_err(Error::doing("look up a class"))
}

fn is_enrolled(tx: &Transaction<'_>, class: ClassId, person: PersonId) -> Result<bool, Error> {
    tx.prepare_cached("SELECT 1 FROM enrolment WHERE class_id = ?1 AND person_id = ?2")
        .and_then(|mut statement| statement.exists(params![class.0, person.0]))
        .map_err(Error::doing("look up an enrolment"))
}

#[cfg(test)]
mod tests {
    use belfry_model::{Pii, Role};

    use super::Import;
    use crate::people::tests::somebody;
    use crate::schools::tests::{NOW, one_school};
    use crate::{Band, EnrolledAs, Error};

    #[tokio::test]
    async fn an_import_is_made_whole_or_not_at_all() {
        let (_dir, store, school) = one_school().await;
        store.create_person(somebody(school, "lee", Role::Teacher), NOW).await.unwrap();
        let named = |name: &str| Pii::new(name.to_owned());
        let import = Import {
            people: vec![somebody(school, "kim", Role::Student)],
            classes: vec![("4b".to_owned(), Band::K5)],
            enrolments: vec![
                (named("kim"), "4b".to_owned(), EnrolledAs::Student),
                (named("lee"), "4b".to_owned(), EnrolledAs::Teacher),
            ],
        };
        let mut broken = import.clone();
        broken.enrolments.push((named("nobody"), "4b".to_owned(), EnrolledAs::Student));
        let refused = store.import(school, broken, NOW).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "account" })), "{refused:?}");
        let known = store.known(school, vec![named("kim"), named("lee")], vec!["4b".to_owned()]);
        let known = known.await.unwrap();
        assert_eq!((known.people.len(), known.classes.len()), (1, 0), "nothing was made");

        let made = store.import(school, import.clone(), NOW).await.unwrap();
        assert_eq!((made.people.len(), made.classes.len(), made.enrolments.len()), (1, 1, 2));
        assert_eq!(store.enrolled(made.classes[0]).await.unwrap().len(), 2);
        let again = Import { people: Vec::new(), classes: Vec::new(), ..import };
        assert!(store.import(school, again, NOW).await.unwrap().enrolments.is_empty());
    }
}
