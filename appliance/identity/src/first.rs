//! The first administrator: made with the district, with a password that is derived from a key of this
//! appliance. So the console can show it at every start until somebody has used it, and nothing stores it.

use belfry_audit::{Actor, Detail, Event, PersonRole, School, Scope};
use belfry_keys::Keys;
use belfry_model::{DistrictId, Pii, Role, Timestamp};
use belfry_store::{FirstAdmin, Person, SetUp};
use zeroize::Zeroizing;

use crate::demo::DemoSignIn;
use crate::error::Error;
use crate::hash::Verdict;
use crate::password::derive;
use crate::sign_in::{Identity, audited};

/// The user name of the first administrator.
const USERNAME: &str = "admin";
/// What others see until the administrator's name is entered.
const NAME: &str = "Administrator";

/// How the first administrator signs in, until a password has been chosen. For the console only.
pub struct FirstSignIn {
    pub username: &'static str,
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for FirstSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstSignIn").field("username", &self.username).finish_non_exhaustive()
    }
}

/// With the present key, and with the one before: a rotation must not lock the district out.
fn candidates(keys: &Keys) -> impl Iterator<Item = Zeroizing<String>> {
    let ring = keys.csrf();
    let keys = [Some(&ring.current), ring.previous.as_ref()].into_iter().flatten();
    keys.map(|key| derive(key, "first administrator"))
}

impl Identity {
    /// Makes the district with one school and the first administrator, if there is no district yet; finishes
    /// what a first start did not, if nobody can administer the appliance.
    pub async fn set_up(
        &self,
        district: String,
        school: String,
        now: Timestamp,
    ) -> Result<DistrictId, Error> {
        let failed = Error::store("set the appliance up");
        let district_id = match self.store.district().await.map_err(&failed)? {
            Some(found) => found.id,
            None => self.make_district(district, school, now).await?,
        };
        let admins = self.store.enabled_count(district_id, Role::Admin).await.map_err(&failed)?;
        if admins == 0 {
            self.make_first_admin(district_id, now).await?;
        }
        Ok(district_id)
    }

    async fn make_district(
        &self,
        district: String,
        school: String,
        now: Timestamp,
    ) -> Result<DistrictId, Error> {
        let set_up = SetUp { district, school };
        let made = self.store.set_up(set_up, now).await;
        let (district, school) = made.map_err(Error::store("set the appliance up"))?;
        let detail = Detail::SchoolCreated { school: School(school.0) };
        self.at_console(Scope::school(district.0, school.0), detail, now).await?;
        Ok(district)
    }

    /// Disabled until its creation is recorded, as every account.
    async fn make_first_admin(&self, district: DistrictId, now: Timestamp) -> Result<(), Error> {
        let failed = Error::store("create the first administrator");
        let password = candidates(&self.keys).next().expect("there is a present key");
        let new = FirstAdmin {
            username: Pii::new(USERNAME.to_owned()),
            name: Pii::new(NAME.to_owned()),
            password_hash: self.hasher.hash(password).await?,
        };
        let person = self.store.first_admin(district, new, now).await.map_err(&failed)?;
        let detail = Detail::PersonCreated { person: audited(&person), role: PersonRole::Admin };
        let scope = Scope::school(person.district.0, person.school.0);
        self.at_console(scope, detail, now).await?;
        self.store.set_disabled(person.id, false, now).await.map(drop).map_err(&failed)
    }

    async fn at_console(&self, scope: Scope, detail: Detail, now: Timestamp) -> Result<(), Error> {
        let event = Event { at_ms: now.0, scope, actor: Actor::Console, detail };
        self.ledger.append(event).await.map(drop).map_err(Error::Ledger)
    }

    /// The first administrator's sign-in, as long as it still has to be changed.
    pub async fn first_sign_in(&self) -> Result<Option<FirstSignIn>, Error> {
        let unused = |person: &Person| person.role == Role::Admin && person.must_change;
        for password in candidates(&self.keys) {
            if self.holds(USERNAME, &password).await?.is_some_and(|person| unused(&person)) {
                return Ok(Some(FirstSignIn { username: USERNAME, password }));
            }
        }
        Ok(None)
    }

    /// Whether somebody of the demo school can still sign in like this: until the password is changed.
    pub async fn is_current(&self, sign_in: &DemoSignIn) -> Result<bool, Error> {
        Ok(self.holds(sign_in.username, &sign_in.password).await?.is_some())
    }

    /// The enabled account of that name, if this is its password. For the console: neither throttled
    /// nor recorded.
    async fn holds(&self, username: &str, password: &str) -> Result<Option<Person>, Error> {
        let found = self.store.credential(Pii::new(username.to_owned())).await;
        let found = found.map_err(Error::store("look up an account"))?;
        let Some(credential) = found.filter(|found| !found.person.disabled) else {
            return Ok(None);
        };
        let verdict = self.hasher.verify(password, Some(&credential.password_hash)).await?;
        Ok((verdict != Verdict::Wrong).then_some(credential.person))
    }
}
