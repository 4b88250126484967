//! A lesson: arrivals, departures, the phases, and what time does. The commands are in
//! `moderation`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use belfry_model::limits::{
    CHAT_HISTORY_MAX, PARTICIPANT_RESUME_MS, ROOM_PARTICIPANTS_MAX, TEACHER_GRACE_MS,
};
use belfry_model::{Identity, LessonId, LessonRole, Pii, Timestamp};

use crate::command::Command;
use crate::effect::{Audience, Bye, Effect, EndCause, Notice, Record};
use crate::link::{Link, LinkState};
use crate::refusal::Refusal;
use crate::view::Hand;
use crate::word::{Band, ChatMode, Grants, Layout, Locks, Message, Phase, Quality, Standing};

/// A lesson that no teacher opens ends after this long.
pub const UNOPENED_MS_MAX: i64 = 4 * 3_600_000;
/// No lesson is longer: a tab that a teacher forgot does not keep pupils' cameras open over night.
pub const LESSON_MS_MAX: i64 = 12 * 3_600_000;
/// Places in the waiting room.
pub const WAITING_MAX: usize = 100;
/// Places that students and guests cannot take, so that a teacher always gets in.
const LEAD_PLACES: usize = 4;

/// What a lesson is, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub lesson: LessonId,
    /// Of the class, or as the teacher called it.
    pub name: String,
    pub band: Band,
    pub rules: Rules,
}

/// What the district decides about a lesson before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Students on the roster pass the waiting room by themselves while a teacher is there.
    pub rostered_pass: bool,
    /// Begins with students seeing the teachers only.
    pub focus: bool,
    /// How chat begins.
    pub chat: ChatMode,
    /// How long the lesson stays open after its last teacher lost the connection.
    pub grace_ms: i64,
}

impl Rules {
    /// Young children begin in focus, and write to the teachers only.
    pub fn usual(band: Band) -> Self {
        let young = band == Band::K5;
        let chat = if young { ChatMode::TeacherOnly } else { ChatMode::On };
        Self { rostered_pass: true, focus: young, chat, grace_ms: TEACHER_GRACE_MS }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub identity: Identity,
    pub name: Pii<String>,
    pub standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A class socket opened.
    Arrive(Arrival),
    /// A class socket is gone without a word.
    Lost {
        identity: Identity,
    },
    /// The media socket of a participant opened, or is gone for good.
    Media {
        identity: Identity,
        connected: bool,
    },
    Quality {
        identity: Identity,
        quality: Quality,
        loss_percent: u8,
    },
    /// The state of the way down to a participant.
    Link {
        identity: Identity,
        link: Link,
    },
    /// The district changed how many people a lesson may hold. Those who are there stay.
    PlacesMax(usize),
    Command {
        by: Identity,
        command: Command,
    },
    /// The appliance ends the lesson (an administrator, or the end of the service).
    Stop,
    /// [`Lesson::deadline`] has passed.
    Tick,
}

/// One live lesson.
#[derive(Debug)]
pub struct Lesson {
    pub(crate) profile: Profile,
    pub(crate) phase: Phase,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    /// Since when nobody who leads is connected, in an open lesson.
    pub(crate) leaderless_since: Option<Timestamp>,
    pub(crate) locks: Locks,
    pub(crate) layout: Layout,
    /// Those who take part, connected or about to come back.
    pub(crate) participants: BTreeMap<Identity, Participant>,
    /// In the order of arrival.
    pub(crate) waiting: Vec<Waiting>,
    /// Were let in once and pass when they come again.
    pub(crate) admitted: BTreeSet<Identity>,
    pub(crate) co_teachers: BTreeSet<Identity>,
    /// Were removed and may ask to come back: they wait until they are admitted, on the roster or not.
    pub(crate) removed: BTreeSet<Identity>,
    /// With the names they had, so that a teacher knows whom to let back in.
    pub(crate) blocked: BTreeMap<Identity, Pii<String>>,
    /// In the order of raising.
    pub(crate) hands: Vec<Hand>,
    pub(crate) chat: VecDeque<Message>,
    pub(crate) message_last: u64,
    places_max: usize,
}

#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) name: Pii<String>,
    pub(crate) role: LessonRole,
    pub(crate) joined_at: Timestamp,
    /// The class socket is open.
    pub(crate) class: bool,
    /// The media socket is open.
    pub(crate) media: bool,
    /// When the others are told that they are gone, while no socket is open.
    pub(crate) gone_at: Option<Timestamp>,
    pub(crate) quality: Option<(Quality, u8)>,
    pub(crate) link: LinkState,
}

impl Participant {
    pub(crate) fn connected(&self) -> bool {
        self.class || self.media
    }
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) identity: Identity,
    pub(crate) name: Pii<String>,
    pub(crate) standing: Standing,
    pub(crate) since: Timestamp,
}

