//! RTP and RTCP: the parts of the packet path that know nothing of rooms and participants.

pub(crate) mod codec;
pub(crate) mod header;
pub(crate) mod munge;
pub(crate) mod nack;
pub(crate) mod ring;
pub(crate) mod rtcp;
pub(crate) mod selection;
pub(crate) mod sequence;
pub(crate) mod slab;
pub(crate) mod stats;
pub(crate) mod throttle;
pub(crate) mod twcc;

/// The longest RTP packet that is taken and kept; Ethernet carries no longer one.
pub(crate) const PACKET_BYTES_MAX: usize = 1_500;
