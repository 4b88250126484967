//! A list of people taken over at once, each new one with a password of our choice.

use std::fmt;

use belfry_audit::{Class as AuditedClass, Detail, Person as Audited, PersonRole};
use belfry_model::{Pii, Role, Timestamp};
use belfry_store::{Band, EnrolledAs, Import, NewPerson};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::accounts::{admin, names, stepped_up, word};
use crate::error::Error;
use crate::name::{display_name, normalise_username};
use crate::password::generate;
use crate::session::SignedIn;
use crate::sign_in::{Identity, event};

/// New accounts of one import: each password takes its time to hash.
pub const IMPORT_NEW_MAX: usize = 500;

/// Somebody who gets an account.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    pub username: Pii<String>,
    pub name: Pii<String>,
    pub role: Role,
}

/// What is to be taken over, into the school of whoever does it.
#[derive(Clone, Debug, Default)]
pub struct ImportList {
    pub people: Vec<ImportedAccount>,
    pub classes: Vec<(String, Band)>,
    /// User name, class, and as what.
    pub enrolments: Vec<(Pii<String>, String, EnrolledAs)>,
}

/// A new account with its first password: to be shown once.
pub struct FirstPassword {
    pub account: ImportedAccount,
    pub password: Zeroizing<String>,
}

impl fmt::Debug for FirstPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstPassword").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes all of it in one step or nothing. That it is done is recorded before; what came of it,
    /// account by account, after.
    pub async fn import(
        &self,
        by: &SignedIn,
        list: ImportList,
        now: Timestamp,
    ) -> Result<Vec<FirstPassword>, Error> {
        admin(by)?;
        stepped_up(by, now)?;
        if list.people.len() > IMPORT_NEW_MAX {
            return Err(Error::TooManyAccounts);
        }
        let (rows, passwords) = self.with_passwords(by, list.people).await?;
        let detail = Detail::PeopleImported {
            people: rows.len() as u64,
            classes: list.classes.len() as u64,
            enrolments: list.enrolments.len() as u64,
        };
        self.ledger.append(event(by, detail, now)).await.map_err(Error::Ledger)?;
        let import = Import { people: rows, classes: list.classes, enrolments: list.enrolments };
        let made = self.store.import(by.school, import, now).await;
        let made = made.map_err(Error::store("take a list of people over"))?;
        for ((person, role), first) in made.people.iter().zip(&passwords) {
            let detail = Detail::PersonCreated { person: Audited(person.0), role: word(*role) };
            let (id, account) = (person.to_string(), &first.account);
            let beside = names(&id, &account.name, &account.username);
            self.ledger.enqueue_with(event(by, detail, now), &beside);
        }
        let classes =
            made.classes.iter().map(|class| Detail::ClassCreated { class: AuditedClass(class.0) });
        let enrolments = made.enrolments.iter().map(|(class, person, enrolled_as)| {
            let role = match enrolled_as {
                EnrolledAs::Teacher => PersonRole::Teacher,
                EnrolledAs::Student => PersonRole::Student,
            };
            let (class, person) = (AuditedClass(class.0), Audited(person.0));
            Detail::EnrolmentAdded { class, person, role }
        });
        for detail in classes.chain(enrolments) {
            self.ledger.enqueue(event(by, detail, now));
        }
        Ok(passwords)
    }

    async fn with_passwords(
        &self,
        by: &SignedIn,
        people: Vec<ImportedAccount>,
    ) -> Result<(Vec<NewPerson>, Vec<FirstPassword>), Error> {
        let mut hashing = JoinSet::new();
        let mut passwords = Vec::with_capacity(people.len());
        for (index, account) in people.into_iter().enumerate() {
            let account = ImportedAccount {
                username: normalise_username(account.username.reveal()).map_err(Error::Name)?,
                name: display_name(account.name.reveal()).map_err(Error::Name)?,
                role: account.role,
            };
            let password = generate();
            let (hasher, to_hash) = (self.hasher.clone(), password.clone());
            // In line behind those who sign in meanwhile: never more than a few wait.
            if hashing.len() >= HASHING_AHEAD_MAX {
                hashed(&mut hashing, &mut passwords).await?;
            }
            hashing.spawn(async move { (index, hasher.hash(to_hash).await) });
            passwords.push((FirstPassword { account, password }, String::new()));
        }
        while !hashing.is_empty() {
            hashed(&mut hashing, &mut passwords).await?;
        }
        let row = |(first, password_hash): &(FirstPassword, String)| NewPerson {
            school: by.school,
            username: first.account.username.clone(),
            name: first.account.name.clone(),
            role: first.account.role,
            password_hash: password_hash.clone(),
            must_change: true,
            disabled: false,
        };
        let rows = passwords.iter().map(row).collect();
        Ok((rows, passwords.into_iter().map(|(first, _)| first).collect()))
    }
}

/// Passwords of an import that are hashed or wait for it at a time.
const HASHING_AHEAD_MAX: usize = 4;

type Hashing = JoinSet<(usize, Result<String, Error>)>;

async fn hashed(
    hashing: &mut Hashing,
    passwords: &mut [(FirstPassword, String)],
) -> Result<(), Error> {
    let Some(done) = hashing.join_next().await else { return Ok(()) };
    let (index, hash) = done.map_err(|_| Error::Hash)?;
    passwords[index].1 = hash?;
    Ok(())
}
