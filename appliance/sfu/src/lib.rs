//! The media core: rooms, participants, tracks and the packets between them. [`Sfu`] is one shard
//! of it; `transport` gives it datagrams and time and takes datagrams and deadlines back.
//!
//! **Invariant:** no sockets, files, tasks or clock; time is an argument.
//! **Invariant:** no names of people, no policy: who may do what is decided before a command comes.

mod allocate;
mod congestion;
mod connection;
mod context;
mod crypto;
mod down;
mod dtls;
mod egress;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod ice;
mod ladder;
mod layer;
pub mod outbox;
mod participant;
mod publisher;
mod quality;
mod room;
mod rtp;
mod sctp;
mod sdp;
mod sfu;
mod speakers;
mod srtp;
mod track;
mod wanted;

use belfry_model::outside::Target;

pub use dtls::{Certificate, CertificateError};
pub use sfu::{Sfu, SfuConfig};

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[
    &dtls::RECORDS,
    &dtls::HELLOS,
    &ice::BINDINGS,
    &rtp::codec::AV1,
    &rtp::codec::DESCRIPTOR,
    &rtp::codec::H264,
    &rtp::codec::RED,
    &rtp::codec::VP8,
    &rtp::codec::VP9,
    &rtp::header::RTP_HEADER,
    &rtp::rtcp::RTCP,
    &sctp::DCEP,
    &sctp::PACKETS,
    &sdp::DESCRIPTION,
];
