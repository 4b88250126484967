//! Bytes from outside, and the registry of the parsers that may read them.
//!
//! Whatever comes from a socket, a form or a file that somebody uploaded is wrapped in [`Outside`]
//! at the edge. The only way to its bytes is [`Parser::parse`], so every parser of outside bytes is
//! a `static` [`Parser`]; each crate lists its own in `pub static PARSERS: &[&dyn Target]`, and
//! the fuzz suite runs all of them. Each parser has a limit on its input, counts what it refuses
//! and says how it wants a refusal to be worded.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that came from outside and that nobody has looked at yet.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a>(&'a [u8]);

impl<'a> Outside<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn len(self) -> usize {
        self.0.len()
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// Why outside bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal<E> {
    #[error("{parser}: {bytes} bytes, at most {bytes_max} are taken")]
    TooLong { parser: &'static str, bytes: usize, bytes_max: usize },
    #[error("{parser}: malformed input")]
    Malformed {
        parser: &'static str,
        #[source]
        source: E,
    },
}

/// A parser of outside bytes. Declare each as a `static` and list it in its crate's `PARSERS`.
///
/// `T` is what it yields. It must own its parts: a parser that borrows from its input is written
/// as one that yields offsets.
#[derive(Debug)]
pub struct Parser<T, E> {
    name: &'static str,
    bytes_max: usize,
    parse: fn(&[u8]) -> Result<T, E>,
    seed: &'static [u8],
    refused_count: AtomicU64,
}

impl<T, E> Parser<T, E> {
    /// `name` is unique in the workspace; `seed` is an input that the parser accepts, from which
    /// fuzzing starts.
    pub const fn new(
        name: &'static str,
        bytes_max: usize,
        seed: &'static [u8],
        parse: fn(&[u8]) -> Result<T, E>,
    ) -> Self {
        Self { name, bytes_max, parse, seed, refused_count: AtomicU64::new(0) }
    }

    /// Parses, or refuses and counts.
    pub fn parse(&self, outside: Outside<'_>) -> Result<T, Refusal<E>> {
        let bytes = outside.0;
        let parsed = if bytes.len() > self.bytes_max {
            Err(Refusal::TooLong {
                parser: self.name,
                bytes: bytes.len(),
                bytes_max: self.bytes_max,
            })
        } else {
            (self.parse)(bytes).map_err(|source| Refusal::Malformed { parser: self.name, source })
        };
        if parsed.is_err() {
            self.refused_count.fetch_add(1, Ordering::Relaxed);
        }
        parsed
    }
}

/// A registered parser, without its types: what fuzzing and metrics need of it.
pub trait Target: Sync {
    fn name(&self) -> &'static str;
    fn bytes_max(&self) -> usize;
    /// An input that the parser accepts.
    fn seed(&self) -> &'static [u8];
    /// How many inputs were refused since start.
    fn refused_count(&self) -> u64;
    /// Parses and drops the result; `true` if it was accepted.
    fn feed(&self, bytes: &[u8]) -> bool;
}

impl<T, E> Target for Parser<T, E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    fn seed(&self) -> &'static [u8] {
        self.seed
    }

    fn refused_count(&self) -> u64 {
        self.refused_count.load(Ordering::Relaxed)
    }

    fn feed(&self, bytes: &[u8]) -> bool {
        self.parse(Outside::new(bytes)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Outside, Parser, Refusal, Target};

    static DIGIT: Parser<u8, &str> = Parser::new("digit", 2, b"7", |bytes| match bytes {
        [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
        _ => Err("not a digit"),
    });

    #[test]
    fn a_parser_accepts_its_seed_and_counts_what_it_refuses() {
        assert_eq!(DIGIT.parse(Outside::new(DIGIT.seed())).expect("the seed is a digit"), 7);
        assert!(matches!(DIGIT.parse(Outside::new(b"x")), Err(Refusal::Malformed { .. })));
        assert!(matches!(DIGIT.parse(Outside::new(b"123")), Err(Refusal::TooLong { .. })));
        assert_eq!(DIGIT.refused_count(), 2);
    }
}
