//! STUN binding requests: reading them, and the three ways to answer.

use belfry_model::{Outside, outside::Parser};
use rtc_shared::error::Error;
use rtc_stun::{
    attributes::{
        ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING,
        ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USE_CANDIDATE,
        ATTR_USERNAME, AttrType,
    },
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{
        BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, METHOD_BINDING, Message, Setter,
        TransactionId,
    },
    xoraddr::XorMappedAddress,
};

use super::Route;
use crate::{
    crypto,
    outbox::{DATAGRAM_BYTES_MAX, Destination, Outbox},
};

const HEADER_BYTES: usize = 20;
/// Attributes that ICE agents send and that a server has to understand
/// (RFC 8489, section 14; RFC 8445, section 16.1).
const UNDERSTOOD: [AttrType; 5] = [
    ATTR_USERNAME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_PRIORITY,
    ATTR_USE_CANDIDATE,
    ATTR_ICE_CONTROLLING,
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum BindingError {
    #[error("not a STUN message")]
    Stun(#[source] Error),
    #[error("the header's length is not the datagram's")]
    Length,
    #[error("not the binding method")]
    Method,
    #[error("the fingerprint does not match")]
    Fingerprint(#[source] Error),
    #[error("the username is not text")]
    Username,
}

/// A request without attributes, as a STUN client sends it.
const SEED: [u8; HEADER_BYTES] =
    [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// STUN messages of the binding method.
pub(crate) static BINDINGS: Parser<Binding, BindingError> =
    Parser::new("sfu stun binding", DATAGRAM_BYTES_MAX, &SEED, parse);

/// Why a request gets an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Unauthorised,
    UnknownAttributes,
    RoleConflict,
}

impl Fault {
    fn code(self) -> u16 {
        match self {
            Self::Unauthorised => 401,
            Self::UnknownAttributes => 420,
            Self::RoleConflict => 487,
        }
    }
}

/// A STUN message of the binding method, read as far as ICE-lite cares.
#[derive(Debug)]
pub(crate) struct Binding {
    message: Message,
    username: Option<String>,
    protected: bool,
    unknown: Vec<AttrType>,
    /// USE-CANDIDATE was there.
    pub(super) nominates: bool,
    /// The client believes that we control.
    pub(super) controlled: bool,
}

fn parse(bytes: &[u8]) -> Result<Binding, BindingError> {
    let mut message = Message::new();
    message.unmarshal_binary(bytes).map_err(BindingError::Stun)?;
    if message.length as usize + HEADER_BYTES != bytes.len() {
        return Err(BindingError::Length);
    }
    if message.typ.method != METHOD_BINDING {
        return Err(BindingError::Method);
    }
    if message.contains(ATTR_FINGERPRINT) {
        FINGERPRINT.check(&message).map_err(BindingError::Fingerprint)?;
    }
    let mut binding = Binding {
        username: None,
        protected: false,
        unknown: Vec::new(),
        nominates: false,
        controlled: false,
        message: Message::default(),
    };
    for attribute in &message.attributes.0 {
        match attribute.typ {
            ATTR_USERNAME => {
                let text = std::str::from_utf8(&attribute.value);
                binding.username = Some(text.map_err(|_utf8| BindingError::Username)?.to_owned());
            }
            ATTR_USE_CANDIDATE => binding.nominates = true,
            ATTR_ICE_CONTROLLED => binding.controlled = true,
            ATTR_MESSAGE_INTEGRITY => {
                binding.protected = true;
                // What follows is not protected and not believed (RFC 8489, section 14.5).
                break;
            }
            other if other.required() && !UNDERSTOOD.contains(&other) => {
                binding.unknown.push(other);
            }
            _ => {}
        }
    }
    binding.message = message;
    Ok(binding)
}

impl Binding {
    pub(super) fn is_request(&self) -> bool {
        self.message.typ == BINDING_REQUEST
    }

    /// Our half of the username (RFC 8445, section 7.2.2).
    pub(super) fn local_ufrag(&self) -> Option<&str> {
        self.username.as_deref()?.split_once(':').map(|(local, _remote)| local)
    }

    pub(super) fn has_unknown_attributes(&self) -> bool {
        !self.unknown.is_empty()
    }

    pub(super) fn is_authentic(&mut self, pwd: &str) -> bool {
        self.protected
            && MessageIntegrity::check(&mut self.message, pwd.as_bytes(), crypto::primitives())
                .is_ok()
    }

    /// The success response, signed.
    pub(super) fn succeed(&self, pwd: &str, to: Destination, outbox: &mut Outbox) {
        respond(self.success_setters(to), Some(pwd), to, outbox);
    }

    /// An error response, signed if the client knows our password.
    pub(super) fn refuse(
        &self,
        fault: Fault,
        pwd: Option<&str>,
        to: Destination,
        outbox: &mut Outbox,
    ) {
        let code = fault.code();
        // Class and number (RFC 8489, section 14.8); no reason phrase, nobody reads it.
        let value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        let mut setters: Vec<Box<dyn Setter>> = vec![
            Box::new(BINDING_ERROR),
            Box::new(self.message.transaction_id),
            Box::new(Plain { attribute: ATTR_ERROR_CODE, value }),
        ];
        if fault == Fault::UnknownAttributes {
            let value = self.unknown.iter().flat_map(|unknown| unknown.0.to_be_bytes()).collect();
            setters.push(Box::new(Plain { attribute: ATTR_UNKNOWN_ATTRIBUTES, value }));
        }
        respond(setters, pwd, to, outbox);
    }

    fn success_setters(&self, to: Destination) -> Vec<Box<dyn Setter>> {
        let remote = to.remote();
        vec![
            Box::new(BINDING_SUCCESS),
            Box::new(TransactionId(self.message.transaction_id.0)),
            // A dual-stack socket shows IPv4 sources as mapped IPv6; the client wants IPv4.
            Box::new(XorMappedAddress { ip: remote.ip().to_canonical(), port: remote.port() }),
        ]
    }
}

/// An attribute as bytes.
struct Plain {
    attribute: AttrType,
    value: Vec<u8>,
}

impl Setter for Plain {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(self.attribute, &self.value);
        Ok(())
    }
}

fn respond(
    mut setters: Vec<Box<dyn Setter>>,
    pwd: Option<&str>,
    to: Destination,
    outbox: &mut Outbox,
) {
    if let Some(pwd) = pwd {
        setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
            pwd.to_owned(),
            crypto::primitives(),
        )));
    }
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    if message.build(&setters).is_ok() {
        outbox.push_copy(to, &message.raw);
    }
}

/// The route of a binding request whose username is one of our ufrags.
pub fn route(datagram: &[u8]) -> Option<Route> {
    let binding = BINDINGS.parse(Outside::new(datagram)).ok()?;
    Route::of_ufrag(binding.local_ufrag()?)
}

/// Answers a binding request without credentials, as a plain STUN server (RFC 8489, section 6.3).
/// `false` if the datagram is none.
pub fn answer_binding(from: Destination, datagram: &[u8], outbox: &mut Outbox) -> bool {
    let Ok(binding) = BINDINGS.parse(Outside::new(datagram)) else { return false };
    if !binding.is_request() || binding.username.is_some() || binding.has_unknown_attributes() {
        return false;
    }
    respond(binding.success_setters(from), None, from, outbox);
    true
}
