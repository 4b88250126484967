//! A look into the ClientHello before the library sees it: which SRTP profiles it offers.
//! A hello with a post-quantum key share does not fit one datagram, so its fragments are put
//! together here.

use belfry_model::{Outside, outside::Parser};

use crate::outbox::DATAGRAM_BYTES_MAX;

/// RFC 6347, section 4.1.
const RECORD_HEADER_BYTES: usize = 13;
/// RFC 6347, section 4.2.2.
const HANDSHAKE_HEADER_BYTES: usize = 12;
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=24;
const CONTENT_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const VERSION_MAJOR: u8 = 254;
/// RFC 5764, section 4.1.1.
const EXTENSION_USE_SRTP: u16 = 14;
const RANDOM_BYTES: usize = 32;
/// One ClientHello with everything that browsers put into it.
const HELLO_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("not whole DTLS records")]
    Record,
    #[error("not a ClientHello")]
    Hello,
}

/// A close_notify alert in the clear: one whole record.
const RECORD_SEED: [u8; RECORD_HEADER_BYTES + 2] =
    [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0];

/// The records of one datagram.
pub(crate) static RECORDS: Parser<Records, HelloError> =
    Parser::new("sfu dtls records", DATAGRAM_BYTES_MAX, &RECORD_SEED, parse_records);

/// Version, random, empty session id and cookie, one suite, null compression, and `use_srtp` with
/// one profile.
const HELLO_SEED: [u8; 54] = {
    let mut seed = [0; 54];
    let head = [254, 253];
    seed[0] = head[0];
    seed[1] = head[1];
    // 2..34 random, 34 session id, 35 cookie; cipher suites:
    seed[37] = 2;
    seed[38] = 0xc0;
    seed[39] = 0x2b;
    // Compression methods:
    seed[40] = 1;
    // Extensions, the one extension, its profiles, no MKI:
    seed[43] = 9;
    seed[45] = 14;
    seed[47] = 5;
    seed[49] = 2;
    seed[51] = 7;
    seed
};

/// The body of a ClientHello; yields the offered SRTP profiles.
pub(crate) static HELLOS: Parser<Vec<u16>, HelloError> =
    Parser::new("sfu dtls hello", HELLO_BYTES_MAX, &HELLO_SEED, |bytes| {
        parse_hello(bytes).ok_or(HelloError::Hello)
    });

/// What a datagram consists of.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Pieces of ClientHellos.
    pub(crate) hellos: Vec<Fragment>,
    pub(crate) count: usize,
    /// Of them, those of the handshake, and their bytes.
    pub(crate) handshakes: usize,
    pub(crate) handshake_bytes: usize,
}

/// A piece of a ClientHello.
#[derive(Debug)]
pub(crate) struct Fragment {
    message_len: usize,
    offset: usize,
    bytes: Vec<u8>,
}

/// Reads from the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of `len` bytes.
    fn number(&mut self, len: usize) -> Option<usize> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// A vector with a length of `len` bytes before it.
    fn vector(&mut self, len: usize) -> Option<Reader<'a>> {
        let bytes = self.number(len)?;
        self.take(bytes).map(Reader)
    }
}

fn parse_records(bytes: &[u8]) -> Result<Records, HelloError> {
    let mut reader = Reader(bytes);
    let mut records = Records::default();
    if bytes.is_empty() {
        return Err(HelloError::Record);
    }
    while !reader.0.is_empty() {
        let (header, mut body) = parse_record(&mut reader).ok_or(HelloError::Record)?;
        let [content, major, _minor, epoch @ ..] = header else { return Err(HelloError::Record) };
        if !CONTENT_TYPES.contains(content) || *major != VERSION_MAJOR {
            return Err(HelloError::Record);
        }
        records.count += 1;
        if *content == CONTENT_HANDSHAKE {
            records.handshakes += 1;
            records.handshake_bytes += body.0.len();
        }
        // Epoch 0 is in the clear.
        if *content == CONTENT_HANDSHAKE && epoch.starts_with(&[0, 0]) {
            while !body.0.is_empty() {
                let (kind, piece) = parse_fragment(&mut body).ok_or(HelloError::Record)?;
                if kind == CLIENT_HELLO {
                    records.hellos.push(piece);
                }
            }
        }
    }
    Ok(records)
}

fn parse_record<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Reader<'a>)> {
    let header = reader.take(RECORD_HEADER_BYTES - 2)?;
    Some((header, reader.vector(2)?))
}

/// A piece of a handshake message, and of which kind.
fn parse_fragment(reader: &mut Reader<'_>) -> Option<(u8, Fragment)> {
    let mut header = Reader(reader.take(HANDSHAKE_HEADER_BYTES)?);
    let kind = header.number(1)? as u8;
    let message_len = header.number(3)?;
    let _sequence = header.number(2)?;
    let offset = header.number(3)?;
    let len = header.number(3)?;
    let bytes = reader.take(len)?.to_vec();
    (offset + len <= message_len).then_some((kind, Fragment { message_len, offset, bytes }))
}

fn parse_hello(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut reader = Reader(bytes);
    reader.take(2 + RANDOM_BYTES)?;
    let _session = reader.vector(1)?;
    let _cookie = reader.vector(1)?;
    let _suites = reader.vector(2)?;
    let _compressions = reader.vector(1)?;
    if reader.0.is_empty() {
        return Some(Vec::new());
    }
    let mut extensions = reader.vector(2)?;
    let mut profiles = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let mut extension = extensions.vector(2)?;
        if kind == usize::from(EXTENSION_USE_SRTP) {
            let mut list = extension.vector(2)?;
            while !list.0.is_empty() {
                profiles.push(list.number(2)? as u16);
            }
        }
    }
    Some(profiles)
}

/// A ClientHello that is being put together.
#[derive(Debug, Default)]
pub(super) struct Hello {
    body: Vec<u8>,
    message_len: usize,
}

impl Hello {
    /// Takes the next piece. Pieces come in order or are sent again: what does not continue is left
    /// out.
    pub(super) fn add(&mut self, fragment: &Fragment) {
        if fragment.message_len > HELLO_BYTES_MAX || self.is_complete() {
            return;
        }
        if fragment.offset == 0 {
            self.body.clear();
            self.message_len = fragment.message_len;
        }
        if fragment.offset == self.body.len() && fragment.message_len == self.message_len {
            self.body.extend_from_slice(&fragment.bytes);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.message_len > 0 && self.body.len() == self.message_len
    }

    /// The offered SRTP profiles, once the hello is complete.
    pub(super) fn profiles(&self) -> Option<Vec<u16>> {
        if !self.is_complete() {
            return None;
        }
        Some(HELLOS.parse(Outside::new(&self.body)).unwrap_or_default())
    }
}
