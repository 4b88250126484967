//! Connections: the networks that participants come from, and one participant's timeline.

mod words;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use belfry_admin_ui::{
    Figure, NetworkRow, ParticipantRow, PresenceCard, Section, Tab, say, say_with,
};
use belfry_audit::Person as AuditPerson;
use belfry_http::{Audit, Caller, Detail, Problem, now};
use belfry_model::{Identity, LessonId, PersonId, SchoolId, Timestamp};
use belfry_ops::{Cause, Interval, LivePresence, Network, Subnet, Use, Way, networks};
use belfry_store::{KeptPresence, KeptWay, Lesson, Troubles};
use http::header;

use crate::reader::{Reader, shown};
use crate::when::{iso, moment};
use crate::{Admin, store_problem};

/// The periods that can be looked at, in days.
const PERIODS: [(u32, &str); 2] = [(1, "connections-last-day"), (7, "connections-last-week")];
const DAY_MS: i64 = 86_400_000;
/// Rows of the list of participants; a larger network is read in the CSV of networks.
const PARTICIPANTS_MAX: usize = 500;
/// A guest's identity on the wire, in characters.
const GUEST_CHARS_MAX: usize = 64;

/// The period that was asked for.
fn days(reader: &Reader) -> u32 {
    let asked = reader.query.text("days").parse().ok();
    let known = PERIODS.map(|(days, _)| days);
    asked.filter(|days| known.contains(days)).unwrap_or(known[0])
}

/// Lessons that were looked up for one page.
struct Lessons<'a> {
    admin: &'a Admin,
    school: SchoolId,
    known: HashMap<LessonId, Option<Lesson>>,
}

impl<'a> Lessons<'a> {
    fn new(admin: &'a Admin, school: SchoolId) -> Self {
        Self { admin, school, known: HashMap::new() }
    }

    /// The lesson, if it is of the reader's school.
    async fn find(&mut self, id: LessonId) -> Result<Option<&Lesson>, Problem> {
        if !self.known.contains_key(&id) {
            let lesson =
                self.admin.store.lesson(id).await.map_err(|error| store_problem(&error))?;
            self.known.insert(id, lesson.filter(|lesson| lesson.school == self.school));
        }
        Ok(self.known[&id].as_ref())
    }

    /// Of presences that go on, those in the reader's school.
    async fn of_school(&mut self, all: Vec<LivePresence>) -> Result<Vec<LivePresence>, Problem> {
        let mut own = Vec::new();
        for presence in all {
            if self.find(presence.lesson).await?.is_some() {
                own.push(presence);
            }
        }
        Ok(own)
    }
}

/// Everybody's use of every way in the period, and who is there now.
async fn uses(
    admin: &Admin,
    school: SchoolId,
    days: u32,
) -> Result<(Vec<Use>, Vec<LivePresence>), Problem> {
    let at = now();
    let since = at.plus_ms(-i64::from(days) * DAY_MS);
    let kept = admin.store.way_uses(school, since).await.map_err(|error| store_problem(&error))?;
    let live = Lessons::new(admin, school).of_school(admin.ops.live(at)).await?;
    let mut uses: Vec<_> = kept.into_iter().filter_map(Use::kept).collect();
    uses.extend(live.iter().flat_map(|presence| Use::live(presence, at)));
    Ok((uses, live))
}

pub(crate) async fn list(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let days = days(&reader);
    let (uses, live) = uses(&admin, caller.school, days).await?;
    let tab = |(of, label): (u32, &str)| Tab {
        label: say(label),
        href: format!("/admin/connections?days={of}"),
        here: of == days,
    };
    Ok(shown(&belfry_admin_ui::Connections {
        frame: reader.section(Section::Connections),
        periods: PERIODS.map(tab).into(),
        live: live.len() as u64,
        rows: networks(uses).iter().map(|network| row(&admin, network, days)).collect(),
        csv: format!("/admin/connections/networks.csv?days={days}"),
    }))
}

fn row(admin: &Admin, network: &Network, days: u32) -> NetworkRow {
    let (state, state_class) = words::state(network.advice);
    let [udp, tcp, tls] = by_kind(network);
    let subnet = network.subnet.clone();
    NetworkRow {
        // Digits, dots, colons and one slash: nothing that a query would take for its own.
        href: format!("/admin/connections/participants?days={days}&subnet={subnet}"),
        subnet,
        participants: network.participants as u64,
        udp,
        tcp,
        tls,
        troubles: words::troubled(network),
        state,
        state_class,
        advice: words::advice(network, admin.ops.reach()),
    }
}

fn by_kind(network: &Network) -> [u64; 3] {
    [&[Way::Udp, Way::TurnUdp][..], &[Way::IceTcp, Way::TurnTcp][..], &[Way::TurnTls][..]]
        .map(|ways| network.used(ways) as u64)
}

