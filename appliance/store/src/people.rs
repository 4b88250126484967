//! Accounts.

use belfry_model::{DistrictId, PersonId, Pii, Role, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::Error;
use crate::schools::district_of;
use crate::writer::Store;

/// An account, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub district: DistrictId,
    pub school: SchoolId,
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
    pub disabled: bool,
    /// A password that somebody else chose, to be changed at the next sign-in.
    pub must_change: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct NewPerson {
    pub school: SchoolId,
    /// Normalised already (lower case); unique in the district.
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
    /// In PHC string form.
    pub password_hash: String,
    pub must_change: bool,
    /// An account may begin its life disabled, until its creation is recorded.
    pub disabled: bool,
}

/// Who administers a new appliance.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    pub username: Pii<String>,
    pub name: Pii<String>,
    /// In PHC string form.
    pub password_hash: String,
}

/// What an edit of an account may change.
#[derive(Clone, Debug)]
pub struct PersonChange {
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
}

/// An account with what its password is checked against.
#[derive(Clone, Debug)]
pub struct Credential {
    pub person: Person,
    pub password_hash: String,
}

/// One page of a list of people.
#[derive(Clone, Debug)]
pub struct PeoplePage {
    pub people: Vec<Person>,
    /// How many there are in all.
    pub total: u64,
}

const COLUMNS: &str =
    "id, district_id, school_id, username, name, role, disabled, must_change, created_at";

impl Store {
    pub async fn create_person(&self, new: NewPerson, now: Timestamp) -> Result<PersonId, Error> {
        self.write(move |tx| insert_person(tx, &new, now)).await
    }

    /// The first administrator, disabled and to choose a password, in the district's first school; as it is
    /// if a start before this one has made it.
    pub async fn first_admin(
        &self,
        district: DistrictId,
        new: FirstAdmin,
        now: Timestamp,
    ) -> Result<Person, Error> {
        self.write(move |tx| {
            let failed = Error::doing("create the first administrator");
            let found = tx
                .query_row(
                    &format!(
                        "SELECT {COLUMNS} FROM person WHERE district_id = ?1 AND username = ?2"
                    ),
                    params![district.0, new.username.reveal()],
                    person,
                )
                .optional()
                .map_err(&failed)?;
            if let Some(found) = found {
                return Ok(found);
            }
            let school = tx
                .query_row(
                    "SELECT id FROM school WHERE district_id = ?1 ORDER BY id LIMIT 1",
                    [district.0],
                    |row| row.get(0).map(SchoolId),
                )
                .optional()
                .map_err(&failed)?
                .ok_or(Error::NotFound { what: "school" })?;
            let row = NewPerson {
                school,
                username: new.username,
                name: new.name,
                role: Role::Admin,
                password_hash: new.password_hash,
                must_change: true,
                disabled: true,
            };
            let id = insert_person(tx, &row, now)?;
            person_in(tx, id)?.ok_or(Error::NotFound { what: "account" })
        })
        .await
    }

    pub async fn person(&self, id: PersonId) -> Result<Option<Person>, Error> {
        self.read(move |tx| person_in(tx, id)).await
    }

    /// By normalised user name.
    pub async fn credential(&self, username: Pii<String>) -> Result<Option<Credential>, Error> {
        self.read(move |tx| {
            tx.prepare_cached(&format!(
                "SELECT {COLUMNS}, password_hash FROM person WHERE username = ?1"
            ))
            .and_then(|mut statement| {
                statement.query_row([username.reveal()], credential).optional()
            })
            .map_err(Error::doing("read an account"))
        })
        .await
    }

    pub async fn credential_of(&self, id: PersonId) -> Result<Option<Credential>, Error> {
        self.read(move |tx| {
            tx.prepare_cached(&format!("SELECT {COLUMNS}, password_hash FROM person WHERE id = ?1"))
                .and_then(|mut statement| statement.query_row([id.0], credential).optional())
                .map_err(Error::doing("read an account"))
        })
        .await
    }

