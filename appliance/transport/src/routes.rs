//! Which shard has a room. A room lives on one shard as long as it lives, a new one goes to the
//! shard with the fewest participants.

use std::collections::HashMap;

use belfry_media_api::Command;
use belfry_model::{ParticipantSid, RoomSid, TrackSid};

use crate::streams::Notice;

#[derive(Debug)]
struct Room {
    shard: usize,
    participants: Vec<ParticipantSid>,
    tracks: Vec<TrackSid>,
}

/// Where commands go.
#[derive(Debug)]
pub(crate) struct Routes {
    rooms: HashMap<RoomSid, Room>,
    participants: HashMap<ParticipantSid, RoomSid>,
    tracks: HashMap<TrackSid, RoomSid>,
    /// Participants of each shard.
    loads: Vec<usize>,
}

impl Routes {
    pub(crate) fn new(shard_count: usize) -> Self {
        Self {
            rooms: HashMap::new(),
            participants: HashMap::new(),
            tracks: HashMap::new(),
            loads: vec![0; shard_count],
        }
    }

    /// The shards that have to be told, each with what to tell it. Nothing if nobody knows what the
    /// command is about: it went in the meantime.
    pub(crate) fn route(&mut self, command: Command) -> Vec<(usize, Command)> {
        let shard = match &command {
            Command::Configure(_) => None,
            Command::OpenParticipant { room, participant } => {
                Some(self.open(room.clone(), participant.clone()))
            }
            Command::CloseParticipant { participant } => self.close_participant(participant),
            Command::CloseRoom { room } => self.close_room(room),
            Command::Spotlight { room, .. } => self.rooms.get(room).map(|room| room.shard),
            Command::Publish { participant, publication } => {
                self.publish(participant, publication.track.clone())
            }
            Command::Unpublish { track } => self.unpublish(track),
            Command::Mute { track, .. } => self.shard_of_track(track),
            Command::PublisherOffer { participant, .. }
            | Command::Subscribe { participant, .. }
            | Command::Unsubscribe { participant, .. }
            | Command::Settings { participant, .. }
            | Command::SubscriberAnswer { participant, .. }
            | Command::RestartSubscriber { participant } => self.shard_of(participant),
            Command::SendData { .. } => return self.route_data(command),
        };
        shard.map(|shard| (shard, command)).into_iter().collect()
    }

    /// What the relay is to be told of a command, before it is routed.
    pub(crate) fn notice(&self, command: &Command) -> Option<Notice> {
        match command {
            Command::OpenParticipant { participant, .. } => Some(Notice::Open(participant.clone())),
            Command::CloseParticipant { participant } => {
                Some(Notice::Close(vec![participant.clone()]))
            }
            Command::CloseRoom { room } => {
                let room = self.rooms.get(room)?;
                Some(Notice::Close(room.participants.clone()))
            }
            _ => None,
        }
    }

    fn open(&mut self, room: RoomSid, participant: ParticipantSid) -> usize {
        let least = self.loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let least = least.map_or(0, |(shard, _)| shard);
        let entry = self.rooms.entry(room.clone());
        let entry =
            entry.or_insert(Room { shard: least, participants: Vec::new(), tracks: Vec::new() });
        let shard = entry.shard;
        if self.participants.insert(participant.clone(), room).is_none() {
            entry.participants.push(participant);
            self.add_load(shard, 1);
        }
        shard
    }

    fn add_load(&mut self, shard: usize, by: isize) {
        if let Some(load) = self.loads.get_mut(shard) {
            *load = load.saturating_add_signed(by);
        }
    }

    fn close_participant(&mut self, participant: &ParticipantSid) -> Option<usize> {
        let room_sid = self.participants.remove(participant)?;
        let room = self.rooms.get_mut(&room_sid)?;
        let shard = room.shard;
        room.participants.retain(|other| other != participant);
        let empty = room.participants.is_empty();
        self.add_load(shard, -1);
        if empty {
            self.close_room(&room_sid);
        }
        Some(shard)
    }

