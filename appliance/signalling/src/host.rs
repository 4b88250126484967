//! The host by which a client came, of its request's head.

use std::net::IpAddr;

use belfry_model::outside::Parser;

/// A name of 253 characters (RFC 1123 section 2.1) with a dot behind it, a colon and a port.
const HOST_BYTES_MAX: usize = 260;

/// A name, in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a name nor an address, with or without a port")]
pub struct HostError;

/// The value of a `Host` header, or an `:authority` (RFC 9110 section 7.2).
pub static HOSTS: Parser<Host, HostError> =
    Parser::new("signalling host", HOST_BYTES_MAX, b"Class.example.org:8443", parse);

fn parse(bytes: &[u8]) -> Result<Host, HostError> {
    let text = std::str::from_utf8(bytes).map_err(|_| HostError)?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(HostError)?;
        port_or_none(port)?;
        let address = address.parse().map_err(|_| HostError)?;
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    let name = text.find(':').map_or(text, |at| &text[..at]);
    port_or_none(&text[name.len()..])?;
    if let Ok(address) = name.parse() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.is_empty() || !name.bytes().all(is_letter) {
        return Err(HostError);
    }
    Ok(Host::Name(name))
}

fn port_or_none(text: &str) -> Result<(), HostError> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    let is_port = digits.len() < text.len() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || is_port { Ok(()) } else { Err(HostError) }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;

    use super::{HOSTS, Host};

    fn host(text: &str) -> Option<Host> {
        HOSTS.parse(Outside::new(text.as_bytes())).ok()
    }

    #[test]
    fn a_host_is_a_name_or_an_address_whatever_its_port() {
        let name = |name: &str| Some(Host::Name(name.to_owned()));
        let address =
            |address: &str| Some(Host::Address(address.parse().expect("an address of the test")));
        assert_eq!(host("Class.example.org"), name("class.example.org"));
        assert_eq!(host("class.example.org.:8443"), name("class.example.org"));
        assert_eq!(host("10.0.0.5:443"), address("10.0.0.5"));
        assert_eq!(host("[2001:db8::5]:8443"), address("2001:db8::5"));
        assert_eq!(host("[::1]"), address("::1"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", ":443", "a b", "a:b", "[::1", "[::1]x", "[10.0.0.5]", "a/b", "a@b", "::1"]
        {
            assert_eq!(host(text), None, "{text}");
        }
    }
}
