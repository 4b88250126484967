//! Names for the numbers in the log: it holds none, so they are those of today.

use std::collections::{BTreeMap, BTreeSet};

use belfry_admin_ui::{say, say_with};
use belfry_http::Problem;
use belfry_ledger::{About, Entry};
use belfry_model::{ClassId, PersonId};

use crate::{Admin, store_problem};

/// The people and classes that stand in some entries.
#[derive(Debug, Default)]
pub(super) struct Names {
    people: BTreeMap<i64, String>,
    erased: BTreeSet<i64>,
    classes: BTreeMap<i64, String>,
}

impl Names {
    pub(super) async fn of(
        admin: &Admin,
        entries: &[Entry],
        about: Option<About>,
    ) -> Result<Self, Problem> {
        let (mut people, mut classes) = (BTreeSet::new(), BTreeSet::new());
        match about {
            Some(About::Person(id)) => drop(people.insert(id)),
            Some(About::Class(id)) => drop(classes.insert(id)),
            Some(About::Lesson(_)) | None => {}
        }
        for entry in entries {
            if entry.actor_kind == "person" {
                people.extend(entry.actor_id.as_deref().and_then(|id| id.parse::<i64>().ok()));
            }
            for (name, value) in &entry.fields {
                match name.as_str() {
                    "person" => people.extend(value.parse::<i64>().ok()),
                    "participant" => people.extend(account(value)),
                    "class" => classes.extend(value.parse::<i64>().ok()),
                    "object" => match holding(entry) {
                        "rosters" => classes.extend(value.parse::<i64>().ok()),
                        _ => people.extend(value.parse::<i64>().ok()),
                    },
                    _ => {}
                }
            }
        }
        let mut names = Self::default();
        for id in people {
            let person = admin.store.person(PersonId(id)).await;
            if let Some(person) = person.map_err(|error| store_problem(&error))? {
                names.people.insert(id, person.name.into_inner());
            } else if is_erased(admin, id).await? {
                names.erased.insert(id);
            }
        }
        for id in classes {
            let class = admin.store.class(ClassId(id)).await;
            if let Some(class) = class.map_err(|error| store_problem(&error))? {
                names.classes.insert(id, class.name);
            }
        }
        Ok(names)
    }

    pub(super) fn person(&self, id: i64) -> String {
        if let Some(name) = self.people.get(&id) {
            return name.clone();
        }
        let erased = self.erased.contains(&id);
        let key = if erased { "record-person-erased" } else { "record-person-gone" };
        say_with(key, &[("id", id.to_string())])
    }

    pub(super) fn class(&self, id: i64) -> String {
        let name = self.classes.get(&id).cloned();
        name.unwrap_or_else(|| say_with("record-class-gone", &[("id", id.to_string())]))
    }

    /// Somebody who took part in a lesson, by the identity on the wire.
    pub(super) fn participant(&self, identity: &str) -> String {
        account(identity).map_or_else(|| say("record-a-guest"), |id| self.person(id))
    }

    pub(super) fn of_subject(&self, about: About) -> String {
        match about {
            About::Person(id) => self.person(id),
            About::Class(id) => self.class(id),
            About::Lesson(id) => say_with("record-lesson", &[("id", id.to_string())]),
        }
    }
}

async fn is_erased(admin: &Admin, id: i64) -> Result<bool, Problem> {
    let erased = admin.store.erased_at(PersonId(id)).await;
    Ok(erased.map_err(|error| store_problem(&error))?.is_some())
}

/// The account of a participant's identity; guests have none.
fn account(identity: &str) -> Option<i64> {
    identity.strip_prefix('p')?.parse().ok()
}

/// Of what a disclosure was.
pub(super) fn holding(entry: &Entry) -> &str {
    let found = entry.fields.iter().find(|(name, _)| name == "holding");
    found.map_or("", |(_, value)| value)
}
