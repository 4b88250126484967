//! Passwords: the rules for new ones, and how one of our choice is made.

use belfry_keys::SecretKey;
use belfry_model::Role;
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use zeroize::Zeroizing;

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
        Role::Admin | Role::Auditor | Role::Teacher => STAFF_PASSWORD_CHARS_MIN,
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
}