impl Lesson {
    pub fn new(profile: Profile, now: Timestamp) -> Self {
        Self {
            phase: Phase::BeforeTeacher,
            created_at: now,
            started_at: None,
            leaderless_since: None,
            locks: Locks::first(profile.rules.chat),
            layout: Layout::first(profile.rules.focus),
            participants: BTreeMap::new(),
            waiting: Vec::new(),
            admitted: BTreeSet::new(),
            co_teachers: BTreeSet::new(),
            removed: BTreeSet::new(),
            blocked: BTreeMap::new(),
            hands: Vec::new(),
            chat: VecDeque::new(),
            message_last: 0,
            places_max: ROOM_PARTICIPANTS_MAX,
            profile,
        }
    }

    /// The one way a lesson changes. The effects are to be carried out in their order.
    pub fn apply(&mut self, event: Event, now: Timestamp) -> Result<Vec<Effect>, Refusal> {
        let mut effects = Vec::new();
        let out = &mut effects;
        match event {
            Event::Tick => self.tick(now, out),
            _ if self.phase == Phase::Ended => return Err(Refusal::Ended),
            Event::Arrive(arrival) => self.arrive(arrival, now, out)?,
            Event::Lost { identity } => self.lost(&identity, now, out),
            Event::Media { identity, connected } => self.media(&identity, connected, now, out),
            Event::Quality { identity, quality, loss_percent } => {
                self.quality(&identity, quality, loss_percent, out);
            }
            Event::Link { identity, link } => self.link(&identity, link, now, out),
            Event::PlacesMax(places_max) => self.places_max = places_max,
            Event::Command { by, command } => self.command(&by, command, now, out)?,
            Event::Stop => self.end(EndCause::Stopped, out),
        }
        Ok(effects)
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// What a participant may send; `None`: has no place in the lesson's media.
    pub fn grants(&self, identity: &Identity) -> Option<Grants> {
        if self.phase == Phase::Ended {
            return None;
        }
        Some(Grants::of(self.role(identity)?, &self.locks))
    }

    /// When [`Event::Tick`] is due next.
    pub fn deadline(&self) -> Option<Timestamp> {
        let end = match self.phase {
            Phase::Ended => return None,
            Phase::BeforeTeacher => Some(self.created_at.plus_ms(UNOPENED_MS_MAX)),
            Phase::Open => self.leaderless_since.map(|at| at.plus_ms(PARTICIPANT_RESUME_MS)),
            Phase::Grace => self.grace_until(),
        };
        let long = self.started_at.map(|at| at.plus_ms(LESSON_MS_MAX));
        let gone = self.participants.values().filter_map(|participant| participant.gone_at).min();
        [end, long, gone, self.links_due()].into_iter().flatten().min()
    }

    pub(crate) fn grace_until(&self) -> Option<Timestamp> {
        self.leaderless_since.map(|at| at.plus_ms(self.profile.rules.grace_ms))
    }

    fn arrive(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if self.blocked.contains_key(&arrival.identity) {
            return Err(Refusal::Blocked);
        }
        if let Some(participant) = self.participants.get_mut(&arrival.identity) {
            participant.class = true;
            participant.gone_at = None;
            self.announce(&arrival.identity, out);
            self.leads_changed(now, false, out);
            return Ok(());
        }
        self.waiting.retain(|waiting| waiting.identity != arrival.identity);
        if self.passes(&arrival) {
            self.has_place(arrival.standing)?;
            self.enter(arrival, now, out);
        } else {
            if self.waiting.len() >= WAITING_MAX {
                return Err(Refusal::Full);
            }
            let Arrival { identity, name, standing } = arrival;
            out.push(Effect::Audit(Record::Waiting { identity: identity.clone() }));
            self.waiting.push(Waiting { identity, name, standing, since: now });
            self.waiting_changed(out);
        }
        Ok(())
    }

    /// Whether somebody goes past the waiting room. Those who were in before pass in the grace
    /// time, too: they come back, they do not come.
    fn passes(&self, arrival: &Arrival) -> bool {
        let known = self.admitted.contains(&arrival.identity);
        match self.phase {
            _ if arrival.standing == Standing::Teacher => true,
            Phase::Open => known || self.passes_alone(&arrival.identity, arrival.standing),
            Phase::Grace => known,
            Phase::BeforeTeacher | Phase::Ended => false,
        }
    }

    fn passes_alone(&self, identity: &Identity, standing: Standing) -> bool {
        let rostered = self.profile.rules.rostered_pass && standing == Standing::Rostered;
        rostered && !self.removed.contains(identity)
    }

    /// A teacher of the class gets in while there is any place at all; one of the places that the
    /// district allows is always hers.
    pub(crate) fn has_place(&self, standing: Standing) -> Result<(), Refusal> {
        let there = self.participants.values();
        let free = if standing == Standing::Teacher {
            there.len() < ROOM_PARTICIPANTS_MAX
        } else {
            let others = there.filter(|one| one.role != LessonRole::Teacher).count();
            others + 1 < self.places_max.min(ROOM_PARTICIPANTS_MAX - LEAD_PLACES + 1)
        };
        if free { Ok(()) } else { Err(Refusal::Full) }
    }

    pub(crate) fn enter(&mut self, arrival: Arrival, now: Timestamp, out: &mut Vec<Effect>) {
        let Arrival { identity, name, standing } = arrival;
        let made = self.co_teachers.contains(&identity);
        let role = if made { LessonRole::CoTeacher } else { standing.role() };
        let participant = Participant {
            name,
            role,
            joined_at: now,
            class: true,
            media: false,
            gone_at: None,
            quality: None,
            link: LinkState::default(),
        };
        self.participants.insert(identity.clone(), participant);
        self.admitted.insert(identity.clone());
        out.push(Effect::Audit(Record::Joined { identity: identity.clone(), role }));
        if self.phase == Phase::BeforeTeacher && role.leads() {
            self.phase = Phase::Open;
            self.started_at = Some(now);
            self.phase_changed(out);
            self.pass_rostered(now, out);
        }
        self.announce(&identity, out);
        self.leads_changed(now, false, out);
        out.push(Effect::Persist);
    }

    /// A teacher is there: those on the roster need not wait any more.
    fn pass_rostered(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let waiting = std::mem::take(&mut self.waiting);
        let waiting_count = waiting.len();
        for one in waiting {
            let known = self.admitted.contains(&one.identity);
            let passes = known || self.passes_alone(&one.identity, one.standing);
            if passes && self.has_place(one.standing).is_ok() {
                self.let_in(one, now, out);
            } else {
                self.waiting.push(one);
            }
        }
        if self.waiting.len() != waiting_count {
            self.waiting_changed(out);
        }
    }

    /// Moves somebody from the waiting room into the lesson.
    pub(crate) fn let_in(&mut self, waiting: Waiting, now: Timestamp, out: &mut Vec<Effect>) {
        let Waiting { identity, name, standing, .. } = waiting;
        self.removed.remove(&identity);
        self.enter(Arrival { identity: identity.clone(), name, standing }, now, out);
        out.push(Effect::Admitted { identity });
    }

    fn lost(&mut self, identity: &Identity, now: Timestamp, out: &mut Vec<Effect>) {
        let waited = self.waiting.len();
        self.waiting.retain(|waiting| waiting.identity != *identity);
        if self.waiting.len() != waited {
            self.waiting_changed(out);
        }
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.class = false;
            self.connection_changed(identity, now, out);
        }
    }

