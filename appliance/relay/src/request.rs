//! Requests to the relay, as far as the gate in front of the `turn` crate reads them.

use std::net::SocketAddr;

use belfry_model::outside::Parser;
use stun::agent::TransactionId;
use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_FINGERPRINT, ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE,
    ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT, ATTR_USERNAME,
    ATTR_XOR_PEER_ADDRESS, AttrType,
};
use stun::error_code::{ErrorCode, ErrorCodeAttribute};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_REQUEST, METHOD_ALLOCATE, METHOD_BINDING, METHOD_CHANNEL_BIND,
    METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message, MessageType, Setter,
};
use stun::textattrs::TextAttribute;
use stun::uattrs::UnknownAttributes;
use stun::xoraddr::XorMappedAddress;

use crate::codec::FRAME_BYTES_MAX;

const HEADER_BYTES: usize = 20;
/// Permissions that one request may ask for; clients ask for one.
const PERMISSIONS_MAX: usize = 8;
/// Attributes from 0x8000 on may be ignored (RFC 8489 section 14).
const OPTIONAL_FROM: u16 = 0x8000;
/// What must be understood and is. EVEN-PORT, RESERVATION-TOKEN and DONT-FRAGMENT make no sense for
/// an address that is not on the network.
const UNDERSTOOD: [AttrType; 9] = [
    ATTR_CHANNEL_NUMBER,
    ATTR_LIFETIME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_NONCE,
    ATTR_REALM,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT,
    ATTR_USERNAME,
    ATTR_XOR_PEER_ADDRESS,
];
/// The value of REQUESTED-ADDRESS-FAMILY for IPv6 and IPv4 (RFC 8656 section 18.6).
const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("not a STUN message")]
    Stun(#[source] stun::Error),
    #[error("the header's length is not the message's")]
    Length,
    #[error("not a request, or not of a method of the relay")]
    Method,
    #[error("an attribute cannot be read")]
    Attribute(#[source] stun::Error),
    #[error("the fingerprint does not match")]
    Fingerprint(#[source] stun::Error),
    #[error("more than {PERMISSIONS_MAX} peers")]
    Peers,
}

/// An Allocate request without credentials, as the first of every client is.
const SEED: &[u8] = &[
    0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, //
    0, 0x19, 0, 4, 17, 0, 0, 0,
];

/// Requests that a client may make.
pub(crate) static REQUESTS: Parser<Request, RequestError> =
    Parser::new("relay request", FRAME_BYTES_MAX, SEED, parse);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Binding,
    Allocate,
    Refresh,
    CreatePermission,
    ChannelBind,
}

/// Who a request says it is from.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) username: String,
    pub(crate) nonce: String,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) message: Message,
    /// Whether MESSAGE-INTEGRITY is there.
    pub(crate) is_signed: bool,
    pub(crate) claim: Option<Claim>,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) channel: Option<u16>,
    /// Seconds.
    pub(crate) lifetime: Option<u32>,
    /// `Some(true)`: an IPv6 address is asked for; `None`: nothing is said.
    pub(crate) wants_ipv6: Option<bool>,
    pub(crate) unknown: Vec<AttrType>,
}

