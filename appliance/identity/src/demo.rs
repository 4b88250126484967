//! Sign-ins of the demo school. They are derived from a key of this appliance, so that the console can
//! show them at every start while nothing stores them.

use belfry_audit::{Actor, Detail, Event, School, Scope};
use belfry_keys::Keys;
use belfry_model::{Pii, Role, SchoolId, Timestamp};
use belfry_store::DEMO_PEOPLE;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::password::derive;
use crate::sign_in::Identity;

/// How somebody of the demo school signs in. For the console only.
#[derive(Clone)]
pub struct DemoSignIn {
    pub username: &'static str,
    pub name: Pii<&'static str>,
    pub role: Role,
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for DemoSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoSignIn").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The demo school with everybody's sign-in: the admin, two teachers, thirty students.
#[derive(Clone, Debug)]
pub struct DemoSignIns {
    pub school: SchoolId,
    pub people: Vec<DemoSignIn>,
}

/// Everybody of the demo school, in the order of [`DEMO_PEOPLE`], as they can sign in until somebody
/// changes a password.
pub fn demo_sign_ins(keys: &Keys) -> Vec<DemoSignIn> {
    let key = &keys.csrf().current;
    let sign_in = |person: &belfry_store::DemoPerson| DemoSignIn {
        username: person.username,
        name: Pii::new(person.name),
        role: person.role,
        password: derive(key, &format!("demo sign-in {}", person.username)),
    };
    DEMO_PEOPLE.iter().map(sign_in).collect()
}

impl Identity {
    /// Makes the demo school; `None` if the appliance has a district already.
    pub async fn seed_demo(&self, now: Timestamp) -> Result<Option<DemoSignIns>, Error> {
        let failed = Error::store("create the demo school");
        if self.store.district().await.map_err(&failed)?.is_some() {
            return Ok(None);
        }
        let people = demo_sign_ins(&self.keys);
        let mut hashes = Vec::with_capacity(people.len());
        for person in &people {
            hashes.push(self.hasher.hash(person.password.clone()).await?);
        }
        let Some(school) = self.store.seed_demo(hashes, now).await.map_err(&failed)? else {
            return Ok(None);
        };
        let district = self.store.district().await.map_err(&failed)?.map_or(0, |found| found.id.0);
        let event = Event {
            at_ms: now.0,
            scope: Scope::school(district, school.0),
            actor: Actor::Console,
            detail: Detail::SchoolCreated { school: School(school.0) },
        };
        self.ledger.append(event).await.map_err(Error::Ledger)?;
        Ok(Some(DemoSignIns { school, people }))
    }
}
