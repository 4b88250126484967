//! Erasing a person: recorded first, then gone from the record's openings and from the database.

use belfry_audit::{Detail, ErasedBecause, EventKind, Person as Audited};
use belfry_ledger::Receipt;
use belfry_model::{PersonId, Role, Timestamp};
use belfry_store::{Erased, Person};

use crate::accounts::{admin, stepped_up};
use crate::error::Error;
use crate::session::SignedIn;
use crate::sign_in::{Identity, event};

impl Identity {
    /// Why this person cannot be erased now, if anything speaks against it.
    pub async fn may_erase(
        &self,
        by: &SignedIn,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, Error> {
        admin(by)?;
        stepped_up(by, now)?;
        let found = self.account(by, person).await?;
        if by.person == person {
            return Err(Error::OwnAccount);
        }
        if found.role == Role::Admin && !found.disabled {
            self.keep_an_admin(by).await?;
        }
        let in_lesson = self.store.is_in_lesson(person).await;
        if in_lesson.map_err(Error::store("look for a person in lessons"))? {
            return Err(Error::InLesson);
        }
        Ok(found)
    }

    /// Erases all that is kept about a person, for good. What was recorded stays in the record, under a
    /// number that leads to nobody any more.
    pub async fn erase_account(
        &self,
        by: &SignedIn,
        person: PersonId,
        because: ErasedBecause,
        now: Timestamp,
    ) -> Result<Erased, Error> {
        let found = self.may_erase(by, person, now).await?;
        let detail = Detail::PersonErased { person: Audited(person.0), because };
        let receipt = self.ledger.append(event(by, detail, now)).await.map_err(Error::Ledger)?;
        // Whoever is signed in with it is not any more, before anything else goes.
        let out = self.store.set_disabled(person, true, now).await;
        out.map_err(Error::store("disable an account"))?;
        self.erase(receipt, by, &found, now).await
    }

    /// The record's openings first: without the account nobody would know which they are, so that an erasure
    /// that is broken off can be done again.
    async fn erase(
        &self,
        receipt: Receipt,
        by: &SignedIn,
        person: &Person,
        now: Timestamp,
    ) -> Result<Erased, Error> {
        debug_assert_eq!(
            receipt.kind(),
            EventKind::PersonErased,
            "what was recorded is the erasure"
        );
        let (ledger, id) = (self.ledger.clone(), person.id);
        let username = person.username.clone();
        let (scope, actor) = (by.scope(), by.actor());
        let openings = tokio::task::spawn_blocking(move || {
            let openings = ledger.openings_of_blocking(id.0, username.reveal())?;
            if !openings.is_empty() {
                ledger.erase_blocking(now.0, scope, actor, openings)?;
            }
            Ok(())
        });
        openings.await.map_err(|_| Error::Openings)?.map_err(Error::Ledger)?;
        let erased = self.store.erase_person(id, now).await;
        erased.map_err(Error::store("erase an account"))
    }
}
