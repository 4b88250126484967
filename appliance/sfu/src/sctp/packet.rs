//! The outer form of SCTP packets (RFC 9260, section 3), which is checked before the library gets
//! them: chunks and parameters that lie whole in the packet, each with the fields that its kind has.
//! What such a packet asks for is judged by `guard`.

use std::cmp::Ordering;

use belfry_model::outside::Parser;

use crate::outbox::DATAGRAM_BYTES_MAX;

const COMMON_HEADER_BYTES: usize = 12;
const HEAD_BYTES: usize = 4;
/// Chunks of one packet; a full one of the smallest has more, and nobody sends it.
const CHUNKS_MAX: usize = 64;
/// Parameters of one chunk.
const PARAMETERS_MAX: usize = 64;
/// Browsers number their data channels below this; each stream costs the library memory.
const STREAMS_MAX: u16 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("the packet ends inside a chunk")]
    Cut,
    #[error("a chunk is too short for its kind")]
    Short,
    #[error("a chunk is too long for its kind")]
    Long,
    #[error("too many chunks or parameters")]
    TooMany,
    #[error("no chunk at all")]
    Empty,
    #[error("an INIT is not alone")]
    Bundled,
    #[error("blocks of an acknowledgement overlap")]
    Overlapping,
    #[error("a cause of an error is padded and not the last")]
    Padded,
    #[error("stream {0} is beyond those of data channels")]
    Stream(u16),
}

/// What a packet asks for, as far as that depends on what came before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) chunks: usize,
    /// It is an INIT.
    pub(crate) begins: bool,
    /// Transmission sequence numbers of its data.
    pub(crate) data: Vec<u32>,
    /// Up to which number data are given up.
    pub(crate) forward: Vec<u32>,
    /// Numbers of requests to reset streams.
    pub(crate) resets: Vec<u32>,
}

/// Ports, tag and checksum, and one DATA chunk with one byte.
const SEED: [u8; 32] = [
    0x13, 0x88, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    51, b'x', 0, 0, 0,
];

/// Decrypted SCTP packets.
pub(crate) static PACKETS: Parser<Contents, PacketError> =
    Parser::new("sfu sctp packet", DATAGRAM_BYTES_MAX, &SEED, parse);

