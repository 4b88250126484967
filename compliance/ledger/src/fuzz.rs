//! The parser of what other processes send as a function of bytes, for fuzzing: compliance imports nothing
//! of the appliance, so `tests/fuzz` takes it from here.

use crate::remote::wire::{Reply, Request, decode};

/// A hello.
pub const REQUEST_SEED: &[u8] = &[0, 7];

/// What comes to the record's process; whether it is a request. What it asks to have recorded must have a
/// canonical form.
pub fn request(bytes: &[u8]) -> bool {
    let request = decode::<Request>(bytes);
    if let Ok(Request::Group { entries, .. }) = &request {
        for sent in entries {
            assert!(sent.event.canonical_via(None, Some(0)).ends_with('}'));
        }
    }
    request.is_ok()
}

/// What comes from it.
pub const REPLY_SEED: &[u8] = &[3, 0, 0, 1, 1, 0];

/// Whether it is an answer.
pub fn reply(bytes: &[u8]) -> bool {
    decode::<Reply>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{REPLY_SEED, REQUEST_SEED, reply, request};

    #[test]
    fn seeds_are_taken() {
        assert!(request(REQUEST_SEED) && reply(REPLY_SEED));
    }
}
