//! What some networks have between their clients and the rest: a box that looks into connections.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    #[default]
    Open,
    /// As a filtering proxy: TCP to port 443 only, and only connections whose first bytes from the client begin a TLS
    /// handshake. Others are silently stopped.
    TlsOnly443,
}

const HTTPS_PORT: u16 = 443;
const TCP: u8 = 6;
/// The flag of a connection's first segment.
const SYN: u8 = 0x02;
/// Connections that are remembered; more than a test ever opens.
const FLOWS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Middlebox {
    policy: Policy,
    flows: HashMap<Flow, Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flow {
    client: (IpAddr, u16),
    server: (IpAddr, u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The client has sent no data yet.
    Unknown,
    Allowed,
    Refused,
}

/// A TCP segment in an IP packet.
struct Segment<'a> {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    opens: bool,
    payload: &'a [u8],
}

impl Middlebox {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, flows: HashMap::new() }
    }

    /// Whether a packet passes. `up`: it comes from the client.
    pub(crate) fn passes(&mut self, up: bool, packet: &[u8]) -> bool {
        if self.policy == Policy::Open {
            return true;
        }
        let Some(segment) = segment(packet) else { return false };
        let (client, server) = if up {
            (segment.source, segment.destination)
        } else {
            (segment.destination, segment.source)
        };
        if server.1 != HTTPS_PORT || self.flows.len() >= FLOWS_MAX {
            return false;
        }
        // Of a connection that is older than the policy nobody can say how it began.
        let first = if segment.opens { Verdict::Unknown } else { Verdict::Allowed };
        let verdict = self.flows.entry(Flow { client, server }).or_insert(first);
        if *verdict == Verdict::Unknown && up && !segment.payload.is_empty() {
            *verdict =
                if begins_tls(segment.payload) { Verdict::Allowed } else { Verdict::Refused };
        }
        *verdict != Verdict::Refused
    }
}

/// A TLS record of a handshake whose first message is a ClientHello (RFC 8446, 4 and 5.1), as far as there are bytes.
fn begins_tls(payload: &[u8]) -> bool {
    let expected = [Some(0x16), Some(0x03), None, None, None, Some(0x01)];
    payload
        .iter()
        .zip(expected)
        .all(|(byte, expected)| expected.is_none_or(|expected| *byte == expected))
}

fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (source, destination, protocol, rest): (IpAddr, IpAddr, u8, &[u8]) = match packet.first()?
        >> 4
    {
        4 => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            let address =
                |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
            (address(12)?, address(16)?, *packet.get(9)?, packet.get(header..)?)
        }
        6 => {
            let address = |at: usize| {
                Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?))
            };
            (address(8)?, address(24)?, *packet.get(6)?, packet.get(40..)?)
        }
        _ => return None,
    };
    if protocol != TCP {
        return None;
    }
    let port = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
    let data = usize::from(*rest.get(12)? >> 4) * 4;
    Some(Segment {
        source: (source, port(0)?),
        destination: (destination, port(2)?),
        opens: rest.get(13)? & SYN != 0,
        payload: rest.get(data..)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens its connection if it is empty.
    fn tcp(up: bool, server_port: u16, payload: &[u8]) -> Vec<u8> {
        let flags = if payload.is_empty() { SYN } else { 0x10 };
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, TCP, 0, 0];
        let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let ports = if up { [50_000, server_port] } else { [server_port, 50_000] };
        packet.extend(if up { [client, server] } else { [server, client] }.concat());
        packet.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        packet.extend([0; 8]);
        packet.extend([5 << 4, flags, 0, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        packet
    }

    const HELLO: [u8; 6] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];

    #[test]
    fn only_tls_on_443_passes() {
        let mut middlebox = Middlebox::new(Policy::TlsOnly443);
        assert!(middlebox.passes(true, &tcp(true, 443, b"")), "the TCP handshake");
        assert!(middlebox.passes(true, &tcp(true, 443, &HELLO)));
        assert!(middlebox.passes(false, &tcp(false, 443, b"anything")));
        assert!(middlebox.passes(true, &tcp(true, 443, b"anything")));
        assert!(!middlebox.passes(true, &tcp(true, 7881, &HELLO)));
        let mut udp = tcp(true, 443, &HELLO);
        udp[9] = 17;
        assert!(!middlebox.passes(true, &udp));
    }

    #[test]
    fn a_connection_that_begins_otherwise_stays_refused() {
        let mut middlebox = Middlebox::new(Policy::TlsOnly443);
        assert!(middlebox.passes(true, &tcp(true, 443, b"")), "the TCP handshake");
        assert!(!middlebox.passes(true, &tcp(true, 443, b"GET / HTTP/1.1")));
        assert!(!middlebox.passes(true, &tcp(true, 443, &HELLO)));
        assert!(!middlebox.passes(false, &tcp(false, 443, b"")));
    }

    #[test]
    fn a_connection_that_was_there_before_goes_on() {
        let mut middlebox = Middlebox::new(Policy::TlsOnly443);
        assert!(middlebox.passes(true, &tcp(true, 443, b"in the middle of it")));
        assert!(!middlebox.passes(true, &tcp(true, 3478, b"in the middle of it")));
    }

    #[test]
    fn a_box_without_a_policy_lets_all_through_even_rubbish() {
        assert!(Middlebox::default().passes(true, &[0xff; 3]));
        let mut strict = Middlebox::new(Policy::TlsOnly443);
        for length in 0..60 {
            strict.passes(true, &tcp(true, 443, &HELLO)[..length.min(46)]);
        }
    }
}