    /// People of a school by name; `search` looks into names and user names.
    pub async fn people(
        &self,
        school: SchoolId,
        search: Option<Pii<String>>,
        offset: u32,
        count_max: u32,
    ) -> Result<PeoplePage, Error> {
        self.read(move |tx| {
            let failed = Error::doing("list people");
            let pattern = search.map_or_else(|| "%".to_owned(), |text| contains(text.reveal()));
            let filter = "school_id = ?1 AND (name LIKE ?2 ESCAPE '\\' OR username LIKE ?2 ESCAPE '\\')";
            let total: i64 = tx
                .query_row(
                    &format!("SELECT count(*) FROM person WHERE {filter}"),
                    params![school.0, pattern],
                    |row| row.get(0),
                )
                .map_err(&failed)?;
            let mut statement = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM person WHERE {filter} ORDER BY name, id LIMIT ?3 OFFSET ?4"
                ))
                .map_err(&failed)?;
            let rows = statement
                .query_map(params![school.0, pattern, count_max, offset], person)
                .map_err(&failed)?;
            let people = rows.collect::<Result<_, _>>().map_err(&failed)?;
            Ok(PeoplePage { people, total: total as u64 })
        })
        .await
    }

    pub async fn change_person(
        &self,
        id: PersonId,
        change: PersonChange,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute(
                    "UPDATE person SET username = ?2, name = ?3, role = ?4, changed_at = ?5 WHERE id = ?1",
                    params![
                        id.0,
                        change.username.reveal(),
                        change.name.reveal(),
                        change.role.as_str(),
                        now.0
                    ],
                )
                .map_err(Error::doing_with("change an account", "an account"))?;
            if count == 0 { Err(Error::NotFound { what: "account" }) } else { Ok(()) }
        })
        .await
    }

    /// Disabling ends every session of the account in the same step; how many is returned.
    pub async fn set_disabled(
        &self,
        id: PersonId,
        disabled: bool,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.write(move |tx| {
            let count = tx
                .execute(
                    "UPDATE person SET disabled = ?2, changed_at = ?3 WHERE id = ?1",
                    params![id.0, disabled, now.0],
                )
                .map_err(Error::doing("disable an account"))?;
            if count == 0 {
                return Err(Error::NotFound { what: "account" });
            }
            if disabled { crate::sessions::end_all(tx, id) } else { Ok(0) }
        })
        .await
    }

    /// A new password ends every session of the account in the same step; how many is returned.
    pub async fn set_password(
        &self,
        id: PersonId,
        password_hash: String,
        must_change: bool,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.write(move |tx| {
            let count = tx
                .execute(
                    "UPDATE person SET password_hash = ?2, must_change = ?3, changed_at = ?4 WHERE id = ?1",
                    params![id.0, password_hash, must_change, now.0],
                )
                .map_err(Error::doing("set a password"))?;
            if count == 0 {
                return Err(Error::NotFound { what: "account" });
            }
            crate::sessions::end_all(tx, id)
        })
        .await
    }

    /// The same password under newer hash parameters; sessions go on. Does nothing if the password
    /// was changed meanwhile.
    pub async fn rehash_password(
        &self,
        id: PersonId,
        old_hash: String,
        new_hash: String,
    ) -> Result<(), Error> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE person SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
                params![id.0, old_hash, new_hash],
            )
            .map(drop)
            .map_err(Error::doing("rehash a password"))
        })
        .await
    }

    /// Accounts of that role that can sign in; nobody may disable the last admin.
    pub async fn enabled_count(&self, district: DistrictId, role: Role) -> Result<u64, Error> {
        self.read(move |tx| {
            tx.query_row(
                "SELECT count(*) FROM person WHERE district_id = ?1 AND role = ?2 AND disabled = 0",
                params![district.0, role.as_str()],
                |row| row.get::<_, i64>(0),
            )
            .map(|count| count as u64)
            .map_err(Error::doing("count accounts"))
        })
        .await
    }
}

pub(crate) fn insert_person(
    tx: &Transaction<'_>,
    new: &NewPerson,
    now: Timestamp,
) -> Result<PersonId, Error> {
    let district = district_of(tx, new.school)?;
    tx.prepare_cached(
        "INSERT INTO person (district_id, school_id, username, name, role, password_hash, must_change, disabled, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            district.0,
            new.school.0,
            new.username.reveal(),
            new.name.reveal(),
            new.role.as_str(),
            new.password_hash,
            new.must_change,
            new.disabled,
            now.0
        ])
    })
    .map_err(Error::doing_with("create an account", "an account"))?;
    Ok(PersonId(tx.last_insert_rowid()))
}

pub(crate) fn person_in(tx: &Transaction<'_>, id: PersonId) -> Result<Option<Person>, Error> {
    tx.prepare_cached(&format!("SELECT {COLUMNS} FROM person WHERE id = ?1"))
        .and_then(|mut statement| statement.query_row([id.0], person).optional())
        .map_err(Error::doing("read an account"))
}

pub(crate) fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: PersonId(row.get(0)?),
        district: DistrictId(row.get(1)?),
        school: SchoolId(row.get(2)?),
        username: Pii::new(row.get(3)?),
        name: Pii::new(row.get(4)?),
        role: word(row, 5, Role::parse)?,
        disabled: row.get(6)?,
        must_change: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
    })
}

