//! What the ways that participants used say of their networks, and what to do about it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use belfry_model::Identity;
use belfry_store::{KeptWay, Troubles, WayUse};

use crate::live::LivePresence;
use crate::words::Way;

/// Fewer participants than this say nothing sure of a network: it may be their own devices.
const SURE_MIN: usize = 3;
/// Part of the time present, in percent, from which on a trouble counts.
const TROUBLE_PERCENT_MIN: i64 = 5;

/// One participant on one way in one network.
#[derive(Clone, Debug)]
pub struct Use {
    pub subnet: String,
    pub way: Way,
    pub identity: Identity,
    pub present_ms: i64,
    pub troubles: Troubles,
}

impl Use {
    /// `None`: a way that this release does not know.
    pub fn kept(kept: WayUse) -> Option<Self> {
        let WayUse { subnet, way, identity, present_ms, troubles } = kept;
        Some(Self { subnet, way: Way::parse(way)?, identity, present_ms, troubles })
    }

    /// Those of a presence that goes on.
    pub fn live(presence: &LivePresence, now: belfry_model::Timestamp) -> Vec<Self> {
        let used = |KeptWay { subnet, way, .. }: &KeptWay| {
            Some(Self {
                subnet: subnet.clone(),
                way: Way::parse(way)?,
                identity: presence.identity.clone(),
                present_ms: now.since_ms(presence.began_at),
                troubles: presence.troubles,
            })
        };
        presence.ways.iter().filter_map(used).collect()
    }
}

/// What there is to do about a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// Nobody there gets through by UDP, nor by the TCP port of media: only the port of the pages
    /// is open.
    OnlyTls,
    /// Nobody there gets through by UDP.
    NoUdp,
    /// The same, of too few participants to be sure of their network.
    NoUdpOfFew,
    /// Some get through by UDP, and these do not.
    SomeWithoutUdp {
        count: usize,
    },
    /// UDP comes through, but loses packets for this many.
    Lossy {
        count: usize,
    },
    Fine,
}

/// One network, over all its participants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub subnet: String,
    pub participants: usize,
    /// Participants by way; one who used two is counted for both.
    pub by_way: BTreeMap<Way, usize>,
    /// Participants with each kind of trouble for a good part of their time.
    pub lossy: usize,
    pub slow: usize,
    pub device: usize,
    pub away: usize,
    pub advice: Advice,
}

impl Network {
    /// Participants who used one of these ways.
    pub fn used(&self, ways: &[Way]) -> usize {
        ways.iter().filter_map(|way| self.by_way.get(way)).sum()
    }
}

#[derive(Default)]
struct Participant {
    ways: BTreeSet<Way>,
    present_ms: i64,
    troubles: Troubles,
}

/// The networks, those that need somebody first, the largest first among equals.
pub fn networks(uses: impl IntoIterator<Item = Use>) -> Vec<Network> {
    let mut found: BTreeMap<String, BTreeMap<Identity, Participant>> = BTreeMap::new();
    for Use { subnet, way, identity, present_ms, troubles } in uses {
        let one = found.entry(subnet).or_default().entry(identity).or_default();
        one.ways.insert(way);
        // The same presence comes once for each of its ways.
        one.present_ms = one.present_ms.max(present_ms);
        one.troubles = largest(one.troubles, troubles);
    }
    let mut networks: Vec<_> =
        found.into_iter().map(|(subnet, people)| network(subnet, &people)).collect();
    networks.sort_by_key(|network| (network.advice, std::cmp::Reverse(network.participants)));
    networks
}

fn largest(one: Troubles, other: Troubles) -> Troubles {
    Troubles {
        lossy_ms: one.lossy_ms.max(other.lossy_ms),
        slow_ms: one.slow_ms.max(other.slow_ms),
        device_ms: one.device_ms.max(other.device_ms),
        away_ms: one.away_ms.max(other.away_ms),
    }
}

fn network(subnet: String, people: &BTreeMap<Identity, Participant>) -> Network {
    let count =
        |which: &dyn Fn(&Participant) -> bool| people.values().filter(|one| which(one)).count();
    let trouble = |ms: fn(&Troubles) -> i64| {
        count(&|one| {
            let trouble_ms = ms(&one.troubles);
            trouble_ms > 0 && trouble_ms * 100 >= one.present_ms * TROUBLE_PERCENT_MIN
        })
    };
    let used = |way: Way| (way, count(&|one| one.ways.contains(&way)));
    let by_way = Way::ALL.iter().map(|way| used(*way)).filter(|(_, count)| *count > 0).collect();
    let participants = people.len();
    let cut_off = count(&|one| one.ways.iter().all(|way| way.without_udp()));
    let tls_only = count(&|one| one.ways.iter().all(|way| *way == Way::TurnTls));
    let lossy = trouble(|troubles| troubles.lossy_ms);
    let advice = match (cut_off == participants, participants < SURE_MIN) {
        (true, true) => Advice::NoUdpOfFew,
        (true, false) if tls_only == participants => Advice::OnlyTls,
        (true, false) => Advice::NoUdp,
        (false, _) if cut_off > 0 => Advice::SomeWithoutUdp { count: cut_off },
        (false, _) if lossy > 0 => Advice::Lossy { count: lossy },
        (false, _) => Advice::Fine,
    };
    Network {
        subnet,
        participants,
        by_way,
        lossy,
        slow: trouble(|troubles| troubles.slow_ms),
        device: trouble(|troubles| troubles.device_ms),
        away: trouble(|troubles| troubles.away_ms),
        advice,
    }
}