pub(crate) async fn csv(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let (uses, _) = uses(&admin, caller.school, days(&reader)).await?;
    let mut out = String::from(
        "network,participants,udp,tcp,tls,packets lost,slow network,slow device,connection lost,state,advice\r\n",
    );
    for network in networks(uses) {
        let [udp, tcp, tls] = by_kind(&network);
        let Network { participants, lossy, slow, device, away, .. } = &network;
        let counts = format!("{participants},{udp},{tcp},{tls},{lossy},{slow},{device},{away}");
        let (state, _) = words::state(network.advice);
        let advice = words::advice(&network, admin.ops.reach());
        // Every text is ours or digits; a comma or a quote in one must not end its cell.
        let cell = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        write!(out, "{},{counts},{},{}\r\n", cell(&network.subnet), cell(&state), cell(&advice))
            .expect("writing to a string does not fail");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"belfry-networks.csv\""),
    ];
    Ok((headers, out).into_response())
}

/// One line of the list of participants.
#[derive(Default)]
struct Line {
    ways: Vec<Way>,
    subnets: Vec<String>,
    troubles: Troubles,
    live: bool,
}

pub(crate) async fn participants(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let subnet = Subnet::parse(reader.query.text("subnet"));
    let (uses, live) = uses(&admin, caller.school, days(&reader)).await?;
    let name = subnet.map(|subnet| subnet.to_string());
    let lines = lines(uses, &live, name.as_deref());
    audit.append(Detail::ConnectionsRead { person: None, count: lines.len() as u64 }).await?;
    let mut rows = Vec::new();
    for (identity, line) in lines {
        rows.push(participant(&admin, &caller, &identity, line).await?);
    }
    rows.sort_by_key(|row| row.name.to_lowercase());
    let title = name.unwrap_or_else(|| say("connections-everywhere"));
    Ok(shown(&belfry_admin_ui::ConnectionsParticipants {
        frame: reader.below(Section::Connections, title),
        intro: say_with("connections-participants-of", &[("count", rows.len() as u64)]),
        rows,
    }))
}

fn lines(uses: Vec<Use>, live: &[LivePresence], subnet: Option<&str>) -> BTreeMap<Identity, Line> {
    let mut lines: BTreeMap<Identity, Line> = BTreeMap::new();
    for used in uses {
        if subnet.is_some_and(|subnet| subnet != used.subnet) {
            continue;
        }
        if lines.len() >= PARTICIPANTS_MAX && !lines.contains_key(&used.identity) {
            continue;
        }
        let line = lines.entry(used.identity).or_default();
        if !line.ways.contains(&used.way) {
            line.ways.push(used.way);
        }
        if !line.subnets.contains(&used.subnet) {
            line.subnets.push(used.subnet);
        }
        line.troubles = used.troubles;
    }
    for presence in live {
        if let Some(line) = lines.get_mut(&presence.identity) {
            line.live = true;
        }
    }
    lines
}

async fn participant(
    admin: &Admin,
    caller: &Caller,
    identity: &Identity,
    line: Line,
) -> Result<ParticipantRow, Problem> {
    let (name, href) = match account(identity) {
        Some(person) => {
            (name_of(admin, caller, person).await?, format!("/admin/connections/people/{person}"))
        }
        None => (Some(guest(identity)), format!("/admin/connections/guests/{identity}")),
    };
    let ways: Vec<_> = line.ways.into_iter().map(words::way).collect();
    Ok(ParticipantRow {
        name: name.unwrap_or_else(|| identity.to_string()),
        href,
        subnet: line.subnets.join(", "),
        ways: ways.join(", "),
        troubles: words::troubles(&line.troubles),
        live: line.live,
    })
}

/// `p42` is the account 42.
fn account(identity: &Identity) -> Option<PersonId> {
    identity.as_str().strip_prefix('p')?.parse().ok().map(PersonId)
}

fn guest(identity: &Identity) -> String {
    say_with("connections-guest", &[("id", identity.to_string())])
}

async fn name_of(
    admin: &Admin,
    caller: &Caller,
    person: PersonId,
) -> Result<Option<String>, Problem> {
    let person = admin.store.person(person).await.map_err(|error| store_problem(&error))?;
    let own = person.filter(|person| person.school == caller.school);
    Ok(own.map(|person| person.name.into_inner()))
}

pub(crate) async fn person(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let name = name_of(&admin, &caller, PersonId(id)).await?.ok_or_else(Problem::not_found)?;
    let identity = Identity::new(format!("p{id}"));
    let cards = cards(&admin, &caller, &identity).await?;
    let count = cards.len() as u64;
    audit.append(Detail::ConnectionsRead { person: Some(AuditPerson(id)), count }).await?;
    let frame = reader.below(Section::Connections, name);
    Ok(shown(&belfry_admin_ui::Connection { frame, presences: cards }))
}

pub(crate) async fn of_guest(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let fits = id.len() <= GUEST_CHARS_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    // Accounts have their own page, with their own entry in the log.
    if !fits || id.starts_with('p') {
        return Err(Problem::not_found());
    }
    let identity = Identity::new(id);
    let cards = cards(&admin, &caller, &identity).await?;
    let count = cards.len() as u64;
    audit.append(Detail::ConnectionsRead { person: None, count }).await?;
    let frame = reader.below(Section::Connections, guest(&identity));
    Ok(shown(&belfry_admin_ui::Connection { frame, presences: cards }))
}

