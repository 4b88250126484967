//! Time-limited credentials: the user name says until when and whose they are, the password is its
//! HMAC under a secret that control and media share. Nothing is stored.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belfry_model::ParticipantSid;

/// The longest user name of ours.
const USERNAME_BYTES_MAX: usize = 128;

/// What a client signs in to the relay with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Credentials of a participant that are good until `expires` (seconds since 1970).
pub fn issue(secret: &[u8], participant: &ParticipantSid, expires: u64) -> Credentials {
    let username = format!("{expires}:{participant}");
    let password = password(secret, &username);
    Credentials { username, password }
}

/// The form of the user name and the use of SHA-1 are those that TURN servers agree on ("REST API
/// for access to TURN services"): a district may put its own server beside ours.
pub(crate) fn password(secret: &[u8], username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// Until when, and whose.
pub(crate) fn read(username: &str) -> Option<(u64, ParticipantSid)> {
    if username.len() > USERNAME_BYTES_MAX {
        return None;
    }
    let (expires, participant) = username.split_once(':')?;
    let participant = (!participant.is_empty()).then(|| ParticipantSid::new(participant))?;
    Some((expires.parse().ok()?, participant))
}

#[cfg(test)]
mod tests {
    use belfry_model::ParticipantSid;

    use super::{issue, password, read};

    #[test]
    fn credentials_say_until_when_and_whose_they_are() {
        let made = issue(b"secret", &ParticipantSid::new("PA_1"), 1_700_000_000);
        assert_eq!(made.username, "1700000000:PA_1");
        assert_eq!(read(&made.username), Some((1_700_000_000, ParticipantSid::new("PA_1"))));
        assert_eq!(made.password, password(b"secret", &made.username));
        assert_ne!(made.password, password(b"other", &made.username));
        assert!(!format!("{made:?}").contains(&made.password));
    }

    #[test]
    fn a_user_name_of_another_form_is_nobodys() {
        for wrong in ["", "1", "1:", ":PA_1", "x:PA_1", &format!("1:{}", "x".repeat(200))] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