fn credential(row: &Row<'_>) -> rusqlite::Result<Credential> {
    Ok(Credential { person: person(row)?, password_hash: row.get(9)? })
}

/// A column that holds one of a few words.
pub(crate) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!("unknown word {text:?}").into(),
        )
    })
}

/// A LIKE pattern for text that contains `needle`.
fn contains(needle: &str) -> String {
    let escaped = needle.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
pub(crate) mod tests {
    use belfry_model::{Pii, Role, SchoolId};

    use super::{NewPerson, PersonChange};
    use crate::schools::tests::{NOW, one_school};
    use crate::{Error, Holder, SessionRow};

    pub(crate) fn somebody(school: SchoolId, username: &str, role: Role) -> NewPerson {
        NewPerson {
            school,
            username: Pii::new(username.to_owned()),
            name: Pii::new(format!("{username} Example")),
            role,
            password_hash: "$argon2id$...".to_owned(),
            must_change: true,
            disabled: false,
        }
    }

    #[tokio::test]
    async fn a_user_name_is_unique_in_the_district() {
        let (_dir, store, school) = one_school().await;
        let district = store.district().await.unwrap().unwrap().id;
        let other = store.create_school(district, "Fir Street".to_owned(), NOW).await.unwrap();
        store.create_person(somebody(school, "kim", Role::Student), NOW).await.unwrap();
        let again = store.create_person(somebody(other, "kim", Role::Student), NOW).await;
        assert!(matches!(again, Err(Error::Taken { what: "an account" })), "{again:?}");
        let nowhere = store.create_person(somebody(SchoolId(99), "lee", Role::Student), NOW).await;
        assert!(matches!(nowhere, Err(Error::NotFound { what: "school" })), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_search_takes_percent_signs_as_they_are() {
        let (_dir, store, school) = one_school().await;
        for name in ["kim", "a%b", "lee"] {
            store.create_person(somebody(school, name, Role::Student), NOW).await.unwrap();
        }
        let found = store.people(school, Some(Pii::new("%".to_owned())), 0, 10).await.unwrap();
        assert_eq!((found.total, found.people.len()), (1, 1));
        let page = store.people(school, None, 1, 1).await.unwrap();
        assert_eq!((page.total, page.people.len()), (3, 1));
        assert_eq!(page.people[0].username.reveal(), "kim");
    }

    #[tokio::test]
    async fn disabling_and_a_new_password_end_every_session() {
        let (_dir, store, school) = one_school().await;
        let kim = store.create_person(somebody(school, "kim", Role::Student), NOW).await.unwrap();
        let signed_in = |byte: u8| SessionRow {
            token_hash: [byte; 32],
            holder: Holder::Person(kim),
            district: belfry_model::DistrictId(1),
            school,
            created_at: NOW,
            seen_at: NOW,
            expires_at: NOW.plus_ms(1_000),
            stepped_up_at: None,
        };
        for byte in 0..3 {
            store.create_session(signed_in(byte)).await.unwrap();
        }
        assert_eq!(store.set_password(kim, "new".to_owned(), false, NOW).await.unwrap(), 3);
        store.create_session(signed_in(9)).await.unwrap();
        assert_eq!(store.set_disabled(kim, true, NOW).await.unwrap(), 1);
        assert!(store.session([9; 32]).await.unwrap().is_none());
        let credential = store.credential(Pii::new("kim".to_owned())).await.unwrap().unwrap();
        assert!(credential.person.disabled && !credential.person.must_change);
        assert_eq!(credential.password_hash, "new");
    }

    #[tokio::test]
    async fn an_account_can_be_renamed_but_not_to_a_taken_name() {
        let (_dir, store, school) = one_school().await;
        let kim = store.create_person(somebody(school, "kim", Role::Student), NOW).await.unwrap();
        store.create_person(somebody(school, "lee", Role::Teacher), NOW).await.unwrap();
        let to = |username: &str| PersonChange {
            username: Pii::new(username.to_owned()),
            name: Pii::new("Kim K".to_owned()),
            role: Role::Teacher,
        };
        assert!(matches!(store.change_person(kim, to("lee"), NOW).await, Err(Error::Taken { .. })));
        store.change_person(kim, to("kim2"), NOW).await.unwrap();
        let person = store.person(kim).await.unwrap().unwrap();
        assert_eq!((person.username.reveal().as_str(), person.role), ("kim2", Role::Teacher));
    }
}
