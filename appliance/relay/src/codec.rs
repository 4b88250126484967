//! The packet path's part of the protocol: ChannelData, Send and Data, and frames of a stream.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use belfry_model::outside::Parser;

/// The largest message of a client: a UDP datagram's worth of data and what is around it.
pub const FRAME_BYTES_MAX: usize = 2_048;
/// What of a stream may wait to be taken apart: more than a message and a read.
pub const STREAM_BYTES_MAX: usize = 65_536;
pub const CHANNEL_HEADER_BYTES: usize = 4;
const STUN_HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const SEND_INDICATION: [u8; 2] = [0x00, 0x16];
const DATA_INDICATION: [u8; 2] = [0x00, 0x17];
const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("neither STUN nor ChannelData")]
    Kind,
    #[error("the length is not that of the datagram")]
    Length,
    #[error("{0} bytes are more than a message may have")]
    TooLong(usize),
    #[error("an attribute is missing or cut")]
    Attribute,
}

/// What a ChannelData message says: the channel and where its data are.
pub static CHANNELS: Parser<(u16, Range<usize>), CodecError> =
    Parser::new("relay channel data", FRAME_BYTES_MAX, &[0x40, 0, 0, 1, 9], channel);

/// The first message of a stream.
pub static FRAMES: Parser<Option<Frame>, CodecError> =
    Parser::new("relay frame", STREAM_BYTES_MAX, &[0x40, 0, 0, 1, 9, 0, 0, 0], frame);

/// A Send indication (RFC 8656 section 11.1).
pub static SENDS: Parser<Sending, CodecError> =
    Parser::new("relay send indication", FRAME_BYTES_MAX, SEND_SEED, send);

const SEND_SEED: &[u8] = &[
    0x00, 0x16, 0x00, 0x14, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, //
    0x00, 0x12, 0x00, 0x08, 0x00, 0x01, 0x2c, 0x84, 0xe1, 0x12, 0xa6, 0x43, //
    0x00, 0x13, 0x00, 0x01, 7, 0, 0, 0,
];

/// Channels of clients are 0x4000 to 0x4FFF (RFC 8656 section 12).
pub fn is_channel_data(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (0x40..0x50).contains(first))
}

/// STUN of a method other than Binding: on a socket that is shared with ICE, the relay's.
pub fn is_turn(datagram: &[u8]) -> bool {
    let Some(&[high, low, _, _, a, b, c, d]) = datagram.first_chunk() else { return false };
    // The method's bits, without those of the class (RFC 8489 section 5).
    high < 4 && [a, b, c, d] == COOKIE && (high & 0b10, low & 0xef) != (0, 1)
}

fn channel(bytes: &[u8]) -> Result<(u16, Range<usize>), CodecError> {
    if !is_channel_data(bytes) {
        return Err(CodecError::Kind);
    }
    let Some(&[a, b, c, d]) = bytes.first_chunk() else { return Err(CodecError::Length) };
    let end = CHANNEL_HEADER_BYTES + usize::from(u16::from_be_bytes([c, d]));
    // Over UDP the padding may be there or not (RFC 8656 section 12.5).
    if end > bytes.len() || bytes.len() > end + padding(end) {
        return Err(CodecError::Length);
    }
    Ok((u16::from_be_bytes([a, b]), CHANNEL_HEADER_BYTES..end))
}

/// Bytes that fill up a message of `length` to a multiple of four.
pub fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

/// One message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of the message itself.
    pub length: usize,
    /// With the padding behind it.
    pub taken: usize,
}

/// Finds the end of the first message; `None` when it has not come whole yet.
fn frame(bytes: &[u8]) -> Result<Option<Frame>, CodecError> {
    let Some(&[first, _, high, low]) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (length, taken) = match first {
        0..4 => (STUN_HEADER_BYTES + length, STUN_HEADER_BYTES + length),
        0x40..0x50 => {
            let length = CHANNEL_HEADER_BYTES + length;
            (length, length + padding(length))
        }
        _ => return Err(CodecError::Kind),
    };
    if length > FRAME_BYTES_MAX {
        return Err(CodecError::TooLong(length));
    }
    if first < 4 && bytes.get(4..8).is_some_and(|cookie| cookie != COOKIE) {
        return Err(CodecError::Kind);
    }
    Ok((bytes.len() >= taken).then_some(Frame { length, taken }))
}

/// A Send indication: the peer, and where the data are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    pub peer: SocketAddr,
    pub data: Range<usize>,
}

fn send(bytes: &[u8]) -> Result<Sending, CodecError> {
    let header = bytes.first_chunk::<STUN_HEADER_BYTES>().ok_or(CodecError::Length)?;
    if header[..2] != SEND_INDICATION || header[4..8] != COOKIE {
        return Err(CodecError::Kind);
    }
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if bytes.len() != STUN_HEADER_BYTES + length {
        return Err(CodecError::Length);
    }
    let (mut peer, mut data) = (None, None);
    let mut at = STUN_HEADER_BYTES;
    while let Some(&[a, b, c, d]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let start = at + ATTRIBUTE_HEADER_BYTES;
        let end = start + usize::from(u16::from_be_bytes([c, d]));
        let value = bytes.get(start..end).ok_or(CodecError::Attribute)?;
        match u16::from_be_bytes([a, b]) {
            XOR_PEER_ADDRESS => peer = Some(unmask(value, header).ok_or(CodecError::Attribute)?),
            DATA => data = Some(start..end),
            _ => {}
        }
        at = end + padding(end);
    }
    match (peer, data) {
        (Some(peer), Some(data)) => Ok(Sending { peer, data }),
        _ => Err(CodecError::Attribute),
    }
}

