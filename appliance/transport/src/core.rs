//! What a shard works with.

use std::time::Instant;

use belfry_media_api::{Command, Event};
use belfry_model::RoomSid;
use belfry_sfu::{
    Sfu,
    outbox::{Destination, Outbox},
};

/// The media core, sans-IO, between sockets, streams and the relay. [`Sfu`] is the one that serves
/// lessons; a measure of what is around it puts another in its place.
pub trait Core: Send + 'static {
    fn command(&mut self, command: Command, now: Instant, outbox: &mut Outbox);
    fn receive_from(
        &mut self,
        from: Destination,
        datagram: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    );
    fn timeout(&mut self, now: Instant, outbox: &mut Outbox);
    /// When [`Core::timeout`] is wanted next.
    fn deadline(&self) -> Option<Instant>;
    fn poll_event(&mut self) -> Option<Event>;
    /// See [`Sfu::abandon_room`].
    fn abandon_room(&mut self) -> Option<RoomSid>;
}

impl Core for Sfu {
    fn command(&mut self, command: Command, now: Instant, outbox: &mut Outbox) {
        Self::command(self, command, now, outbox);
    }

    fn receive_from(
        &mut self,
        from: Destination,
        datagram: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        Self::receive_from(self, from, datagram, now, outbox);
    }

    fn timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        Self::timeout(self, now, outbox);
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self)
    }

    fn abandon_room(&mut self) -> Option<RoomSid> {
        Self::abandon_room(self)
    }
}
