//! Guests: somebody without an account, in one lesson.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use belfry_audit::{Actor, Detail, Event, Lesson, Participant, Scope};
use belfry_model::{DistrictId, Identity as ParticipantIdentity, LessonId, SchoolId, Timestamp};
use belfry_store::{Holder, SessionRow};
use rand::RngCore;

use crate::error::Error;
use crate::name::display_name;
use crate::session::Guest;
use crate::sign_in::{Identity, Issued};

/// Random bytes of a guest's identity.
const IDENTITY_BYTES: usize = 12;

impl Identity {
    /// Signs a guest in for one lesson. That the lesson takes guests, and that the code of the
    /// link is right, is for the caller to know.
    pub async fn sign_in_guest(
        &self,
        district: DistrictId,
        school: SchoolId,
        lesson: LessonId,
        name: &str,
        now: Timestamp,
    ) -> Result<Issued<Guest>, Error> {
        let name = display_name(name).map_err(Error::Name)?;
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
            expires_at: now.plus_ms(self.policy.guest.absolute_ms),
            stepped_up_at: None,
        };
        let who = self.guest(row.clone())?;
        self.store.create_session(row).await.map_err(Error::store("create a session"))?;
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

    /// Ends the guests' sessions of a lesson that is over; how many there were.
    pub async fn end_guests(&self, lesson: LessonId) -> Result<u64, Error> {
        self.store
            .end_guest_sessions(lesson)
            .await
            .map_err(Error::store("end the guests' sessions"))
    }
}
