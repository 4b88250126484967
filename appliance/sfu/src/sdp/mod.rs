//! Session descriptions: what a client's offer or answer means, the answer for its publisher
//! connection ([`answer`]) and the offers for its subscriber connection ([`Subscriber`]).
//!
//! The grammar of lines is rtc-sdp's; the meaning (RFC 8829, 8843, 8851, 8853) is ours.
//!
//! **Invariant:** nothing of a client's text is copied into ours without a check of its characters.
//! **Invariant:** one transport per connection: a section outside the BUNDLE group is rejected.

mod answer;
mod codec;
mod extension;
mod remote;
mod section;
mod subscriber;
mod write;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub(crate) use answer::{Received, answer};
pub(crate) use codec::{CodecKind, NegotiatedCodec, PayloadType};
pub(crate) use extension::{Extension, Extensions};
pub(crate) use remote::{DESCRIPTION, Setup};
pub(crate) use subscriber::{Answered, Outgoing, Sending, Subscriber};

/// Sections of one description; a client that sees 100 publishers with two tracks each is at it.
pub(crate) const SECTIONS_MAX: usize = 256;
/// Payload types of one section; the numbers themselves end at 127.
pub(crate) const CODECS_MAX: usize = 128;
/// Attribute lines of one section.
pub(crate) const ATTRIBUTES_MAX: usize = 1024;
/// One line of a description.
pub(crate) const LINE_BYTES_MAX: usize = 4096;
/// RIDs of one section.
pub(crate) const RIDS_MAX: usize = 8;
/// SSRCs of one section.
pub(crate) const SSRCS_MAX: usize = 32;
/// SCTP port that both sides name (RFC 8841); nothing hangs on its value inside DTLS.
pub(crate) const SCTP_PORT: u16 = 5000;

/// Why a description was not taken. Never carries text of the description: that holds addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SdpError {
    #[error("not a session description")]
    Grammar,
    #[error("{what}: more than {max}")]
    TooMany { what: &'static str, max: usize },
    #[error("no ICE credentials, or malformed ones")]
    Ice,
    #[error("no SHA-256 certificate fingerprint")]
    Fingerprint,
    #[error("the DTLS role leaves none for this side")]
    Setup,
    #[error("a media section without an identification, or with one used twice")]
    Mid,
    #[error("the answer does not fit the offer")]
    Mismatch,
    #[error("the answer is to another offer")]
    Stale,
}

/// This side of a connection, as it goes into a description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local<'a> {
    pub(crate) ufrag: &'a str,
    pub(crate) pwd: &'a str,
    /// SHA-256 of the DTLS certificate.
    pub(crate) fingerprint: &'a [u8; 32],
    /// Host candidates over UDP, best first.
    pub(crate) candidates: &'a [SocketAddr],
    /// Passive host candidates over TCP (RFC 6544), best first.
    pub(crate) tcp_candidates: &'a [SocketAddr],
}

/// The `o=` line of a connection's descriptions (RFC 8866 section 5.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The same for all descriptions of a connection; below 2^63 (RFC 8829 section 5.2.1).
    pub(crate) session_id: u64,
    /// Increases with each description.
    pub(crate) version: u64,
}
