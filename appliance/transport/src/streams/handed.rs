//! Streams that the control process hands over: it ends TLS, and what is TURN inside comes here by
//! a Unix socket, after a header that says who the client is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use belfry_model::Outside;
use belfry_model::outside::Parser;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// The address as IPv6, IPv4 mapped into it, and the port.
pub const HEADER_BYTES: usize = 18;
/// The header is written at once.
const HEADER_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
#[error("a header has {HEADER_BYTES} bytes")]
pub(crate) struct HeaderError;

pub(crate) static HEADERS: Parser<SocketAddr, HeaderError> =
    Parser::new("transport handed stream", HEADER_BYTES, &[0; HEADER_BYTES], |bytes| {
        let (ip, port) = bytes.split_first_chunk::<16>().ok_or(HeaderError)?;
        let port: [u8; 2] = port.try_into().map_err(|_short| HeaderError)?;
        let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
        Ok(SocketAddr::new(ip, u16::from_be_bytes(port)))
    });

/// The header of a stream of this client.
pub fn header(client: SocketAddr) -> [u8; HEADER_BYTES] {
    let ip = match client.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut header = [0; HEADER_BYTES];
    header[..16].copy_from_slice(&ip.octets());
    header[16..].copy_from_slice(&client.port().to_be_bytes());
    header
}

/// Reads the header. Whoever is not of our own user could name any address as a client's and is
/// sent away: anybody on this machine may connect to a socket of the abstract kind.
pub(crate) async fn take(mut stream: UnixStream) -> Option<(SocketAddr, UnixStream)> {
    let own = UnixStream::pair().ok()?.0.peer_cred().ok()?.uid();
    if stream.peer_cred().ok()?.uid() != own {
        tracing::warn!("another user of this machine tried to hand over a stream");
        return None;
    }
    let mut header = [0; HEADER_BYTES];
    tokio::time::timeout(HEADER_WAIT_MAX, stream.read_exact(&mut header)).await.ok()?.ok()?;
    Some((HEADERS.parse(Outside::new(&header)).ok()?, stream))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use belfry_model::Outside;

    use super::{HEADERS, header};

    #[test]
    fn a_client_comes_back_as_it_went() {
        for text in ["192.0.2.7:5", "[2001:db8::7]:65535"] {
            let client: SocketAddr = text.parse().expect("an address");
            assert_eq!(HEADERS.parse(Outside::new(&header(client))).expect("whole"), client);
        }
    }
}
