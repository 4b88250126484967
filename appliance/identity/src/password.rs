//! Passwords: the rules for new ones, and argon2id.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use belfry_keys::SecretKey;
use belfry_model::Role;
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::Error;

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane. About 40 ms of a small
/// server's core, so that a class of thirty is in within a second or two.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;

/// Passwords that are hashed at a time; each holds [`MEMORY_KIB`].
const HASHING_MAX: usize = 4;
/// Passwords that may wait to be hashed; more people are told to try again.
const WAITING_MAX: usize = 512;

/// A password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 512;
pub const STAFF_PASSWORD_CHARS_MIN: usize = 10;
pub const STUDENT_PASSWORD_CHARS_MIN: usize = 8;

/// Characters that a password must not consist of alone: fewer different ones than this.
const DIFFERENT_CHARS_MIN: usize = 4;

/// What guessers try first, lower case; digits and marks at the ends are cut off before looking.
const COMMON: &str = include_str!("common_passwords.txt");

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    #[error("it needs at least {chars_min} characters")]
    TooShort { chars_min: usize },
    #[error("it is too long")]
    TooLong,
    #[error("it is one of the passwords that everybody tries first")]
    Common,
    #[error("it contains the user name")]
    ContainsUsername,
    #[error("it uses the same few characters again and again")]
    Monotonous,
}

/// Whether a new password will do.
pub fn check_password(password: &str, username: &str, role: Role) -> Result<(), PasswordRule> {
    let chars_min = match role {
        Role::Admin | Role::Teacher => STAFF_PASSWORD_CHARS_MIN,
        Role::Student => STUDENT_PASSWORD_CHARS_MIN,
    };
    if password.chars().count() < chars_min {
        return Err(PasswordRule::TooShort { chars_min });
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordRule::TooLong);
    }
    let lower = password.to_lowercase();
    if lower.contains(username) {
        return Err(PasswordRule::ContainsUsername);
    }
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT_CHARS_MIN {
        return Err(PasswordRule::Monotonous);
    }
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    let common = |text: &str| COMMON.lines().any(|line| line == text);
    if common(&lower) || common(bare) { Err(PasswordRule::Common) } else { Ok(()) }
}

/// A password that is easy to read out: groups of letters and digits that look like no other.
/// 12 of 30 characters: 58 bits.
pub(crate) fn generate() -> Zeroizing<String> {
    readable(|| {
        let mut random = [0; 1];
        rand::rng().fill_bytes(&mut random);
        random[0]
    })
}

/// Such a password that a key and a label give again and again.
pub(crate) fn derive(key: &SecretKey, label: &str) -> Zeroizing<String> {
    let mut stream = (0_u8..).flat_map(|block| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes any key");
        mac.update(label.as_bytes());
        mac.update(&[0, block]);
        mac.finalize().into_bytes()
    });
    readable(|| stream.next().expect("256 blocks of 32 bytes are enough for 14 characters"))
}

fn readable(mut byte: impl FnMut() -> u8) -> Zeroizing<String> {
    const CHARS: &[u8; 30] = b"abcdefghjkmnpqrstuvwxyz2345679";
    let mut password = Zeroizing::new(String::with_capacity(14));
    while password.len() < 14 {
        if matches!(password.len(), 4 | 9) {
            password.push('-');
        }
        let index = usize::from(byte());
        // 240 = 8 * 30: what is above would make some characters likelier.
        if index < 240 {
            password.push(char::from(CHARS[index % CHARS.len()]));
        }
    }
    password
}

/// Hashes and verifies on threads of its own kind, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// The hash of nobody's password: an unknown user name takes as long as a known one.
    dummy: Arc<str>,
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed with parameters of another time.
    RightButOld,
}

impl Hasher {
    pub(crate) fn new() -> Result<Self, Error> {
        let dummy = hash(&generate())?.into();
        Ok(Self {
            running: Arc::new(Semaphore::new(HASHING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            dummy,
        })
    }

    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Error> {
        self.run(move || hash(&password)).await?
    }

    /// `stored`: `None` for somebody unknown.
    pub(crate) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<Verdict, Error> {
        let known = stored.is_some();
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.dummy), Arc::from);
        let password = Zeroizing::new(password.to_owned());
        let verdict = self.run(move || verify(&password, &stored)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        // The permit goes with the work: it is held until the memory is given back, even if
        // whoever asked has gone away.
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        })
        .await
        .map_err(|_| Error::Hash)
    }
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within argon2's limits")
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params())
}

fn hash(password: &str) -> Result<String, Error> {
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|_| Error::Hash)?;
    argon2id()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| Error::Hash)
}

/// Compares in constant time (`password_hash` does).
fn verify(password: &str, stored: &str) -> Verdict {
    if password.len() > PASSWORD_BYTES_MAX {
        return Verdict::Wrong;
    }
    let Ok(parsed) = PasswordHash::new(stored) else { return Verdict::Wrong };
    // The parameters are those in the stored hash.
    if argon2id().verify_password(password.as_bytes(), &parsed).is_err() {
        return Verdict::Wrong;
    }
    let ours = params();
    let same = Params::try_from(&parsed).is_ok_and(|theirs| {
        (theirs.m_cost(), theirs.t_cost(), theirs.p_cost())
            == (ours.m_cost(), ours.t_cost(), ours.p_cost())
    });
    if same { Verdict::Right } else { Verdict::RightButOld }
}

#[cfg(test)]
mod tests {
    use belfry_model::Role;

    use super::*;

    #[test]
    fn rules_say_what_is_wrong_with_a_password() {
        let student = |password| check_password(password, "kim.s", Role::Student);
        assert_eq!(student("maple7tr"), Ok(()));
        assert_eq!(student("short7"), Err(PasswordRule::TooShort { chars_min: 8 }));
        assert_eq!(student("Password123"), Err(PasswordRule::Common));
        assert_eq!(student("12345678"), Err(PasswordRule::Common));
        assert_eq!(student("my-KIM.S-pw"), Err(PasswordRule::ContainsUsername));
        assert_eq!(student("abababab"), Err(PasswordRule::Monotonous));
        assert_eq!(student(&"long word ".repeat(60)), Err(PasswordRule::TooLong));
        let teacher = check_password("maple7tr", "m.okafor", Role::Teacher);
        assert_eq!(teacher, Err(PasswordRule::TooShort { chars_min: 10 }));
    }

    #[test]
    fn a_generated_password_passes_the_rules_of_staff() {
        for _ in 0..200 {
            let password = generate();
            assert_eq!(password.len(), 14);
            assert_eq!(check_password(&password, "admin", Role::Admin), Ok(()), "{}", *password);
        }
        assert_ne!(*generate(), *generate());
    }

    #[test]
    fn a_hash_is_argon2id_with_its_own_salt_and_an_old_one_is_told_apart() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, hash("correct horse").unwrap());
        assert_eq!(verify("correct horse", &stored), Verdict::Right);
        assert_eq!(verify("wrong horse", &stored), Verdict::Wrong);
        assert_eq!(verify("anything", "not a hash"), Verdict::Wrong);

        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; SALT_BYTES]).unwrap();
        let old = weak.hash_password(b"correct horse", &salt).unwrap().to_string();
        assert_eq!(verify("correct horse", &old), Verdict::RightButOld);
    }
}
