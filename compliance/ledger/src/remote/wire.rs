//! What goes over the socket: frames of four bytes of length (big-endian) and a message in postcard.

use std::io::{self, Read};

use belfry_audit::{Event, Hash};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::Error;
use crate::opening::Beside;
use crate::queue::GROUP_EVENTS_MAX;

/// Bytes of one message.
pub(crate) const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that say which of a group's entries are written.
pub(crate) const WRITTEN_BYTES: usize = GROUP_EVENTS_MAX / 8;

/// What the control process asks.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// First of all, and after the line broke: what became of the last group?
    Hello { client: u64 },
    /// Entries to be recorded; `first`: how many this client has sent before, which names the group.
    Group { first: u64, entries: Vec<Sent> },
    /// A checkpoint of all that is recorded.
    Checkpoint,
    /// Nothing; the answer tells how the record does.
    Beat,
}

/// An event on its way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) event: Event,
    pub(crate) beside: Beside,
}

/// What the ledger's process answers, each time with how the record does.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) health: Told,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The client's last group of which anything is in the record, and what of it.
    Hello(Option<Written>),
    /// One result an entry, in their order.
    Group(Vec<Result<Recorded, Error>>),
    Checkpoint(Result<Option<String>, Error>),
    Beat,
}

/// What of a client's group is in the record: a bit an entry, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) first: u64,
    pub(crate) bits: Vec<u8>,
}

impl Written {
    pub(crate) fn holds(&self, place: usize) -> bool {
        self.bits.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
    }

    pub(crate) fn put(&mut self, place: usize) {
        self.bits.resize(WRITTEN_BYTES, 0);
        if let Some(byte) = self.bits.get_mut(place / 8) {
            *byte |= 1 << (place % 8);
        }
    }
}

/// Where an event stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) seq: u64,
    leaf: [u8; 32],
}

impl Recorded {
    pub(crate) fn new(seq: u64, leaf: Hash) -> Self {
        Self { seq, leaf: leaf.0 }
    }

    pub(crate) fn leaf(&self) -> Hash {
        Hash(self.leaf)
    }
}

/// How the record does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) failing: Option<String>,
    pub(crate) damaged: Option<String>,
    pub(crate) entries: u64,
    pub(crate) published: u64,
    /// A commit failed, and it is not known yet whether the file has it.
    pub(crate) unsettled: bool,
}

pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(message).expect("messages hold only types that postcard writes")
}

/// A message from its bytes; what is left over is no message either.
pub(crate) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> io::Result<M> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of this version")),
    }
}

fn length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(bytes) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    Ok(length)
}

/// A message as it goes onto the line; `None`: it is too long for a frame.
pub(crate) fn packed(message: &impl Serialize) -> Option<Vec<u8>> {
    let body = encode(message);
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_BYTES_MAX)?;
    Some([&length.to_be_bytes()[..], &body].concat())
}

/// Blocking, for the client.
pub(crate) fn receive<M: DeserializeOwned>(line: &mut impl Read) -> io::Result<M> {
    let mut head = [0; 4];
    line.read_exact(&mut head)?;
    let mut body = vec![0; length(head)?];
    line.read_exact(&mut body)?;
    decode(&body)
}

/// For the server. `None`: the other side has closed the line.
pub(crate) async fn next<M: DeserializeOwned>(
    line: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<M>> {
    let mut head = [0; 4];
    match line.read_exact(&mut head).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let mut body = vec![0; length(head)?];
    line.read_exact(&mut body).await?;
    decode(&body).map(Some)
}

pub(crate) async fn answer(
    line: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "an answer is too long");
    line.write_all(&packed(message).ok_or_else(too_long)?).await
}

#[cfg(test)]
mod tests {
    use super::{FRAME_BYTES_MAX, Request, Written, decode, encode, packed, receive};

    #[test]
    fn a_message_comes_back_as_it_went_and_nothing_else_does() {
        let hello = Request::Hello { client: 7 };
        let line = packed(&hello).unwrap();
        assert!(packed(&vec![0_u8; FRAME_BYTES_MAX]).is_none());
        assert_eq!(receive::<Request>(&mut &line[..]).unwrap(), hello);
        let mut long = encode(&hello);
        long.push(0);
        assert!(decode::<Request>(&long).is_err());
        assert!(receive::<Request>(&mut &[0xff; 8][..]).is_err(), "a length beyond the limit");
    }

    #[test]
    fn the_bits_of_a_group_are_its_entries() {
        let mut written = Written { first: 3, bits: Vec::new() };
        assert!(!written.holds(0));
        for place in [0, 9, 511] {
            written.put(place);
        }
        let held: Vec<_> = (0..600).filter(|place| written.holds(*place)).collect();
        assert_eq!(held, [0, 9, 511]);
    }
}
