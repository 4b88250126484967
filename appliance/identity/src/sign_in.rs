//! Signing in, recognising a session, typing the password again, signing out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use belfry_audit::{Actor, Detail, Event, Person as Audited, RefusedBecause, Scope, ThrottledBy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::outside::Outside;
use belfry_model::{DistrictId, Pii, Timestamp};
use belfry_settings::Settings;
use belfry_store::{Credential, Holder, Person, SessionRow, Store};
use tokio::sync::watch;

use crate::error::Error;
use crate::hash::{Hasher, Verdict};
use crate::name::normalise_username;
use crate::policy::Policy;
use crate::session::{Guest, Session, SignedIn, csrf};
use crate::throttle::{self, Decision, subjects};
use crate::token::{SESSION_TOKEN, SessionToken, TokenHash};

/// A session's last use is written this often at most.
const TOUCH_EVERY_MS: i64 = 60_000;

/// Who is this. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Arc<Keys>,
    policy: Arc<dyn Fn() -> Policy + Send + Sync>,
    pub(crate) hasher: Hasher,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("policy", &self.policy()).finish_non_exhaustive()
    }
}

/// A session with the token that the browser is to be given.
#[derive(Debug)]
pub struct Issued<T> {
    pub token: SessionToken,
    pub who: T,
}

impl Identity {
    pub fn new(
        store: Store,
        ledger: Ledger,
        keys: Arc<Keys>,
        policy: Policy,
    ) -> Result<Self, Error> {
        let policy = Arc::new(move || policy);
        Ok(Self { store, ledger, keys, policy, hasher: Hasher::new()? })
    }

    /// Keeps to the settings as they are at any time, also for sessions that have begun.
    #[must_use]
    pub fn following(self, settings: watch::Receiver<Arc<Settings>>) -> Self {
        Self { policy: Arc::new(move || Policy::from(&**settings.borrow())), ..self }
    }

    pub(crate) fn policy(&self) -> Policy {
        (self.policy)()
    }

