//! The pages about connections from fixtures.

use super::{
    Connection, Connections, ConnectionsParticipants, Figure, Moment, NetworkRow, ParticipantRow,
    PresenceCard, Tab,
};
use crate::frame::{Crumb, Section};
use crate::gallery::shell;
use crate::page::Page;

pub(crate) fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("connections", connections(true).html()),
        ("connections-empty", connections(false).html()),
        ("connections-participants", participants().html()),
        ("connection", connection(true).html()),
        ("connection-empty", connection(false).html()),
    ]
}

fn connections(any: bool) -> Connections {
    let tab = |label: &str, days: u32, here| Tab {
        label: label.to_owned(),
        href: format!("/admin/connections?days={days}"),
        here,
    };
    let row = |subnet: &str, counts: [u64; 4], troubles: &[&str], state: &str, state_class| {
        NetworkRow {
        subnet: subnet.to_owned(),
        href: "/admin/connections/participants?days=1".to_owned(),
        participants: counts[0],
        udp: counts[1],
        tcp: counts[2],
        tls: counts[3],
        troubles: troubles.iter().map(|text| (*text).to_owned()).collect(),
        state: state.to_owned(),
        state_class,
        advice: "All 23 participants from 10.4.7.0/24 came in over TCP: UDP 3478 towards this appliance seems blocked there. \
                 Open UDP 3478 to 10.0.0.5."
            .to_owned(),
    }
    };
    let rows = vec![
        row("10.4.7.0/24", [23, 0, 23, 0], &["Slow network: 4"], "No UDP", "danger"),
        row(
            "2001:db8:1207::/48",
            [31, 30, 0, 1],
            &["Packets lost: 6", "Slow device: 2"],
            "Losses",
            "warn",
        ),
        row("10.4.9.0/24", [212, 212, 0, 0], &[], "Good", "good"),
    ];
    Connections {
        frame: shell(Section::Connections, "Connections", Vec::new()),
        periods: vec![tab("Last 24 hours", 1, true), tab("Last 7 days", 7, false)],
        live: if any { 54 } else { 0 },
        rows: if any { rows } else { Vec::new() },
        csv: "/admin/connections/networks.csv?days=1".to_owned(),
    }
}

fn participants() -> ConnectionsParticipants {
    let row = |name: &str, ways: &str, troubles: &[&str], live| ParticipantRow {
        name: name.to_owned(),
        href: "/admin/connections/people/1".to_owned(),
        subnet: "10.4.7.0/24".to_owned(),
        ways: ways.to_owned(),
        troubles: troubles.iter().map(|text| (*text).to_owned()).collect(),
        live,
    };
    ConnectionsParticipants {
        frame: shell(
            Section::Connections,
            "10.4.7.0/24",
            vec![Crumb::section(Section::Connections)],
        ),
        intro: "2 participants in the last 24 hours.".to_owned(),
        rows: vec![
            row(
                "Bartholomew Featherstonehaugh-Montgomery",
                "UDP, TLS through the relay",
                &[],
                true,
            ),
            row("Amara Nwosu", "TCP", &["Packets lost: 2 min", "Connection lost: 8 s"], false),
        ],
    }
}

fn connection(any: bool) -> Connection {
    let moment = |at: &str, lasted: &str, text: &str, class| Moment {
        at: at.to_owned(),
        at_iso: "2026-11-22T13:05:09Z".to_owned(),
        lasted: lasted.to_owned(),
        text: text.to_owned(),
        class,
    };
    let figure =
        |label: &str, value: &str| Figure { label: label.to_owned(), value: value.to_owned() };
    let card = |id: &str, live| PresenceCard {
        id: id.to_owned(),
        title: "Mathematics 7b, 22 November 2026".to_owned(),
        live,
        lasted: "41 min".to_owned(),
        device: "Chrome 156 on ChromeOS".to_owned(),
        ways: vec!["TCP from 10.4.7.0/24, 41 min".to_owned()],
        figures: if live {
            vec![figure("Round trip", "38 ms"), figure("Loss", "12 %")]
        } else {
            Vec::new()
        },
        moments: vec![
            moment("13:05:09", "", "Joined over TCP, because UDP did not come through", ""),
            moment(
                "13:09:30",
                "2 min",
                "Wi-Fi loss 12 %; of all pictures only the teacher's was left",
                "warn",
            ),
            moment("13:21:00", "8 s", "Connection lost", "danger"),
            moment("13:46:10", "", "Left", ""),
        ],
    };
    Connection {
        frame: shell(
            Section::Connections,
            "Amara Nwosu",
            vec![Crumb::section(Section::Connections)],
        ),
        presences: if any { vec![card("now-1", true), card("kept-1", false)] } else { Vec::new() },
    }
}
