//! User names and display names as people type them.

use belfry_model::Pii;
use belfry_model::limits::NAME_CHARS_MAX;
use belfry_model::outside::{Outside, Parser};

/// A user name, in characters.
pub const USERNAME_CHARS_MAX: usize = 64;

/// A display name, in bytes: characters of up to four bytes, and the spaces around them.
pub const DISPLAY_NAME_BYTES_MAX: usize = NAME_CHARS_MAX * 4 + 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("it is empty")]
    Empty,
    #[error("it is too long")]
    TooLong,
    #[error("it has a character that a name cannot have")]
    Character,
}

/// A user name in any case, normalised: lower case, no white space around it.
pub static USERNAME: Parser<Pii<String>, NameError> =
    Parser::new("username", USERNAME_CHARS_MAX * 4, b"m.okafor", |bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| NameError::Character)?;
        let name = text.trim().to_lowercase();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.chars().count() > USERNAME_CHARS_MAX {
            return Err(NameError::TooLong);
        }
        let fits = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
        if name.chars().all(fits) { Ok(Pii::new(name)) } else { Err(NameError::Character) }
    });

/// The name that others see: inner white space becomes single spaces; nothing invisible that
/// could make one name look like another.
pub static DISPLAY_NAME: Parser<Pii<String>, NameError> =
    Parser::new("display_name", DISPLAY_NAME_BYTES_MAX, "Zoë Hartmann".as_bytes(), |bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| NameError::Character)?;
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(NameError::TooLong);
        }
        if name.chars().any(invisible) { Err(NameError::Character) } else { Ok(Pii::new(name)) }
    });

/// Controls, zero-width characters and those that turn the direction of writing.
fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// [`USERNAME`] for text that a form has already given.
pub fn normalise_username(text: &str) -> Result<Pii<String>, NameError> {
    parsed(&USERNAME, text)
}

pub(crate) fn display_name(text: &str) -> Result<Pii<String>, NameError> {
    parsed(&DISPLAY_NAME, text)
}

fn parsed(parser: &Parser<Pii<String>, NameError>, text: &str) -> Result<Pii<String>, NameError> {
    use belfry_model::outside::Refusal;
    parser.parse(Outside::new(text.as_bytes())).map_err(|refusal| match refusal {
        Refusal::TooLong { .. } => NameError::TooLong,
        Refusal::Malformed { source, .. } => source,
    })
}

#[cfg(test)]
mod tests {
    use super::{NameError, display_name, normalise_username};

    #[test]
    fn a_user_name_is_the_same_in_any_case() {
        assert_eq!(normalise_username(" M.Okafor ").unwrap().reveal(), "m.okafor");
        assert_eq!(normalise_username("ÉLODIE").unwrap().reveal(), "élodie");
        assert_eq!(normalise_username("two words"), Err(NameError::Character));
        assert_eq!(normalise_username("  "), Err(NameError::Empty));
        assert_eq!(normalise_username(&"x".repeat(65)), Err(NameError::TooLong));
    }

    #[test]
    fn a_display_name_has_nothing_invisible_in_it() {
        assert_eq!(display_name("  Zoë \t Hartmann ").unwrap().reveal(), "Zoë Hartmann");
        for trick in ["a\u{200b}b", "a\u{202e}b", "a\u{0}b"] {
            assert_eq!(display_name(trick), Err(NameError::Character), "{trick:?}");
        }
        assert_eq!(display_name(&"é".repeat(65)), Err(NameError::TooLong));
        assert_eq!(display_name(&"é".repeat(500)), Err(NameError::TooLong));
    }
}
