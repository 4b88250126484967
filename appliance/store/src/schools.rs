//! Districts and their schools.

use belfry_model::{DistrictId, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::Error;
use crate::writer::Store;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct District {
    pub id: DistrictId,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct School {
    pub id: SchoolId,
    pub district: DistrictId,
    pub name: String,
}

/// What a new appliance begins with.
#[derive(Clone, Debug)]
pub struct SetUp {
    pub district: String,
    pub school: String,
}

impl Store {
    /// Makes the district and its first school, both or neither.
    pub async fn set_up(
        &self,
        new: SetUp,
        now: Timestamp,
    ) -> Result<(DistrictId, SchoolId), Error> {
        self.write(move |tx| {
            let district = insert_district(tx, &new.district, now)?;
            Ok((district, insert_school(tx, district, &new.school, now)?))
        })
        .await
    }

    pub async fn create_district(&self, name: String, now: Timestamp) -> Result<DistrictId, Error> {
        self.write(move |tx| insert_district(tx, &name, now)).await
    }

    pub async fn create_school(
        &self,
        district: DistrictId,
        name: String,
        now: Timestamp,
    ) -> Result<SchoolId, Error> {
        self.write(move |tx| insert_school(tx, district, &name, now)).await
    }

    /// The district that owns the appliance; `None` before the first set-up.
    pub async fn district(&self) -> Result<Option<District>, Error> {
        self.read(|tx| {
            tx.query_row("SELECT id, name FROM district ORDER BY id LIMIT 1", [], |row| {
                Ok(District { id: DistrictId(row.get(0)?), name: row.get(1)? })
            })
            .optional()
            .map_err(Error::doing("read the district"))
        })
        .await
    }

    pub async fn rename_district(&self, id: DistrictId, name: String) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute("UPDATE district SET name = ?2 WHERE id = ?1", params![id.0, name])
                .map_err(Error::doing("rename a district"))?;
            if count == 0 { Err(Error::NotFound { what: "district" }) } else { Ok(()) }
        })
        .await
    }

    pub async fn schools(&self, district: DistrictId) -> Result<Vec<School>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("read the schools");
            let mut statement = tx
                .prepare_cached(
                    "SELECT id, district_id, name FROM school WHERE district_id = ?1 ORDER BY name",
                )
                .map_err(&failed)?;
            let rows = statement.query_map([district.0], school).map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    pub async fn school(&self, id: SchoolId) -> Result<Option<School>, Error> {
        self.read(move |tx| {
            tx.query_row("SELECT id, district_id, name FROM school WHERE id = ?1", [id.0], school)
                .optional()
                .map_err(Error::doing("read a school"))
        })
        .await
    }

    pub async fn rename_school(&self, id: SchoolId, name: String) -> Result<(), Error> {
        self.write(move |tx| {
            let count = tx
                .execute("UPDATE school SET name = ?2 WHERE id = ?1", params![id.0, name])
                .map_err(Error::doing_with("rename a school", "a school"))?;
            if count == 0 { Err(Error::NotFound { what: "school" }) } else { Ok(()) }
        })
        .await
    }
}

pub(crate) fn insert_district(
    tx: &Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> Result<DistrictId, Error> {
    tx.execute("INSERT INTO district (name, created_at) VALUES (?1, ?2)", params![name, now.0])
        .map_err(Error::doing("create a district"))?;
    Ok(DistrictId(tx.last_insert_rowid()))
}

pub(crate) fn insert_school(
    tx: &Transaction<'_>,
    district: DistrictId,
    name: &str,
    now: Timestamp,
) -> Result<SchoolId, Error> {
    tx.execute(
        "INSERT INTO school (district_id, name, created_at) VALUES (?1, ?2, ?3)",
        params![district.0, name, now.0],
    )
    .map_err(Error::doing_with("create a school", "a school"))?;
    Ok(SchoolId(tx.last_insert_rowid()))
}

fn school(row: &Row<'_>) -> rusqlite::Result<School> {
    Ok(School { id: SchoolId(row.get(0)?), district: DistrictId(row.get(1)?), name: row.get(2)? })
}

/// The district of a school, inside a transaction.
pub(crate) fn district_of(tx: &Transaction<'_>, school: SchoolId) -> Result<DistrictId, Error> {
    tx.query_row("SELECT district_id FROM school WHERE id = ?1", [school.0], |row| row.get(0))
        .optional()
        .map_err(Error::doing("read a school"))?
        .map(DistrictId)
        .ok_or(Error::NotFound { what: "school" })
}

#[cfg(test)]
pub(crate) mod tests {
    use belfry_model::{SchoolId, Timestamp};

    use crate::Store;

    pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// A store in a directory of its own, with one school.
    pub(crate) async fn one_school() -> (tempfile::TempDir, Store, SchoolId) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let district = store.create_district("Elm Valley".to_owned(), NOW).await.unwrap();
        let school = store.create_school(district, "Elm Street".to_owned(), NOW).await.unwrap();
        (dir, store, school)
    }

    #[tokio::test]
    async fn a_school_is_there_after_reopening() {
        let (dir, store, school) = one_school().await;
        store.rename_school(school, "Oak Street".to_owned()).await.unwrap();
        drop(store);
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let district = store.district().await.unwrap().unwrap();
        let schools = store.schools(district.id).await.unwrap();
        assert_eq!(schools.len(), 1);
        assert_eq!((schools[0].id, schools[0].name.as_str()), (school, "Oak Street"));
        assert_eq!(store.school(school).await.unwrap().as_ref(), schools.first());
    }
}
