//! LiveKit signalling (v0, protocol 17) as a state machine: wire messages in, effects out.
//!
//! A [`Room`] is the signalling side of one live lesson. Its owner feeds it sockets, frames, media
//! events and the lesson's wishes, and carries out its [`Effect`]s in order.
//!
//! **Invariant:** no sockets, tasks, clock or randomness of its own: time comes in as an argument,
//! random bytes come from [`Random`].
//! **Invariant:** no message of one student reaches another student alone, on any path; what is
//! passed on at all is decided in [`policy`].

pub mod client;
pub mod declared;
#[cfg(feature = "faults")]
pub mod fault;
pub mod host;
pub mod packet;
pub mod policy;
pub mod query;
pub mod room;
pub mod token;
pub mod wire;

pub use livekit_protocol as proto;
pub use room::{
    ChatTo, Effect, IceAsked, IceServer, IceServers, Join, JoinRefusal, LeaveReason, Notice,
    Permissions, Random, Room, RoomConfig, RoomControl, SocketId, SourceKey, SpeakerLevel,
};
pub use token::{Grants, Signer, TokenError};

use belfry_model::outside::Target;

/// The protocol number that `server_info` states. From 18 on clients expect negotiated data
/// channels, without which their data goes nowhere.
pub const PROTOCOL: i32 = 17;
/// A compatibility number that clients compare, not our version. Empty makes browsers give up.
pub const COMPAT_VERSION: &str = "1.9.0";

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[
    &wire::REQUESTS,
    &wire::TRICKLES,
    &packet::PACKETS,
    &query::QUERIES,
    &token::TOKENS,
    &client::RESPONSES,
    &host::HOSTS,
];

#[cfg(test)]
mod tests {
    use belfry_model::outside::Target;

    use super::PARSERS;

    #[test]
    fn every_parser_accepts_its_seed() {
        for parser in PARSERS {
            assert!(Target::feed(*parser, parser.seed()), "{}", parser.name());
        }
    }
}