    /// Signs somebody in by password. `peer` only serves the throttle.
    pub async fn sign_in(
        &self,
        username: &str,
        password: &str,
        peer: Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<Issued<SignedIn>, Error> {
        // What cannot be a user name is as unknown as any other, and takes as long.
        let username = normalise_username(username).unwrap_or_default();
        let credential = self
            .store
            .credential(username.clone())
            .await
            .map_err(Error::store("look up an account"))?;
        let account = credential.as_ref().map(|credential| &credential.person);
        self.may_try(username.reveal(), account, &peer, now).await?;
        let checked = self.check(credential, password).await?;
        let credential = match checked {
            Ok(credential) => credential,
            Err((because, person)) => {
                self.count_failure(username.reveal(), &peer, now).await?;
                let detail =
                    Detail::SignInRefused { person: person.as_ref().map(audited), because };
                let typed = person.is_none().then_some(&username);
                self.note(person.as_ref(), Actor::Anonymous, detail, typed, now).await;
                return Err(Error::Wrong);
            }
        };
        self.count_success(username.reveal(), &peer).await?;
        let person = credential.person;
        let issued = self.issue(&person, now).await?;
        self.ledger.enqueue(event(&issued.who, Detail::SignedIn { person: audited(&person) }, now));
        tracing::info!(person = %person.id, role = person.role.as_str(), "signed in");
        Ok(issued)
    }

    /// Whoever the value of a session cookie stands for, if anybody.
    pub async fn session(&self, token: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        let Ok(token_hash) = SESSION_TOKEN.parse(Outside::new(token.as_bytes())) else {
            return Ok(None);
        };
        let found =
            self.store.session(token_hash).await.map_err(Error::store("look up a session"))?;
        let Some((mut row, person)) = found else { return Ok(None) };
        let lifetime = self.policy().lifetime_of(person.as_ref().map(|person| person.role));
        // Limits that were made narrower since the sign-in hold for this session, too.
        row.expires_at = row.expires_at.min(row.created_at.plus_ms(lifetime.absolute_ms));
        let idle = now.since_ms(row.seen_at) >= lifetime.idle_ms;
        let disabled = person.as_ref().is_some_and(|person| person.disabled);
        if idle || disabled || now >= row.expires_at {
            self.store.end_session(token_hash).await.map_err(Error::store("end a session"))?;
            return Ok(None);
        }
        if now.since_ms(row.seen_at) >= TOUCH_EVERY_MS {
            self.store
                .touch_session(token_hash, now)
                .await
                .map_err(Error::store("touch a session"))?;
        }
        Ok(Some(match person {
            Some(person) => Session::Person(self.signed_in(&row, person)),
            None => Session::Guest(self.guest(row)?),
        }))
    }

    /// The password typed again: opens for a while what needs that, under a new token.
    pub async fn step_up(
        &self,
        who: &SignedIn,
        password: &str,
        peer: Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<Issued<SignedIn>, Error> {
        self.retype(who, password, &peer, now).await?;
        let (token, token_hash) = SessionToken::generate();
        let rotated = self
            .store
            .rotate_session(who.token_hash, token_hash, Some(now), now)
            .await
            .map_err(Error::store("rotate a session"))?;
        if !rotated {
            return Err(Error::SessionEnded);
        }
        let detail = Detail::SteppedUp { person: Audited(who.person.0) };
        self.ledger.enqueue(event(who, detail, now));
        let stepped_up_until = Some(now.plus_ms(self.policy().step_up_ms));
        let csrf = csrf(&self.keys.csrf().current, &token_hash);
        Ok(Issued { token, who: SignedIn { csrf, stepped_up_until, token_hash, ..who.clone() } })
    }

    /// Ends the session; `false` if it had ended already.
    pub async fn sign_out(&self, session: &Session, now: Timestamp) -> Result<bool, Error> {
        let ended = self
            .store
            .end_session(session.token_hash())
            .await
            .map_err(Error::store("end a session"))?;
        if ended {
            let person = session.person().map(|who| Audited(who.person.0));
            self.ledger.enqueue(Event {
                at_ms: now.0,
                scope: session.scope(),
                actor: session.actor(),
                detail: Detail::SignedOut { person },
            });
        }
        Ok(ended)
    }

    /// Removes what has ended; to be called now and then.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, Error> {
        let stale = now.plus_ms(-self.policy().throttle.forget_after_ms);
        self.store.sweep_sessions(now, stale).await.map_err(Error::store("sweep the sessions"))
    }

    /// Checks the password of somebody who is signed in, throttled like a sign-in.
    pub(crate) async fn retype(
        &self,
        who: &SignedIn,
        password: &str,
        peer: &Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<Person, Error> {
        let credential = self
            .store
            .credential_of(who.person)
            .await
            .map_err(Error::store("look up an account"))?
            .ok_or(Error::SessionEnded)?;
        let username = credential.person.username.clone();
        self.may_try(username.reveal(), Some(&credential.person), peer, now).await?;
        if let Ok(credential) = self.check(Some(credential), password).await? {
            self.count_success(username.reveal(), peer).await?;
            return Ok(credential.person);
        }
        self.count_failure(username.reveal(), peer, now).await?;
        let detail = Detail::StepUpRefused { person: Audited(who.person.0) };
        self.ledger.enqueue(event(who, detail, now));
        Err(Error::Wrong)
    }

    /// A new session for a person.
    pub(crate) async fn issue(
        &self,
        person: &Person,
        now: Timestamp,
    ) -> Result<Issued<SignedIn>, Error> {
        let (token, token_hash) = SessionToken::generate();
        let row = SessionRow {
            token_hash,
            holder: Holder::Person(person.id),
            district: person.district,
            school: person.school,
            created_at: now,
            seen_at: now,
            expires_at: now.plus_ms(self.policy().lifetime_of(Some(person.role)).absolute_ms),
            stepped_up_at: Some(now),
        };
        let who = self.signed_in(&row, person.clone());
        self.store.create_session(row).await.map_err(Error::store("create a session"))?;
        Ok(Issued { token, who })
    }

    /// The right password of an enabled account, or why not.
    async fn check(
        &self,
        credential: Option<Credential>,
        password: &str,
    ) -> Result<Result<Credential, (RefusedBecause, Option<Person>)>, Error> {
        let stored = credential.as_ref().map(|credential| credential.password_hash.as_str());
        let verdict = self.hasher.verify(password, stored).await?;
        let Some(credential) = credential else {
            return Ok(Err((RefusedBecause::UnknownName, None)));
        };
        if verdict == Verdict::Wrong {
            return Ok(Err((RefusedBecause::WrongPassword, Some(credential.person))));
        }
        if credential.person.disabled {
            return Ok(Err((RefusedBecause::Disabled, Some(credential.person))));
        }
        if verdict == Verdict::RightButOld {
            let new = self.hasher.hash(password.to_owned().into()).await?;
            self.store
                .rehash_password(credential.person.id, credential.password_hash.clone(), new)
                .await
                .map_err(Error::store("rehash a password"))?;
        }
        Ok(Ok(credential))
    }

    async fn may_try(
        &self,
        username: &str,
        account: Option<&Person>,
        peer: &Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let limits = self.policy().throttle;
        let decision = self
            .store
            .throttle(self.subjects(username, peer), move |rows| {
                throttle::attempt(rows, now, &limits)
            })
            .await
            .map_err(Error::store("throttle a sign-in"))?;
        let (by, retry_after_ms) = match decision {
            Decision::Go => return Ok(()),
            Decision::AccountWaits { retry_after_ms } => (ThrottledBy::Account, retry_after_ms),
            Decision::AddressWaits { retry_after_ms } => (ThrottledBy::Address, retry_after_ms),
        };
        let detail = Detail::SignInThrottled { person: account.map(audited), by };
        self.note(account, Actor::Anonymous, detail, None, now).await;
        Err(Error::Throttled { retry_after_ms })
    }

    async fn count_failure(
        &self,
        username: &str,
        peer: &Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let limits = self.policy().throttle;
        self.store
            .throttle(self.subjects(username, peer), move |rows| {
                throttle::failed(rows, now, &limits);
            })
            .await
            .map_err(Error::store("throttle a sign-in"))
    }

    async fn count_success(&self, username: &str, peer: &Pii<IpAddr>) -> Result<(), Error> {
        self.store
            .throttle(self.subjects(username, peer), throttle::succeeded)
            .await
            .map_err(Error::store("throttle a sign-in"))
    }

    fn subjects(&self, username: &str, peer: &Pii<IpAddr>) -> Vec<[u8; 32]> {
        subjects(&self.keys.throttle().current, username, peer)
    }

    /// Enqueues an event about somebody who is not signed in. `typed`: a user name that nobody has, as it was
    /// typed; it stands beside the entry. What cannot be a user name is not kept: it may be a password.
    pub(crate) async fn note(
        &self,
        about: Option<&Person>,
        actor: Actor,
        detail: Detail,
        typed: Option<&Pii<String>>,
        now: Timestamp,
    ) {
        let scope = match about {
            Some(person) => Scope::school(person.district.0, person.school.0),
            None => Scope::district(self.district().await.0),
        };
        let event = Event { at_ms: now.0, scope, actor, detail };
        match typed.map(Pii::reveal).filter(|typed| !typed.is_empty()) {
            Some(typed) => self.ledger.enqueue_with(event, &[("user_name", typed)]),
            None => self.ledger.enqueue(event),
        }
    }

    /// The district of this appliance; 0 before it was set up.
    pub(crate) async fn district(&self) -> DistrictId {
        match self.store.district().await {
            Ok(Some(district)) => district.id,
            Ok(None) | Err(_) => DistrictId(0),
        }
    }

    fn signed_in(&self, row: &SessionRow, person: Person) -> SignedIn {
        SignedIn {
            person: person.id,
            district: person.district,
            school: person.school,
            role: person.role,
            name: person.name,
            username: person.username,
            must_change: person.must_change,
            csrf: csrf(&self.keys.csrf().current, &row.token_hash),
            stepped_up_until: row.stepped_up_at.map(|at| at.plus_ms(self.policy().step_up_ms)),
            expires_at: row.expires_at,
            token_hash: row.token_hash,
        }
    }

    pub(crate) fn guest(&self, row: SessionRow) -> Result<Guest, Error> {
        let Holder::Guest { lesson, identity, name } = row.holder else {
            // The account is gone, and its sessions go with it.
            return Err(Error::SessionEnded);
        };
        Ok(Guest {
            lesson,
            identity,
            district: row.district,
            school: row.school,
            name,
            csrf: csrf(&self.keys.csrf().current, &row.token_hash),
            expires_at: row.expires_at,
            token_hash: row.token_hash,
        })
    }

    /// The hash of a session's token, for callers that keep the session itself.
    pub(crate) fn new_token() -> (SessionToken, TokenHash) {
        SessionToken::generate()
    }
}

pub(crate) fn audited(person: &Person) -> Audited {
    Audited(person.id.0)
}

/// An event of somebody who is signed in.
pub(crate) fn event(who: &SignedIn, detail: Detail, now: Timestamp) -> Event {
    Event { at_ms: now.0, scope: who.scope(), actor: who.actor(), detail }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
