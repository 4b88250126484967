//! The outer form of SCTP packets (RFC 9260, section 3), which is checked before the library gets
//! them: chunks and parameters that lie whole in the packet, each with the fields that its kind has.

use belfry_model::outside::Parser;

use crate::outbox::DATAGRAM_BYTES_MAX;

const COMMON_HEADER_BYTES: usize = 12;
const HEAD_BYTES: usize = 4;
/// Chunks of one packet; a full one of the smallest has more, and nobody sends it.
const CHUNKS_MAX: usize = 64;
/// Parameters of one chunk.
const PARAMETERS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("the packet ends inside a chunk")]
    Cut,
    #[error("a chunk is too short for its kind")]
    Short,
    #[error("too many chunks or parameters")]
    TooMany,
    #[error("no chunk at all")]
    Empty,
    #[error("an INIT is not alone")]
    Bundled,
}

/// Ports, tag and checksum, and one DATA chunk with one byte.
const SEED: [u8; 32] = [
    0x13, 0x88, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    51, b'x', 0, 0, 0,
];

/// Decrypted SCTP packets; yields the number of their chunks.
pub(crate) static PACKETS: Parser<usize, PacketError> =
    Parser::new("sfu sctp packet", DATAGRAM_BYTES_MAX, &SEED, parse);

fn parse(bytes: &[u8]) -> Result<usize, PacketError> {
    let mut rest = bytes.get(COMMON_HEADER_BYTES..).ok_or(PacketError::Cut)?;
    let (mut count, mut alone) = (0, false);
    while !rest.is_empty() {
        let (kind, body, after) = element(rest, |head| (head[0], head[2], head[3]))?;
        check(kind, body)?;
        alone |= matches!(kind, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        count += 1;
        if count > CHUNKS_MAX {
            return Err(PacketError::TooMany);
        }
        rest = after;
    }
    match count {
        0 => Err(PacketError::Empty),
        2.. if alone => Err(PacketError::Bundled),
        _ => Ok(count),
    }
}

/// Kind, body and what follows of the first chunk or parameter; `head` finds its kind and length.
fn element<K>(
    bytes: &[u8],
    head: impl Fn(&[u8; HEAD_BYTES]) -> (K, u8, u8),
) -> Result<(K, &[u8], &[u8]), PacketError> {
    let first: &[u8; HEAD_BYTES] = bytes.first_chunk().ok_or(PacketError::Cut)?;
    let (kind, high, low) = head(first);
    let len = usize::from(u16::from_be_bytes([high, low]));
    let body = bytes.get(HEAD_BYTES..len).ok_or(PacketError::Cut)?;
    // Padded to four bytes, but for the last that some leave unpadded.
    let after = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    Ok((kind, body, after))
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const SHUTDOWN_COMPLETE: u8 = 14;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// Holds a chunk's body to the fields of its kind; kinds that are not known have none.
fn check(kind: u8, body: &[u8]) -> Result<(), PacketError> {
    let fixed = |len: usize| body.split_at_checked(len).ok_or(PacketError::Short);
    match kind {
        // At least a byte of data (section 3.3.1).
        DATA => fixed(13).map(drop),
        INIT | INIT_ACK => parameters(fixed(16)?.1),
        SACK => {
            let (head, blocks) = fixed(12)?;
            let count = |at: usize| {
                let number = head.get(at..at + 2).and_then(<[u8]>::first_chunk::<2>);
                number.map_or(0, |number| usize::from(u16::from_be_bytes(*number)))
            };
            let needed = (count(8) + count(10)) * 4;
            if blocks.len() < needed { Err(PacketError::Short) } else { Ok(()) }
        }
        HEARTBEAT | HEARTBEAT_ACK | ABORT | ERROR | RECONFIG => parameters(body),
        SHUTDOWN => fixed(4).map(drop),
        COOKIE_ECHO => fixed(1).map(drop),
        FORWARD_TSN => match fixed(4)?.1.len() % 4 {
            0 => Ok(()),
            _ => Err(PacketError::Short),
        },
        _ => Ok(()),
    }
}

/// Parameters, or causes of an error, which have the same form (section 3.2.1).
fn parameters(mut rest: &[u8]) -> Result<(), PacketError> {
    for _ in 0..PARAMETERS_MAX {
        if rest.is_empty() {
            return Ok(());
        }
        rest = element(rest, |head| ((), head[2], head[3]))?.2;
    }
    Err(PacketError::TooMany)
}

#[cfg(test)]
mod tests {
    use super::{PACKETS, PacketError, SEED, parse};
    use belfry_model::outside::Target;
    use proptest::prelude::*;

    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        [&SEED[..12]].iter().chain(chunks).flat_map(|part| part.iter().copied()).collect()
    }

    #[test]
    fn whole_chunks_are_counted_and_others_refused() {
        assert!(PACKETS.feed(&SEED));
        let cookie_ack: &[u8] = &[11, 0, 0, 4];
        assert_eq!(parse(&packet(&[cookie_ack, &SEED[12..]])), Ok(2));
        assert_eq!(parse(&packet(&[])), Err(PacketError::Empty));
        assert_eq!(parse(&SEED[..11]), Err(PacketError::Cut));
        // A length beyond the packet, one below its own header, and a body without its fields.
        assert_eq!(parse(&packet(&[&[11, 0, 0, 9]])), Err(PacketError::Cut));
        assert_eq!(parse(&packet(&[&[11, 0, 0, 3]])), Err(PacketError::Cut));
        assert_eq!(parse(&packet(&[&[0, 3, 0, 8, 0, 0, 0, 1]])), Err(PacketError::Short));
        assert_eq!(parse(&packet(&[cookie_ack; 65])), Err(PacketError::TooMany));
    }

    #[test]
    fn counts_and_parameters_have_to_lie_in_their_chunk() {
        // A SACK that says one gap block, without and with it.
        let sack = [3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 9, 9, 0, 1, 0, 0];
        assert_eq!(parse(&packet(&[&sack])), Err(PacketError::Short));
        let mut whole = sack.to_vec();
        whole[3] = 20;
        whole.extend([0, 2, 0, 3]);
        assert_eq!(parse(&packet(&[&whole])), Ok(1));
        // A heartbeat whose information is longer than the chunk.
        assert_eq!(parse(&packet(&[&[4, 0, 0, 8, 0, 1, 0, 9]])), Err(PacketError::Cut));
        let mut init = vec![1, 0, 0, 20];
        init.extend([1; 16]);
        assert_eq!(parse(&packet(&[&init])), Ok(1));
        assert_eq!(parse(&packet(&[&init, &[11, 0, 0, 4]])), Err(PacketError::Bundled));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<usize, PacketError> = parse(&bytes);
        }
    }
}
