//! Guests: somebody without an account, in one lesson.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use belfry_audit::{Actor, Detail, Event, Lesson, Participant, Scope, ThrottledBy};
use belfry_model::{
    DistrictId, Identity as ParticipantIdentity, LessonId, Pii, SchoolId, Timestamp,
};
use belfry_store::{Holder, SessionRow};
use rand::RngCore;

use crate::error::Error;
use crate::name::display_name;
use crate::session::Guest;
use crate::sign_in::{Identity, Issued};
use crate::throttle::{self, guest_subject};

/// Random bytes of a guest's identity.
const IDENTITY_BYTES: usize = 12;

/// Guests of one lesson who have a session at the same time; those who wait are counted.
const LESSON_GUESTS_MAX: u64 = 200;

impl Identity {
    /// Signs a guest in for one lesson. That the lesson takes guests, and that the code of the
    /// link is right, is for the caller to know. `peer` only serves the throttle.
    pub async fn sign_in_guest(
        &self,
        (district, school): (DistrictId, SchoolId),
        lesson: LessonId,
        name: &str,
        peer: &Pii<IpAddr>,
        now: Timestamp,
    ) -> Result<Issued<Guest>, Error> {
        let name = display_name(name).map_err(Error::Name)?;
        self.may_come(peer, now).await?;
        let mut random = [0; IDENTITY_BYTES];
        rand::rng().fill_bytes(&mut random);
        let identity = ParticipantIdentity::new(format!("g{}", BASE64.encode(random)));
        let (token, token_hash) = Self::new_token();
        let row = SessionRow {
            token_hash,
            holder: Holder::Guest { lesson, identity: identity.clone(), name },
            district,
            school,
            created_at: now,
            seen_at: now,
            expires_at: now.plus_ms(self.policy().guest.absolute_ms),
            stepped_up_at: None,
        };
        let who = self.guest(row.clone())?;
        let made = self.store.create_guest_session(lesson, row, LESSON_GUESTS_MAX).await;
        if !made.map_err(Error::store("create a session"))? {
            return Err(Error::TooManyGuests);
        }
        self.ledger.enqueue(Event {
            at_ms: now.0,
            scope: Scope::school(district.0, school.0),
            actor: Actor::participant(identity.as_str()),
            detail: Detail::GuestSignedIn {
                lesson: Lesson(lesson.0),
                participant: Participant::new(identity.as_str()),
            },
        });
        Ok(Issued { token, who })
    }

    async fn may_come(&self, peer: &Pii<IpAddr>, now: Timestamp) -> Result<(), Error> {
        let limits = self.policy().throttle;
        let subject = guest_subject(&self.keys.throttle().current, peer);
        let decided = self.store.throttle(subject, move |rows| throttle::guest(rows, now, &limits));
        let decided = decided.await.map_err(Error::store("throttle a guest"))?;
        let Err(retry_after_ms) = decided else { return Ok(()) };
        let detail = Detail::SignInThrottled { person: None, by: ThrottledBy::Address };
        self.note(None, Actor::Anonymous, detail, None, now).await;
        Err(Error::Throttled { retry_after_ms })
    }

    /// Ends the guests' sessions of a lesson that is over; how many there were.
    pub async fn end_guests(&self, lesson: LessonId) -> Result<u64, Error> {
        self.store
            .end_guest_sessions(lesson)
            .await
            .map_err(Error::store("end the guests' sessions"))
    }
}
