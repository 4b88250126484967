//! Settings that were changed on the admin pages.

use belfry_model::{DistrictId, PersonId, Timestamp};
use rusqlite::{OptionalExtension, params};

use crate::error::Error;
use crate::writer::Store;

/// A stored setting, in the text form that `settings` parses.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    pub key: String,
    pub value: String,
}

impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may be a secret.
        f.debug_struct("Override").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Store {
    pub async fn setting_overrides(&self, district: DistrictId) -> Result<Vec<Override>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("read the settings");
            let mut statement = tx
                .prepare_cached(
                    "SELECT key, value FROM setting WHERE district_id = ?1 ORDER BY key",
                )
                .map_err(&failed)?;
            let rows = statement
                .query_map([district.0], |row| {
                    Ok(Override { key: row.get(0)?, value: row.get(1)? })
                })
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    /// Sets or (`None`) removes an override; what it was before is returned.
    pub async fn set_setting(
        &self,
        district: DistrictId,
        key: String,
        value: Option<String>,
        by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        self.write(move |tx| {
            let failed = Error::doing("change a setting");
            let before = tx
                .query_row(
                    "SELECT value FROM setting WHERE district_id = ?1 AND key = ?2",
                    params![district.0, key],
                    |row| row.get(0),
                )
                .optional()
                .map_err(&failed)?;
            match value {
                Some(value) => tx.execute(
                    "INSERT INTO setting (district_id, key, value, changed_at, changed_by) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (district_id, key) DO UPDATE SET value = ?3, changed_at = ?4, changed_by = ?5",
                    params![district.0, key, value, now.0, by.map(|id| id.0)],
                ),
                None => tx.execute(
                    "DELETE FROM setting WHERE district_id = ?1 AND key = ?2",
                    params![district.0, key],
                ),
            }
            .map_err(&failed)?;
            Ok(before)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::schools::tests::{NOW, one_school};

    #[tokio::test]
    async fn an_override_is_kept_and_removed() {
        let (_dir, store, _) = one_school().await;
        let district = store.district().await.unwrap().unwrap().id;
        let set = |value: Option<&str>| {
            store.set_setting(
                district,
                "chat.default".to_owned(),
                value.map(str::to_owned),
                None,
                NOW,
            )
        };
        assert_eq!(set(Some("off")).await.unwrap(), None);
        assert_eq!(set(Some("on")).await.unwrap().as_deref(), Some("off"));
        assert_eq!(store.setting_overrides(district).await.unwrap()[0].value, "on");
        assert_eq!(set(None).await.unwrap().as_deref(), Some("on"));
        assert!(store.setting_overrides(district).await.unwrap().is_empty());
    }
}