/// The bytes that addresses are masked with: cookie and transaction (RFC 8489 section 14.2).
fn mask(header: &[u8; STUN_HEADER_BYTES]) -> [u8; 16] {
    std::array::from_fn(|index| header[4 + index])
}

fn unmask(value: &[u8], header: &[u8; STUN_HEADER_BYTES]) -> Option<SocketAddr> {
    let (&[_, family, high, low], ip) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([high ^ header[4], low ^ header[5]]);
    let mask = mask(header);
    let ip: IpAddr = match (family, ip.len()) {
        (1, 4) => Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|at| ip[at] ^ mask[at])).into(),
        (2, 16) => Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|at| ip[at] ^ mask[at])).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The head of a ChannelData message.
pub fn channel_header(channel: u16, length: usize) -> [u8; CHANNEL_HEADER_BYTES] {
    let ([a, b], [c, d]) = (channel.to_be_bytes(), (length as u16).to_be_bytes());
    [a, b, c, d]
}

/// Appends a Data indication (RFC 8656 section 11.6) to `out`.
pub fn data_indication(out: &mut Vec<u8>, peer: SocketAddr, transaction: [u8; 12], data: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&DATA_INDICATION);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&COOKIE);
    out.extend_from_slice(&transaction);
    let mut masks = [0; 16];
    masks[..4].copy_from_slice(&COOKIE);
    masks[4..].copy_from_slice(&transaction);
    let (family, ip) = match peer.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let [high, low] = peer.port().to_be_bytes();
    out.extend_from_slice(&XOR_PEER_ADDRESS.to_be_bytes());
    out.extend_from_slice(&(4 + ip.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0, family, high ^ COOKIE[0], low ^ COOKIE[1]]);
    out.extend(ip.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    out.extend_from_slice(&DATA.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
    out.resize(out.len() + padding(data.len()), 0);
    let length = (out.len() - start - STUN_HEADER_BYTES) as u16;
    if let Some(place) = out.get_mut(start + 2..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use belfry_model::Outside;

    use super::{
        CHANNELS, FRAMES, Frame, SENDS, channel_header, data_indication, is_channel_data, is_turn,
    };

    fn frame(bytes: &[u8]) -> Option<Frame> {
        FRAMES.parse(Outside::new(bytes)).expect("a frame")
    }

    #[test]
    fn channel_data_says_its_channel_and_where_its_data_are() {
        let mut message = channel_header(0x4abc, 5).to_vec();
        message.extend_from_slice(b"hello");
        assert!(is_channel_data(&message));
        let (channel, data) = CHANNELS.parse(Outside::new(&message)).expect("whole");
        assert_eq!((channel, &message[data]), (0x4abc, &b"hello"[..]));
        message.resize(12, 0);
        assert!(CHANNELS.parse(Outside::new(&message)).is_ok(), "padding is allowed");
        message.push(0);
        assert!(CHANNELS.parse(Outside::new(&message)).is_err(), "more than padding is not");
        assert!(CHANNELS.parse(Outside::new(&message[..8])).is_err(), "cut");
    }

    #[test]
    fn a_stream_is_cut_into_messages_and_oversize_is_refused_before_it_is_awaited() {
        let mut stream = channel_header(0x4000, 5).to_vec();
        stream.extend_from_slice(b"hello");
        assert_eq!(frame(&stream), None, "the padding is part of a stream");
        stream.extend_from_slice(&[0, 0, 0, 0x40]);
        assert_eq!(frame(&stream), Some(Frame { length: 9, taken: 12 }));
        assert_eq!(frame(&stream[..3]), None);
        assert_eq!(frame(SENDS_SEED), Some(Frame { length: 40, taken: 40 }));
        assert!(FRAMES.parse(Outside::new(&channel_header(0x4000, 60_000))).is_err());
        assert!(FRAMES.parse(Outside::new(b"GET / HTTP/1.1")).is_err());
        assert!(FRAMES.parse(Outside::new(&[0, 1, 0, 0, 1, 2, 3, 4])).is_err(), "no cookie");
    }

    const SENDS_SEED: &[u8] = super::SEND_SEED;

    #[test]
    fn a_data_indication_reads_like_a_send_indication_with_the_other_method() {
        for peer in ["192.0.2.7:3478", "[2001:db8::7]:3478"] {
            let peer: SocketAddr = peer.parse().expect("an address");
            for data in [&b"x"[..], b"four", b"seven b"] {
                let mut message = vec![0xee];
                data_indication(&mut message, peer, [7; 12], data);
                let message = &mut message[1..];
                assert_eq!(message.len() % 4, 0);
                message[1] = 0x16;
                let sending = SENDS.parse(Outside::new(message)).expect("whole");
                assert_eq!((sending.peer, &message[sending.data]), (peer, data));
            }
        }
    }

    #[test]
    fn binding_is_not_the_relays_and_the_other_methods_are() {
        let message = |kind: [u8; 2]| [&kind[..], &[0, 0], &super::COOKIE].concat();
        for binding in [[0, 1], [1, 1], [1, 0x11], [0, 0x11]] {
            assert!(!is_turn(&message(binding)));
        }
        for turn in [[0, 3], [0, 4], [0, 0x16], [0, 8], [0, 9], [1, 3], [1, 0x13]] {
            assert!(is_turn(&message(turn)), "{turn:?}");
        }
        assert!(!is_turn(&[0, 3, 0, 0, 0, 0, 0, 0]), "no cookie");
    }
}
