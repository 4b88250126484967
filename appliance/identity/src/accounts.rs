//! Making and changing accounts: recorded first, then done.

use std::net::IpAddr;

use belfry_audit::{Detail, Person as Audited, PersonRole};
use belfry_model::{PersonId, Pii, Role, SchoolId, Timestamp};
use belfry_store::{NewPerson, Person, PersonChange};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::name::{display_name, normalise_username};
use crate::password::{check_password, generate};
use crate::session::SignedIn;
use crate::sign_in::{Identity, Issued, event};

/// An account as an admin types it.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub school: SchoolId,
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
}

/// What an admin may change of an account.
#[derive(Clone, Debug)]
pub struct AccountChange {
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
}

/// A new account, or one with a new password: to be shown once, and changed at the next sign-in.
pub struct Created {
    pub person: PersonId,
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for Created {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created").field("person", &self.person).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes an account with a password of our choice. It is disabled until its creation is
    /// recorded.
    pub async fn create_account(
        &self,
        by: &SignedIn,
        new: NewAccount,
        now: Timestamp,
    ) -> Result<Created, Error> {
        admin(by)?;
        if new.role != Role::Student {
            stepped_up(by, now)?;
        }
        let username = normalise_username(new.username.reveal()).map_err(Error::Name)?;
        let name = display_name(new.name.reveal()).map_err(Error::Name)?;
        let password = generate();
        let password_hash = self.hasher.hash(password.clone()).await?;
        let row = NewPerson {
            school: new.school,
            username: username.clone(),
            name: name.clone(),
            role: new.role,
            password_hash,
            must_change: true,
            disabled: true,
        };
        let person =
            self.store.create_person(row, now).await.map_err(Error::store("create an account"))?;
        let detail = Detail::PersonCreated { person: Audited(person.0), role: word(new.role) };
        self.record_named(by, detail, (person, &name, &username), now).await?;
        self.store
            .set_disabled(person, false, now)
            .await
            .map_err(Error::store("enable an account"))?;
        Ok(Created { person, password })
    }

    /// Changes names and role. Another role ends the person's sessions.
    pub async fn change_account(
        &self,
        by: &SignedIn,
        person: PersonId,
        change: AccountChange,
        now: Timestamp,
    ) -> Result<(), Error> {
        admin(by)?;
        let before = self.account(by, person).await?;
        let change = PersonChange {
            username: normalise_username(change.username.reveal()).map_err(Error::Name)?,
            name: display_name(change.name.reveal()).map_err(Error::Name)?,
            role: change.role,
        };
        let other_role = before.role != change.role;
        if other_role {
            stepped_up(by, now)?;
            if before.role == Role::Admin && !before.disabled {
                self.keep_an_admin(by).await?;
            }
            let (from, to) = (word(before.role), word(change.role));
            let person = Audited(person.0);
            self.record(by, Detail::PersonRoleChanged { person, from, to }, now).await?;
        }
        if before.username != change.username || before.name != change.name {
            let detail = Detail::PersonChanged { person: Audited(person.0) };
            self.record_named(by, detail, (person, &change.name, &change.username), now).await?;
        }
        self.store
            .change_person(person, change, now)
            .await
            .map_err(Error::store("change an account"))?;
        if other_role {
            self.store
                .end_sessions_of(person)
                .await
                .map_err(Error::store("end the sessions of a person"))?;
        }
        Ok(())
    }

    /// Disables an account, which signs it out everywhere, or enables it again.
    pub async fn set_disabled(
        &self,
        by: &SignedIn,
        person: PersonId,
        disabled: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        admin(by)?;
        let before = self.account(by, person).await?;
        if before.disabled == disabled {
            return Ok(());
        }
        if disabled && before.role == Role::Admin {
            self.keep_an_admin(by).await?;
        }
        let audited = Audited(person.0);
        let detail = if disabled {
            Detail::PersonDisabled { person: audited }
        } else {
            Detail::PersonEnabled { person: audited }
        };
        self.record(by, detail, now).await?;
        self.store
            .set_disabled(person, disabled, now)
            .await
            .map(drop)
            .map_err(Error::store("disable an account"))
    }

    /// Gives an account a password of our choice and signs it out everywhere.
    pub async fn reset_password(
        &self,
        by: &SignedIn,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Created, Error> {
        admin(by)?;
        stepped_up(by, now)?;
        self.account(by, person).await?;
        let password = generate();
        let hash = self.hasher.hash(password.clone()).await?;
        self.record(by, Detail::PasswordReset { person: Audited(person.0) }, now).await?;
        self.store
            .set_password(person, hash, true, now)
            .await
            .map_err(Error::store("set a password"))?;
        Ok(Created { person, password })
    }

    /// A person changes their own password: every session ends, and a new one begins.
    pub async fn change_password(
        &self,
        who: &SignedIn,
        current: &str,
        new: &str,
        peer: Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<Issued<SignedIn>, Error> {
        let mut person = self.retype(who, current, &peer, now).await?;
        check_password(new, person.username.reveal(), person.role).map_err(Error::Password)?;
        let hash = self.hasher.hash(new.to_owned().into()).await?;
        self.record(who, Detail::PasswordChanged { person: Audited(who.person.0) }, now).await?;
        self.store
            .set_password(who.person, hash, false, now)
            .await
            .map_err(Error::store("set a password"))?;
        person.must_change = false;
        self.issue(&person, now).await
    }

    /// Ends every session of a person; of one's own, or as an admin. How many there were.
    pub async fn end_sessions(
        &self,
        by: &SignedIn,
        person: PersonId,
        now: Timestamp,
    ) -> Result<u64, Error> {
        if by.person != person {
            admin(by)?;
            self.account(by, person).await?;
        }
        let count = self
            .store
            .end_sessions_of(person)
            .await
            .map_err(Error::store("end the sessions of a person"))?;
        let detail = Detail::SessionsEnded { person: Audited(person.0), count };
        self.ledger.enqueue(event(by, detail, now));
        Ok(count)
    }

    /// An account of the admin's own district; another's does not exist for them.
    pub(crate) async fn account(&self, by: &SignedIn, person: PersonId) -> Result<Person, Error> {
        self.store
            .person(person)
            .await
            .map_err(Error::store("look up an account"))?
            .filter(|found| found.district == by.district)
            .ok_or(Error::NoSuchPerson)
    }

    pub(crate) async fn keep_an_admin(&self, by: &SignedIn) -> Result<(), Error> {
        let count = self
            .store
            .enabled_count(by.district, Role::Admin)
            .await
            .map_err(Error::store("count the admins"))?;
        if count <= 1 { Err(Error::LastAdmin) } else { Ok(()) }
    }

    /// With the names beside the entry: who a number was is what an auditor asks first. They are erased
    /// with the person.
    async fn record_named(
        &self,
        by: &SignedIn,
        detail: Detail,
        (person, name, username): (PersonId, &Pii<String>, &Pii<String>),
        now: Timestamp,
    ) -> Result<(), Error> {
        let id = person.to_string();
        let beside = names(&id, name, username);
        let recorded = self.ledger.append_with(event(by, detail, now), &beside).await;
        recorded.map(drop).map_err(Error::Ledger)
    }

    async fn record(&self, by: &SignedIn, detail: Detail, now: Timestamp) -> Result<(), Error> {
        self.ledger.append(event(by, detail, now)).await.map(drop).map_err(Error::Ledger)
    }
}

/// What stands beside an entry about whoever is known by these names.
pub(crate) fn names<'a>(
    id: &'a str,
    name: &'a Pii<String>,
    username: &'a Pii<String>,
) -> [(&'static str, &'a str); 3] {
    [("name", name.reveal()), ("person", id), ("user_name", username.reveal())]
}

pub(crate) fn admin(by: &SignedIn) -> Result<(), Error> {
    if by.role == Role::Admin { Ok(()) } else { Err(Error::NotAllowed) }
}

pub(crate) fn stepped_up(by: &SignedIn, now: Timestamp) -> Result<(), Error> {
    if by.stepped_up(now) { Ok(()) } else { Err(Error::StepUpNeeded) }
}

pub(crate) fn word(role: Role) -> PersonRole {
    match role {
        Role::Admin => PersonRole::Admin,
        Role::Auditor => PersonRole::Auditor,
        Role::Teacher => PersonRole::Teacher,
        Role::Student => PersonRole::Student,
    }
}