fn parse(bytes: &[u8]) -> Result<Request, RequestError> {
    let mut message = Message { raw: bytes.to_vec(), ..Message::default() };
    message.decode().map_err(RequestError::Stun)?;
    if message.length as usize + HEADER_BYTES != bytes.len() {
        return Err(RequestError::Length);
    }
    let kind = match (message.typ.class, message.typ.method) {
        (CLASS_REQUEST, METHOD_BINDING) => Kind::Binding,
        (CLASS_REQUEST, METHOD_ALLOCATE) => Kind::Allocate,
        (CLASS_REQUEST, METHOD_REFRESH) => Kind::Refresh,
        (CLASS_REQUEST, METHOD_CREATE_PERMISSION) => Kind::CreatePermission,
        (CLASS_REQUEST, METHOD_CHANNEL_BIND) => Kind::ChannelBind,
        _ => return Err(RequestError::Method),
    };
    if message.contains(ATTR_FINGERPRINT) {
        FINGERPRINT.check(&message).map_err(RequestError::Fingerprint)?;
    }
    let text = |attribute| TextAttribute::get_from_as(&message, attribute).ok();
    let claim = text(ATTR_USERNAME)
        .zip(text(ATTR_NONCE))
        .map(|(username, nonce)| Claim { username: username.text, nonce: nonce.text });
    let value = |attribute| message.get(attribute).ok();
    let family = value(ATTR_REQUESTED_ADDRESS_FAMILY).and_then(|value| value.first().copied());
    let number = |attribute, bytes: usize| {
        let value = value(attribute)?;
        let value = value.get(..bytes).filter(|_| value.len() == 4)?;
        Some(value.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    Ok(Request {
        kind,
        is_signed: message.contains(ATTR_MESSAGE_INTEGRITY),
        claim,
        peers: peers(&message)?,
        channel: number(ATTR_CHANNEL_NUMBER, 2).map(|channel| channel as u16),
        lifetime: number(ATTR_LIFETIME, 4),
        wants_ipv6: match family {
            Some(FAMILY_IPV4) => Some(false),
            Some(FAMILY_IPV6) => Some(true),
            _ => None,
        },
        unknown: unknown(&message),
        message,
    })
}

/// All peers: the `turn` crate reads the first only.
fn peers(message: &Message) -> Result<Vec<SocketAddr>, RequestError> {
    let mut peers = Vec::new();
    for attribute in &message.attributes.0 {
        if attribute.typ != ATTR_XOR_PEER_ADDRESS {
            continue;
        }
        if peers.len() >= PERMISSIONS_MAX {
            return Err(RequestError::Peers);
        }
        let mut single = Message { transaction_id: message.transaction_id, ..Message::default() };
        single.add(ATTR_XOR_PEER_ADDRESS, &attribute.value);
        let mut address = XorMappedAddress::default();
        address.get_from_as(&single, ATTR_XOR_PEER_ADDRESS).map_err(RequestError::Attribute)?;
        peers.push(SocketAddr::new(address.ip, address.port));
    }
    Ok(peers)
}

fn unknown(message: &Message) -> Vec<AttrType> {
    let required = message.attributes.0.iter().map(|attribute| attribute.typ);
    required.filter(|typ| typ.0 < OPTIONAL_FROM && !UNDERSTOOD.contains(typ)).collect()
}

impl Request {
    /// Whether the request was signed with `key`.
    pub(crate) fn is_authentic(&self, key: &[u8]) -> bool {
        self.is_signed && MessageIntegrity(key.to_vec()).check(&mut self.message.clone()).is_ok()
    }

    /// An error response; signed if the client has shown that it knows the key.
    pub(crate) fn refuse(&self, code: u16, reason: &str, with: &Refusal<'_>) -> Vec<u8> {
        let code = ErrorCodeAttribute { code: ErrorCode(code), reason: reason.into() };
        let mut setters: Vec<Box<dyn Setter>> = vec![
            Box::new(TransactionId(self.message.transaction_id.0)),
            Box::new(MessageType::new(self.message.typ.method, CLASS_ERROR_RESPONSE)),
            Box::new(code),
        ];
        match with {
            Refusal::Challenge { realm, nonce } => {
                let attribute = |attr, text: &str| TextAttribute::new(attr, text.to_owned());
                setters.push(Box::new(attribute(ATTR_REALM, realm)));
                setters.push(Box::new(attribute(ATTR_NONCE, nonce)));
            }
            Refusal::Signed { key } => {
                if !self.unknown.is_empty() {
                    setters.push(Box::new(UnknownAttributes(self.unknown.clone())));
                }
                setters.push(Box::new(MessageIntegrity(key.to_vec())));
            }
        }
        setters.push(Box::new(FINGERPRINT));
        let mut message = Message::new();
        message.build(&setters).expect("all attributes are short and in order");
        message.raw
    }
}

/// What goes with an error response.
#[derive(Debug)]
pub(crate) enum Refusal<'a> {
    Challenge { realm: &'a str, nonce: &'a str },
    Signed { key: &'a [u8] },
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;

    use super::{Kind, REQUESTS, SEED};

    #[test]
    fn a_first_allocate_is_read() {
        let request = REQUESTS.parse(Outside::new(SEED)).expect("the seed");
        assert_eq!((request.kind, request.is_signed), (Kind::Allocate, false));
        assert!(request.unknown.is_empty() && request.claim.is_none());
    }

    #[test]
    fn a_longer_datagram_than_its_header_says_is_refused() {
        assert!(REQUESTS.parse(Outside::new(&[SEED, &[0; 4]].concat())).is_err());
    }
}
