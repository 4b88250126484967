//! Local ICE credentials. The ufrag says whose connection it is, so that the first STUN check of
//! an unknown source finds its shard and its connection without a table.

use rand::{Rng, distr::Alphanumeric};

/// Hex digits of the shard, then of the key.
const SHARD_CHARS: usize = 2;
const KEY_CHARS: usize = 8;
/// Random characters of the ufrag: two connections that use the same key one after the other, and
/// the two halves of a restart, must differ.
const UFRAG_RANDOM_CHARS: usize = 8;
/// 24 characters of 62: 142 bits (RFC 8445, section 5.3 asks for 128).
const PWD_CHARS: usize = 24;

/// Who owns the connection that a STUN check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub shard: u8,
    /// The key of the connection in its shard.
    pub key: u32,
}

impl Route {
    /// The route that is written into one of our ufrags.
    pub(super) fn of_ufrag(ufrag: &str) -> Option<Self> {
        let (shard, rest) = ufrag.split_at_checked(SHARD_CHARS)?;
        let (key, random) = rest.split_at_checked(KEY_CHARS)?;
        if random.len() != UFRAG_RANDOM_CHARS {
            return None;
        }
        Some(Self {
            shard: u8::from_str_radix(shard, 16).ok()?,
            key: u32::from_str_radix(key, 16).ok()?,
        })
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) pwd: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl Credentials {
    pub(super) fn generate(route: Route) -> Self {
        let random = random_chars(UFRAG_RANDOM_CHARS);
        Self {
            ufrag: format!("{:02x}{:08x}{random}", route.shard, route.key),
            pwd: random_chars(PWD_CHARS),
        }
    }
}

/// `ice-char`s (RFC 8839, section 5.4) without `+` and `/`.
fn random_chars(count: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(count).map(char::from).collect()
}