    /// Forgets a room and all that is in it.
    pub(crate) fn close_room(&mut self, room: &RoomSid) -> Option<usize> {
        let room = self.rooms.remove(room)?;
        for participant in &room.participants {
            self.participants.remove(participant);
            self.add_load(room.shard, -1);
        }
        for track in &room.tracks {
            self.tracks.remove(track);
        }
        Some(room.shard)
    }

    fn publish(&mut self, participant: &ParticipantSid, track: TrackSid) -> Option<usize> {
        let room_sid = self.participants.get(participant)?;
        let room = self.rooms.get_mut(room_sid)?;
        if self.tracks.insert(track.clone(), room_sid.clone()).is_none() {
            room.tracks.push(track);
        }
        Some(room.shard)
    }

    fn unpublish(&mut self, track: &TrackSid) -> Option<usize> {
        let room = self.rooms.get_mut(&self.tracks.remove(track)?)?;
        room.tracks.retain(|other| other != track);
        Some(room.shard)
    }

    fn shard_of(&self, participant: &ParticipantSid) -> Option<usize> {
        Some(self.rooms.get(self.participants.get(participant)?)?.shard)
    }

    fn shard_of_track(&self, track: &TrackSid) -> Option<usize> {
        Some(self.rooms.get(self.tracks.get(track)?)?.shard)
    }

    fn route_data(&self, command: Command) -> Vec<(usize, Command)> {
        let Command::SendData { to, kind, bytes } = command else { return Vec::new() };
        let mut by_shard: Vec<Vec<ParticipantSid>> = vec![Vec::new(); self.loads.len()];
        for participant in to {
            let shard = self.shard_of(&participant);
            if let Some(list) = shard.and_then(|shard| by_shard.get_mut(shard)) {
                list.push(participant);
            }
        }
        let lists = by_shard.into_iter().enumerate().filter(|(_, to)| !to.is_empty());
        lists
            .map(|(shard, to)| (shard, Command::SendData { to, kind, bytes: bytes.clone() }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use belfry_media_api::{Command, DataKind};
    use belfry_model::{ParticipantSid, RoomSid};

    use super::Routes;

    fn open(routes: &mut Routes, room: &str, participant: &str) -> usize {
        let command = Command::OpenParticipant {
            room: RoomSid::new(room),
            participant: ParticipantSid::new(participant),
        };
        routes.route(command)[0].0
    }

    fn data(to: &[&str]) -> Command {
        Command::SendData {
            to: to.iter().map(|sid| ParticipantSid::new(*sid)).collect(),
            kind: DataKind::Lossy,
            bytes: vec![1],
        }
    }

    #[test]
    fn a_room_stays_on_its_shard_and_a_new_one_goes_to_the_emptiest() {
        let mut routes = Routes::new(2);
        assert_eq!(open(&mut routes, "RM_a", "PA_1"), 0);
        assert_eq!(open(&mut routes, "RM_a", "PA_2"), 0);
        assert_eq!(open(&mut routes, "RM_b", "PA_3"), 1);
        assert_eq!(open(&mut routes, "RM_c", "PA_4"), 1);
        for gone in ["PA_1", "PA_2"] {
            let participant = ParticipantSid::new(gone);
            assert_eq!(routes.route(Command::CloseParticipant { participant })[0].0, 0);
        }
        assert_eq!(open(&mut routes, "RM_d", "PA_5"), 0);
    }

    #[test]
    fn data_goes_to_each_shard_that_has_a_receiver() {
        let mut routes = Routes::new(2);
        open(&mut routes, "RM_a", "PA_1");
        open(&mut routes, "RM_b", "PA_2");
        let routed = routes.route(data(&["PA_1", "PA_2", "PA_gone"]));
        assert_eq!(routed, [(0, data(&["PA_1"])), (1, data(&["PA_2"]))]);
    }

    #[test]
    fn what_is_gone_is_routed_nowhere() {
        let mut routes = Routes::new(1);
        open(&mut routes, "RM_a", "PA_1");
        routes.close_room(&RoomSid::new("RM_a"));
        let participant = ParticipantSid::new("PA_1");
        assert!(routes.route(Command::CloseParticipant { participant }).is_empty());
        assert_eq!(routes.loads, [0]);
        assert!(routes.participants.is_empty());
    }
}