    fn media(
        &mut self,
        identity: &Identity,
        connected: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.media = connected;
            self.connection_changed(identity, now, out);
        }
    }

    fn connection_changed(&mut self, identity: &Identity, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(participant) = self.participants.get_mut(identity) else { return };
        let was_connected = participant.gone_at.is_none();
        let connected = participant.connected();
        if connected == was_connected {
            return;
        }
        participant.gone_at = (!connected).then(|| now.plus_ms(PARTICIPANT_RESUME_MS));
        self.announce(identity, out);
        self.leads_changed(now, false, out);
    }

    fn quality(
        &mut self,
        identity: &Identity,
        quality: Quality,
        loss_percent: u8,
        out: &mut Vec<Effect>,
    ) {
        let Some(participant) = self.participants.get_mut(identity) else { return };
        participant.quality = Some((quality, loss_percent));
        let leads = participant.role.leads();
        let notice = Notice::Quality { identity: identity.clone(), quality, loss_percent };
        if !leads {
            let to = Audience::One(identity.clone());
            out.push(Effect::Send { to, notice: notice.clone() });
        }
        out.push(Effect::Send { to: Audience::Leads, notice });
    }

    /// Takes a participant out of the lesson; whether they may come again is the caller's matter.
    pub(crate) fn take_out(&mut self, identity: &Identity, out: &mut Vec<Effect>) {
        if self.participants.remove(identity).is_none() {
            return;
        }
        self.lower(identity, out);
        let notice = Notice::Left(identity.clone());
        out.push(Effect::Send { to: Audience::Admitted, notice });
        out.push(Effect::RemoveFromMedia { identity: identity.clone() });
        if self.layout.spotlight.as_ref() == Some(identity) {
            self.layout.spotlight = None;
            self.layout.mode = Layout::first(self.profile.rules.focus).mode;
            self.layout_changed(out);
        }
        out.push(Effect::Persist);
    }

    /// Looks whether anybody who leads is connected. `at_once`: the last one left on purpose.
    pub(crate) fn leads_changed(&mut self, now: Timestamp, at_once: bool, out: &mut Vec<Effect>) {
        let led = self.participants.values().any(|one| one.role.leads() && one.connected());
        match (self.phase, led) {
            (Phase::Open, true) => self.leaderless_since = None,
            (Phase::Open, false) => {
                self.leaderless_since.get_or_insert(now);
                if at_once {
                    self.enter_grace(out);
                }
            }
            (Phase::Grace, true) => {
                self.leaderless_since = None;
                self.phase = Phase::Open;
                self.phase_changed(out);
                self.pass_rostered(now, out);
            }
            (Phase::Grace, false) | (Phase::BeforeTeacher | Phase::Ended, _) => {}
        }
    }

    fn enter_grace(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Grace;
        self.phase_changed(out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.phase == Phase::Ended {
            return;
        }
        let over = |from: Option<Timestamp>, ms| from.is_some_and(|from| from.plus_ms(ms) <= now);
        let unopened =
            self.phase == Phase::BeforeTeacher && over(Some(self.created_at), UNOPENED_MS_MAX);
        if unopened || over(self.leaderless_since, self.profile.rules.grace_ms) {
            return self.end(EndCause::NoTeacher, out);
        }
        if over(self.started_at, LESSON_MS_MAX) {
            return self.end(EndCause::Stopped, out);
        }
        let gone: Vec<_> = self
            .participants
            .iter()
            .filter(|(_, participant)| participant.gone_at.is_some_and(|at| at <= now))
            .map(|(identity, _)| identity.clone())
            .collect();
        for identity in gone {
            self.take_out(&identity, out);
            out.push(Effect::Audit(Record::Left { identity }));
        }
        if self.phase == Phase::Open && over(self.leaderless_since, PARTICIPANT_RESUME_MS) {
            self.enter_grace(out);
        }
        self.tell_links(now, out);
    }

    pub(crate) fn end(&mut self, because: EndCause, out: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        self.leaderless_since = None;
        self.phase_changed(out);
        let waiting = self.waiting.drain(..).map(|waiting| waiting.identity);
        let participants = std::mem::take(&mut self.participants);
        for identity in participants.into_keys() {
            out.push(Effect::Audit(Record::Left { identity: identity.clone() }));
            out.push(Effect::Close { identity, bye: Some(Bye::Ended) });
        }
        out.extend(waiting.map(|identity| Effect::Close { identity, bye: Some(Bye::Ended) }));
        self.hands.clear();
        out.push(Effect::EndMedia);
        out.push(Effect::Audit(Record::Ended { because }));
        out.push(Effect::Persist);
    }

    pub(crate) fn keep(&mut self, message: Message) {
        if self.chat.len() >= CHAT_HISTORY_MAX {
            self.chat.pop_front();
        }
        self.message_last = self.message_last.max(message.id.0);
        self.chat.push_back(message);
    }

    /// Tells everybody how a participant stands now; the quality of a connection is shown to those
    /// who lead only.
    pub(crate) fn announce(&self, identity: &Identity, out: &mut Vec<Effect>) {
        for (to, with_quality) in [(Audience::Leads, true), (Audience::Led, false)] {
            if let Some(view) = self.participant_view(identity, with_quality) {
                out.push(Effect::Send { to, notice: Notice::Participant(view) });
            }
        }
    }

    pub(crate) fn waiting_changed(&self, out: &mut Vec<Effect>) {
        let notice = Notice::Waiting(self.waiting_views());
        out.push(Effect::Send { to: Audience::Leads, notice });
    }

    pub(crate) fn blocked_changed(&self, out: &mut Vec<Effect>) {
        let notice = Notice::Blocked(self.blocked_views());
        out.push(Effect::Send { to: Audience::Leads, notice });
    }

    pub(crate) fn phase_changed(&self, out: &mut Vec<Effect>) {
        out.push(Effect::Send { to: Audience::All, notice: Notice::Phase(self.view()) });
        out.push(Effect::Persist);
    }

    pub(crate) fn layout_changed(&self, out: &mut Vec<Effect>) {
        let notice = Notice::Layout(self.layout.clone());
        out.push(Effect::Send { to: Audience::Admitted, notice });
        out.push(Effect::Persist);
    }

    pub(crate) fn hands_changed(&self, out: &mut Vec<Effect>) {
        let notice = Notice::Hands(self.hands.clone());
        out.push(Effect::Send { to: Audience::Admitted, notice });
        out.push(Effect::Persist);
    }

    pub(crate) fn lower(&mut self, identity: &Identity, out: &mut Vec<Effect>) {
        let raised = self.hands.len();
        self.hands.retain(|hand| hand.identity != *identity);
        if self.hands.len() != raised {
            self.hands_changed(out);
        }
    }
}
