//! What the process says to the one that started it.

use belfry_model::outside::Parser;

/// Bytes of one word: a sentence for a person.
const WORD_BYTES_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The record is open, be it damaged.
    Ready,
    /// It cannot be opened; this sentence says what to do.
    Unusable(String),
}

#[derive(Debug, thiserror::Error)]
#[error("no word of the record's process")]
pub(crate) struct Unknown;

pub(crate) static WORDS: Parser<Word, Unknown> =
    Parser::new("recorder word", WORD_BYTES_MAX, b"r", |bytes| match bytes {
        [b'r'] => Ok(Word::Ready),
        [b'u', sentence @ ..] => match str::from_utf8(sentence) {
            Ok(sentence) => Ok(Word::Unusable(sentence.to_owned())),
            Err(_) => Err(Unknown),
        },
        _ => Err(Unknown),
    });

impl Word {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ready => b"r".to_vec(),
            Self::Unusable(sentence) => {
                let end = sentence.floor_char_boundary(WORD_BYTES_MAX - 1);
                format!("u{}", &sentence[..end]).into_bytes()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;

    use super::{WORDS, Word};

    #[test]
    fn a_word_comes_back_as_it_went_however_long() {
        let long = Word::Unusable("é".repeat(5_000));
        for word in [Word::Ready, Word::Unusable("the disk is full".to_owned())] {
            let back = WORDS.parse(Outside::new(&word.encode())).expect("own words parse");
            assert_eq!(back, word);
        }
        assert!(WORDS.parse(Outside::new(&long.encode())).is_ok());
        assert!(WORDS.parse(Outside::new(b"u\xff")).is_err());
    }
}