/// What goes on first, then what is kept, the newest first.
async fn cards(
    admin: &Admin,
    caller: &Caller,
    identity: &Identity,
) -> Result<Vec<PresenceCard>, Problem> {
    let at = now();
    let mut lessons = Lessons::new(admin, caller.school);
    let live = lessons.of_school(admin.ops.live_of(identity, at)).await?;
    let kept = admin.store.presences_of(caller.school, identity.clone()).await;
    let kept = kept.map_err(|error| store_problem(&error))?;
    let mut cards = Vec::new();
    for (number, presence) in live.into_iter().enumerate() {
        let lesson = lessons.find(presence.lesson).await?;
        cards.push(card_of_live(&presence, lesson, number, at));
    }
    for (number, presence) in kept.iter().enumerate() {
        let lesson = lessons.find(presence.lesson).await?;
        cards.push(card_of_kept(presence, lesson, number));
    }
    Ok(cards)
}

fn title(lesson: Option<&Lesson>, began: Timestamp) -> String {
    let at = moment(began);
    match lesson {
        Some(lesson) => {
            say_with("connections-lesson", &[("lesson", lesson.name.clone()), ("at", at)])
        }
        None => say_with("connections-lesson-gone", &[("at", at)]),
    }
}

fn card_of_live(
    presence: &LivePresence,
    lesson: Option<&Lesson>,
    number: usize,
    at: Timestamp,
) -> PresenceCard {
    let mut timeline = presence.timeline.clone();
    // An outage that lasts is no interval yet.
    timeline.extend(presence.holds.iter().filter(|one| one.cause == Cause::Away).copied());
    PresenceCard {
        id: format!("now-{number}"),
        title: title(lesson, presence.began_at),
        live: true,
        lasted: words::lasted(at.since_ms(presence.began_at)),
        device: words::device(presence.device.as_deref()),
        ways: ways(&presence.ways),
        figures: figures(presence),
        moments: timeline.iter().map(moment_of).collect(),
    }
}

fn card_of_kept(presence: &KeptPresence, lesson: Option<&Lesson>, number: usize) -> PresenceCard {
    // inside: the timeline is what the ops crate of this house wrote to `belfry.db`.
    let timeline: Vec<Interval> =
        serde_json::from_str(&presence.timeline).unwrap_or_else(|error| {
            tracing::warn!(%error, "a kept timeline is unreadable");
            Vec::new()
        });
    PresenceCard {
        id: format!("kept-{number}"),
        title: title(lesson, presence.began_at),
        live: false,
        lasted: words::lasted(presence.ended_at.since_ms(presence.began_at)),
        device: words::device(presence.device.as_deref()),
        ways: ways(&presence.ways),
        figures: Vec::new(),
        moments: timeline.iter().map(moment_of).collect(),
    }
}

fn ways(used: &[KeptWay]) -> Vec<String> {
    let line = |used: &KeptWay| {
        let way = Way::parse(used.way).map(words::way)?;
        let values = [
            ("way", way),
            ("subnet", used.subnet.clone()),
            ("lasted", words::lasted(used.used_ms)),
        ];
        Some(say_with("connections-way-line", &values))
    };
    used.iter().filter_map(line).collect()
}

fn moment_of(interval: &Interval) -> belfry_admin_ui::Moment {
    let at_iso = iso(interval.from);
    let lasted_ms = interval.lasted_ms();
    belfry_admin_ui::Moment {
        // The time of day of `2026-11-22T13:05:09Z`.
        at: at_iso.get(11..19).unwrap_or_default().to_owned(),
        at_iso,
        lasted: if lasted_ms >= 1_000 { words::lasted(lasted_ms) } else { String::new() },
        text: words::cause(interval),
        class: words::class(interval.cause),
    }
}

/// The latest of each figure that the client told.
fn figures(presence: &LivePresence) -> Vec<Figure> {
    let downs = || presence.recent.iter().rev().filter_map(|(_, sample)| sample.down);
    let ms = |ms: u32| say_with("connections-ms", &[("ms", ms)]);
    let mut figures = Vec::new();
    let mut put = |label: &str, value: Option<String>| {
        figures.extend(value.map(|value| Figure { label: say(label), value }));
    };
    put("connections-figure-rtt", downs().find_map(|down| down.rtt_ms).map(ms));
    let mut ups = presence.recent.iter().rev().filter_map(|(_, sample)| sample.up);
    let lost = ups.find_map(|up| up.lost_percent);
    put(
        "connections-figure-lost",
        lost.map(|percent| say_with("connections-percent", &[("percent", percent)])),
    );
    put(
        "connections-figure-fps",
        downs().find_map(|down| down.teacher_fps).map(|fps| fps.to_string()),
    );
    put("connections-figure-buffer", downs().find_map(|down| down.buffer_ms).map(ms));
    figures
}
