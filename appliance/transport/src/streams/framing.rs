//! Datagrams on an ICE-TCP stream: two bytes of length before each (RFC 4571 section 2).

use std::ops::Range;

use belfry_model::outside::Parser;
use belfry_relay::STREAM_BYTES_MAX;

/// As for a datagram on a socket: more than any of a WebRTC client.
const DATAGRAM_BYTES_MAX: usize = 2_048;
const LENGTH_BYTES: usize = 2;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("{0} bytes are more than a datagram may have")]
    TooLong(usize),
}

/// Where the first datagram of a stream is; `None` when it has not come whole yet.
pub(crate) static DATAGRAMS: Parser<Option<Range<usize>>, FramingError> =
    Parser::new("transport ice-tcp frame", STREAM_BYTES_MAX, &[0, 1, 9], |bytes| {
        let Some(&length) = bytes.first_chunk() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(length));
        if length > DATAGRAM_BYTES_MAX {
            return Err(FramingError::TooLong(length));
        }
        let end = LENGTH_BYTES + length;
        Ok((bytes.len() >= end).then_some(LENGTH_BYTES..end))
    });

#[cfg(test)]
mod tests {
    use belfry_model::Outside;

    use super::DATAGRAMS;

    #[test]
    fn a_datagram_is_taken_when_it_is_whole_and_oversize_is_not_awaited() {
        let find = |bytes: &[u8]| DATAGRAMS.parse(Outside::new(bytes));
        assert_eq!(find(b"\0\x03ab").expect("to come"), None);
        assert_eq!(find(b"\0\x03abcd").expect("whole"), Some(2..5));
        assert_eq!(find(b"\0").expect("to come"), None);
        assert!(find(&[0xff, 0xff]).is_err());
    }
}
