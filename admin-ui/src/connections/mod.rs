//! The pages about connections: the networks, the participants in them, one participant's timeline.

pub(crate) mod gallery;

use askama::Template;

use crate::frame::Frame;
use crate::page::Page;

/// One of a few things to look at.
#[derive(Clone, Debug)]
pub struct Tab {
    pub label: String,
    pub href: String,
    pub here: bool,
}

/// The networks that participants came from, those that need somebody first.
#[derive(Debug, Template)]
#[template(path = "connections.html")]
pub struct Connections {
    pub frame: Frame,
    pub periods: Vec<Tab>,
    /// Participants who are followed now.
    pub live: u64,
    pub rows: Vec<NetworkRow>,
    pub csv: String,
}

#[derive(Debug)]
pub struct NetworkRow {
    pub subnet: String,
    pub href: String,
    pub participants: u64,
    pub udp: u64,
    pub tcp: u64,
    pub tls: u64,
    /// What kept participants from a good lesson, each with its number.
    pub troubles: Vec<String>,
    pub state: String,
    /// `good`, `warn` or `danger`.
    pub state_class: &'static str,
    /// Why, and what to do.
    pub advice: String,
}

/// The participants who came from a network.
#[derive(Debug, Template)]
#[template(path = "connections_participants.html")]
pub struct ConnectionsParticipants {
    pub frame: Frame,
    pub intro: String,
    pub rows: Vec<ParticipantRow>,
}

#[derive(Debug)]
pub struct ParticipantRow {
    pub name: String,
    pub href: String,
    pub subnet: String,
    pub ways: String,
    pub troubles: Vec<String>,
    pub live: bool,
}

/// One participant's connections, the newest first.
#[derive(Debug, Template)]
#[template(path = "connection.html")]
pub struct Connection {
    pub frame: Frame,
    pub presences: Vec<PresenceCard>,
}

/// One presence in a lesson.
#[derive(Debug)]
pub struct PresenceCard {
    /// Unique on the page.
    pub id: String,
    pub title: String,
    pub live: bool,
    pub lasted: String,
    pub device: String,
    pub ways: Vec<String>,
    /// The latest figures, of one that goes on.
    pub figures: Vec<Figure>,
    pub moments: Vec<Moment>,
}

#[derive(Debug)]
pub struct Figure {
    pub label: String,
    pub value: String,
}

/// A line of a timeline.
#[derive(Debug)]
pub struct Moment {
    pub at: String,
    pub at_iso: String,
    /// Empty for what has no length.
    pub lasted: String,
    pub text: String,
    /// `good`, `warn`, `danger` or nothing.
    pub class: &'static str,
}

impl Page for Connections {
    fn html(&self) -> String {
        self.render().expect("templates write to memory only")
    }
}

impl Page for ConnectionsParticipants {
    fn html(&self) -> String {
        self.render().expect("templates write to memory only")
    }
}

impl Page for Connection {
    fn html(&self) -> String {
        self.render().expect("templates write to memory only")
    }
}