fn parse(bytes: &[u8]) -> Result<Contents, PacketError> {
    let mut rest = bytes.get(COMMON_HEADER_BYTES..).ok_or(PacketError::Cut)?;
    let (mut contents, mut alone) = (Contents::default(), false);
    while !rest.is_empty() {
        let (kind, body, after) = chunk(rest)?;
        contents.add(kind, body)?;
        alone |= matches!(kind, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        if contents.chunks > CHUNKS_MAX {
            return Err(PacketError::TooMany);
        }
        rest = after;
    }
    match contents.chunks {
        0 => Err(PacketError::Empty),
        2.. if alone => Err(PacketError::Bundled),
        _ => Ok(contents),
    }
}

/// The number up to which a packet of ours acknowledges all data, if it does.
pub(super) fn acknowledged(packet: &[u8]) -> Option<u32> {
    let mut rest = packet.get(COMMON_HEADER_BYTES..)?;
    while !rest.is_empty() {
        let (kind, body, after) = chunk(rest).ok()?;
        if kind == SACK {
            return number(body).ok();
        }
        rest = after;
    }
    None
}

/// Whether a packet is the answer to an INIT.
pub(super) fn is_init_ack(packet: &[u8]) -> bool {
    packet.get(COMMON_HEADER_BYTES) == Some(&INIT_ACK)
}

/// What is behind the common header.
pub(super) fn chunks(packet: &[u8]) -> &[u8] {
    packet.get(COMMON_HEADER_BYTES..).unwrap_or_default()
}

fn chunk(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), PacketError> {
    element(bytes, |head| (head[0], head[2], head[3]))
}

/// The number at the front.
fn number(bytes: &[u8]) -> Result<u32, PacketError> {
    bytes.first_chunk().map(|number| u32::from_be_bytes(*number)).ok_or(PacketError::Short)
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
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// The parameter that asks to reset streams (RFC 6525, section 4.1).
const OUTGOING_RESET: u16 = 13;

impl Contents {
    /// Adds a chunk, held to exactly the fields of its kind: the library takes what is left over in
    /// most kinds for further chunks. Of kinds that are not known it refuses the packet.
    fn add(&mut self, kind: u8, body: &[u8]) -> Result<(), PacketError> {
        self.chunks += 1;
        match kind {
            DATA => self.data.push(data(body)?),
            INIT | INIT_ACK => {
                self.begins |= kind == INIT;
                greeting(body)?;
            }
            SACK => acknowledgement(body)?,
            HEARTBEAT | HEARTBEAT_ACK => parameters(body, 1, |_, _| Ok(()))?,
            ABORT | ERROR => causes(body)?,
            RECONFIG => parameters(body, 2, |kind, body| {
                if kind == OUTGOING_RESET {
                    self.resets.push(number(body)?);
                }
                Ok(())
            })?,
            SHUTDOWN => exactly(body, 4)?,
            SHUTDOWN_ACK | COOKIE_ACK | SHUTDOWN_COMPLETE => exactly(body, 0)?,
            COOKIE_ECHO if body.is_empty() => return Err(PacketError::Short),
            FORWARD_TSN if !body.len().is_multiple_of(4) => return Err(PacketError::Short),
            FORWARD_TSN => self.forward.push(number(body)?),
            _ => {}
        }
        Ok(())
    }
}

fn exactly(body: &[u8], len: usize) -> Result<(), PacketError> {
    match body.len().cmp(&len) {
        Ordering::Less => Err(PacketError::Short),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(PacketError::Long),
    }
}

/// An INIT or its answer: five numbers and parameters, of which the last is not empty (section
/// 3.3.2): the library overlooks an empty one there and takes it for a chunk.
fn greeting(body: &[u8]) -> Result<(), PacketError> {
    let (_, rest) = body.split_at_checked(16).ok_or(PacketError::Short)?;
    let mut overlooked = false;
    parameters(rest, PARAMETERS_MAX, |_, value| {
        overlooked = value.is_empty();
        Ok(())
    })?;
    if overlooked { Err(PacketError::Long) } else { Ok(()) }
}

/// Number, stream, its own number, protocol and at least a byte (section 3.3.1).
fn data(body: &[u8]) -> Result<u32, PacketError> {
    let [a, b, c, d, high, low, _, _, _, _, _, _, _, ..] = body else {
        return Err(PacketError::Short);
    };
    match u16::from_be_bytes([*high, *low]) {
        stream if stream >= STREAMS_MAX => Err(PacketError::Stream(stream)),
        _ => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
    }
}

/// An acknowledgement whose blocks follow each other, as everybody writes them: the library goes
/// through each number of each (section 3.3.4).
fn acknowledgement(body: &[u8]) -> Result<(), PacketError> {
    let (head, blocks) = body.split_at_checked(12).ok_or(PacketError::Short)?;
    let half = |bytes: &[u8], at: usize| {
        let half = bytes.get(at..at + 2).and_then(<[u8]>::first_chunk::<2>);
        half.map_or(0, |half| u16::from_be_bytes(*half))
    };
    let (gaps, repeats) = (usize::from(half(head, 8)), usize::from(half(head, 10)));
    exactly(blocks, (gaps + repeats) * 4)?;
    blocks.chunks_exact(4).take(gaps).try_fold(0, |before, block| {
        let (start, end) = (half(block, 0), half(block, 2));
        if start > before && end >= start { Ok(end) } else { Err(PacketError::Overlapping) }
    })?;
    Ok(())
}

/// Causes of an error (section 3.3.10), of which only the last may be padded: the library looks for
/// the next one where the value of the one before ends, and trusts the length that it finds there.
fn causes(body: &[u8]) -> Result<(), PacketError> {
    let mut padded = false;
    parameters(body, PARAMETERS_MAX, |_, value| {
        let before = std::mem::replace(&mut padded, !value.len().is_multiple_of(4));
        if before { Err(PacketError::Padded) } else { Ok(()) }
    })
}

/// At most so many parameters, or causes of an error, which have the same form (section 3.2.1).
fn parameters(
    mut rest: &[u8],
    count_max: usize,
    mut each: impl FnMut(u16, &[u8]) -> Result<(), PacketError>,
) -> Result<(), PacketError> {
    for _ in 0..count_max {
        if rest.is_empty() {
            return Ok(());
        }
        let kind =
            |head: &[u8; HEAD_BYTES]| (u16::from_be_bytes([head[0], head[1]]), head[2], head[3]);
        let (kind, body, after) = element(rest, kind)?;
        each(kind, body)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(PacketError::TooMany) }
}

#[cfg(test)]
mod tests {
    use super::{Contents, PACKETS, PacketError, SEED, acknowledged};
    use belfry_model::outside::Target;
    use proptest::prelude::*;

    /// The number of chunks.
    fn parse(bytes: &[u8]) -> Result<usize, PacketError> {
        super::parse(bytes).map(|contents| contents.chunks)
    }

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

    #[test]
    fn nothing_is_left_over_that_the_library_would_take_for_chunks() {
        let refused = |chunk: &[u8], error| assert_eq!(parse(&packet(&[chunk])), Err(error));
        // An error inside an answer that has no body, whose cause is longer than all.
        let within = [[14, 0, 0, 12], [9, 0, 0, 8], [0, 1, 0, 127]].concat();
        refused(&within, PacketError::Long);
        refused(&[7, 0, 0, 12, 0, 0, 0, 1, 9, 0, 0, 4], PacketError::Long);
        refused(&[4, 0, 0, 12, 0, 1, 0, 4, 0, 1, 0, 4], PacketError::TooMany);
        let sack = [3, 0, 0, 20, 0, 0, 0, 1, 0, 0, 9, 9, 0, 0, 0, 0, 9, 0, 0, 4];
        refused(&sack, PacketError::Long);
        let mut init = vec![1, 0, 0, 24];
        init.extend([1; 16]);
        init.extend([130, 0, 0, 4]);
        refused(&init, PacketError::Long);
        // Two causes: the first may not be padded, the last may.
        refused(&[9, 0, 0, 16, 0, 1, 0, 5, 7, 0, 0, 0, 0, 1, 0, 4], PacketError::Padded);
        let whole = [9, 0, 0, 13, 0, 1, 0, 4, 0, 1, 0, 5, 7, 0, 0, 0];
        assert_eq!(parse(&packet(&[&whole])), Ok(1));
    }

    #[test]
    fn what_depends_on_the_association_is_found() {
        let forward = [192, 0, 0, 8, 0, 0, 9, 9];
        let reset = [130, 0, 0, 20, 0, 13, 0, 16, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
        let found = super::parse(&packet(&[&SEED[12..], &forward, &reset])).expect("sound");
        let expected = Contents {
            chunks: 3,
            begins: false,
            data: vec![1],
            forward: vec![0x909],
            resets: vec![7],
        };
        assert_eq!(found, expected);
        let mut far = SEED.to_vec();
        far[20] = 4;
        assert_eq!(parse(&far), Err(PacketError::Stream(1_024)));
    }

    #[test]
    fn blocks_of_an_acknowledgement_follow_each_other() {
        let sack = |blocks: &[[u8; 4]]| {
            let mut sack = vec![3, 0, 0, 16 + blocks.len() as u8 * 4, 0, 0, 0, 5, 0, 0, 9, 9, 0];
            sack.extend([blocks.len() as u8, 0, 0]);
            sack.extend(blocks.concat());
            packet(&[&sack])
        };
        assert_eq!(parse(&sack(&[[0, 2, 0, 3], [0, 5, 0, 5]])), Ok(1));
        assert_eq!(acknowledged(&sack(&[])), Some(5));
        for wrong in [[0, 3, 0, 9], [0, 9, 0, 8], [0, 0, 0, 1]] {
            let overlapping = sack(&[[0, 2, 0, 3], wrong]);
            assert_eq!(parse(&overlapping), Err(PacketError::Overlapping));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<usize, PacketError> = parse(&bytes);
        }
    }
}
