//! The media core, sans-IO.

mod connection;
mod dtls;
pub mod ice;
pub mod outbox;
mod sdp;
