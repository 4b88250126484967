//! The TURN relay (RFC 8656): it reaches the media of this machine and nothing else.
//!
//! The `turn` crate decides about allocations, permissions and channels; it is contained:
//!
//! - [`Control`] lets only requests with valid credentials come to it. Everything else is answered
//!   without keeping state, so a flood of requests costs no memory.
//! - [`Throttle`] and [`Places`] say how much of anything an address gets; others use them, too.
//! - Its relayed addresses are virtual. No socket is opened for them, and data never passes through
//!   it: whoever carries the packets looks into the [`Allocation`], which holds what the client may
//!   send to and by which channel.
//!
//! **Invariant:** a peer is one of our own media addresses. There is no way to another one: not by
//! a refusal that could be forgotten, but because nothing here sends to the network.
//! **Invariant:** no sockets; time is an argument (the `turn` crate's own timers aside).

mod allocation;
mod codec;
mod contained;
mod control;
mod credentials;
mod nonce;
mod places;
mod request;
mod throttle;

use belfry_model::outside::Target;

pub use allocation::{Allocation, PEERS_MAX};
pub use codec::{
    CHANNEL_HEADER_BYTES, CHANNELS, CodecError, FRAME_BYTES_MAX, FRAMES, Frame, SENDS,
    STREAM_BYTES_MAX, Sending, channel_header, data_indication, is_channel_data, is_turn, padding,
};
pub use control::{Answer, Client, Config, Control, Counts, Now, Relayed};
pub use credentials::{Credentials, issue};
pub use places::{Place, Places, PlacesMax};
pub use throttle::{Rate, Throttle};

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[&CHANNELS, &FRAMES, &SENDS, &request::REQUESTS];
