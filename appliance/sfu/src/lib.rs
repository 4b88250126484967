//! The media core, sans-IO.

mod allocate;
mod connection;
mod crypto;
mod dtls;
mod estimate;
pub mod ice;
pub mod outbox;
mod sctp;
mod srtp;
mod quality;
mod rtp;
mod sdp;
mod speakers;
