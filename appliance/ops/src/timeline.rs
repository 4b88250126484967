//! From what was seen of a path to a timeline of plain causes. Pure: time is an argument.
//!
//! Both sides tell late: a client that was cut off reports its outage when it is back. So each
//! observation claims that a cause held from one moment to another, and claims that touch are one
//! interval, in whatever order they come.

use belfry_media_api::{Cause as MediaCause, Downlink, PeerRole};
use belfry_model::Timestamp;
use belfry_store::Troubles;
use serde::{Deserialize, Serialize};

use crate::report::{Device, Down, ErrorCode, Limit, Sample, Up, Why};
use crate::words::{Carried, Way};

/// Loss below this is what every Wi-Fi has; voices are repaired without anybody hearing it.
const LOSS_PERCENT_MIN: u8 = 3;
/// Fewer packets than this say nothing of loss.
const LOSS_PACKETS_MIN: u64 = 50;
/// Made-up sound from which on speech is hard to follow.
const GAPS_PERCENT_MIN: u64 = 5;
/// A second of sound at 48 kHz; less says nothing of gaps.
const GAPS_SAMPLES_MIN: u64 = 48_000;
/// A device that takes longer than this for one frame cannot keep up 25 of them a second.
const FRAME_MS_MAX: u32 = 40;
/// After joining, an encoder says that bandwidth limits it until its estimate has risen.
const RAMP_MS: i64 = 15_000;
/// What one sample or one state of the media plane speaks for, at most.
const SPAN_MS_MAX: i64 = 15_000;
/// A cause that comes again within this time did not go away.
const HOLD_MS: i64 = 20_000;
/// Intervals of one presence; what comes after them is left out.
const INTERVALS_MAX: usize = 200;

/// Something that one of the two sides has seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The client's own report.
    Client(Sample),
    /// The media plane: what the way down carries.
    Downlink(Downlink),
    /// The media plane: how a connection comes through.
    Way { role: PeerRole, way: Way },
    /// The lesson: the signalling socket broke, or is back.
    Connected(bool),
}

/// What happened on a path, in terms that a person at a school can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    Joined {
        way: Way,
    },
    /// The media took another way from here on.
    Moved {
        way: Way,
    },
    /// Packets were lost; the worst of it.
    Loss {
        percent: u8,
    },
    /// The network carried less than what was wanted; the least of it.
    Slow {
        bps: u64,
    },
    /// The device did not keep up with encoding or decoding.
    Device,
    /// Sound was broken up, and nothing else says why.
    Gaps {
        percent: u8,
    },
    /// There was no connection.
    Away,
    Problem {
        code: ErrorCode,
    },
    Left,
    /// Nothing was heard any more: the lid was closed, the battery was empty, the network was gone.
    Vanished,
}

impl Cause {
    /// The stable word, which texts are looked up by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined { .. } => "joined",
            Self::Moved { .. } => "moved",
            Self::Loss { .. } => "loss",
            Self::Slow { .. } => "slow",
            Self::Device => "device",
            Self::Gaps { .. } => "gaps",
            Self::Away => "away",
            Self::Problem { .. } => "problem",
            Self::Left => "left",
            Self::Vanished => "vanished",
        }
    }

    /// The worse of two of the same kind; `None`: they are two different things.
    fn merged(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Loss { percent: a }, Self::Loss { percent: b }) => {
                Some(Self::Loss { percent: a.max(b) })
            }
            (Self::Slow { bps: a }, Self::Slow { bps: b }) => Some(Self::Slow { bps: a.min(b) }),
            (Self::Gaps { percent: a }, Self::Gaps { percent: b }) => {
                Some(Self::Gaps { percent: a.max(b) })
            }
            (Self::Device, Self::Device) | (Self::Away, Self::Away) => Some(self),
            (Self::Problem { code: a }, Self::Problem { code: b }) if a == b => Some(self),
            _ => None,
        }
    }
}

/// A cause and when it held. Some causes are moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: Timestamp,
    pub until: Timestamp,
    #[serde(flatten)]
    pub cause: Cause,
    /// The least of the lesson that came through meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

impl Interval {
    pub fn lasted_ms(&self) -> i64 {
        self.until.since_ms(self.from)
    }
}

/// The timeline of one presence, as it grows.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    intervals: Vec<Interval>,
    joined_at: Option<Timestamp>,
    /// Of the connection that the participant receives on.
    way: Option<Way>,
    /// Whether the media plane told the way; the client is not asked then.
    way_is_ours: bool,
    client_at: Option<Timestamp>,
    downlink: Option<(Timestamp, Downlink)>,
    away_since: Option<Timestamp>,
    ended: bool,
}

impl Timeline {
    /// The timeline of what was seen, in any order that is right for each side by itself.
    pub fn of(seen: &[(Timestamp, Seen)]) -> Self {
        let mut timeline = Self::default();
        for (at, seen) in seen {
            timeline.take(*at, seen);
        }
        timeline
    }

    /// Takes in one thing that was seen.
    pub fn take(&mut self, at: Timestamp, seen: &Seen) {
        match seen {
            Seen::Client(sample) => self.client(at, sample),
            Seen::Downlink(downlink) => self.downlink(at, *downlink),
            Seen::Way { role: PeerRole::Subscriber, way } => {
                self.way_is_ours = true;
                // Whoever came back by joining anew has no socket that resumes.
                self.back(at, None);
                self.went(at, *way);
            }
            // Everybody receives; what somebody sends takes the same way as a rule.
            Seen::Way { role: PeerRole::Publisher, .. } => {}
            Seen::Connected(false) => self.away(at),
            Seen::Connected(true) => self.back(at, None),
        }
    }

    /// The presence is over.
    pub fn finish(&mut self, at: Timestamp, said: bool) {
        if self.ended {
            return;
        }
        self.ended = true;
        if let Some(since) = self.away_since.take() {
            self.claim(since, at.max(since), Cause::Away, None);
        }
        // The last word is always kept.
        self.intervals.truncate(INTERVALS_MAX - 1);
        let cause = if said { Cause::Left } else { Cause::Vanished };
        self.intervals.push(Interval { from: at, until: at, cause, carried: None });
    }

    /// By their beginning.
    pub fn intervals(&self) -> Vec<Interval> {
        let mut intervals = self.intervals.clone();
        intervals.sort_by_key(|interval| interval.from);
        intervals
    }

    /// What holds at the moment, the connection that is away first.
    pub fn now(&self, now: Timestamp) -> Vec<Interval> {
        let away = self.away_since.map(|from| Interval {
            from,
            until: now,
            cause: Cause::Away,
            carried: None,
        });
        let holds = |interval: &&Interval| {
            let lasting = !matches!(interval.cause, Cause::Joined { .. } | Cause::Moved { .. });
            lasting && now.since_ms(interval.until) <= HOLD_MS
        };
        away.into_iter().chain(self.intervals.iter().filter(holds).copied()).collect()
    }

    pub fn troubles(&self) -> Troubles {
        let mut troubles = Troubles::default();
        for interval in &self.intervals {
            let lasted_ms = interval.lasted_ms();
            match interval.cause {
                Cause::Loss { .. } => troubles.lossy_ms += lasted_ms,
                Cause::Slow { .. } => troubles.slow_ms += lasted_ms,
                Cause::Device => troubles.device_ms += lasted_ms,
                Cause::Away => troubles.away_ms += lasted_ms,
                _ => {}
            }
        }
        troubles
    }

    fn client(&mut self, at: Timestamp, sample: &Sample) {
        let before = self.client_at.replace(at).filter(|before| *before <= at);
        let from = before.map_or(at, |before| before.max(at.plus_ms(-SPAN_MS_MAX)));
        match sample.why {
            Why::Reconnecting => self.away(at),
            Why::Reconnected => self.back(at, sample.away_ms),
            _ => {}
        }
        let way = sample.down.and_then(|down| down.way).or(sample.up.and_then(|up| up.way));
        if let (Some(way), false) = (way, self.way_is_ours) {
            self.went(at, way);
        }
        let lossy = [sample.up.and_then(|up| up.lost_percent), sample.down.and_then(lost_percent)];
        let lost = lossy.into_iter().flatten().max().unwrap_or(0);
        self.loss(from, at, lost, None);
        let gaps = sample.down.and_then(gaps_percent);
        if let (Some(percent), true) = (gaps, lost < LOSS_PERCENT_MIN) {
            self.claim(from, at, Cause::Gaps { percent }, None);
        }
        if overloaded(sample.up, sample.down) {
            self.claim(from, at, Cause::Device, None);
        }
        if let Some(bps) = sample.up.and_then(limited_to).filter(|_| self.is_settled(at)) {
            self.claim(from, at, Cause::Slow { bps }, None);
        }
        for code in &sample.errors {
            self.claim(from, at, Cause::Problem { code: *code }, None);
        }
    }

    fn downlink(&mut self, at: Timestamp, downlink: Downlink) {
        if let Some((since, before)) = self.downlink.replace((at, downlink)) {
            let until = at.min(since.plus_ms(SPAN_MS_MAX));
            self.carries(since, until.max(since), before);
        }
        self.carries(at, at, downlink);
    }

    fn carries(&mut self, from: Timestamp, until: Timestamp, downlink: Downlink) {
        let carried = Carried::from(downlink.carried);
        let less = (carried != Carried::All).then_some(carried);
        match downlink.cause {
            MediaCause::Bandwidth if less.is_some() => {
                self.claim(from, until, Cause::Slow { bps: downlink.estimate_bps }, less);
            }
            // The media plane knows that loss is to blame; how much it is may be little by now.
            MediaCause::Loss if less.is_some() => {
                let percent = downlink.loss_percent.max(1);
                self.claim(from, until, Cause::Loss { percent }, less);
            }
            MediaCause::None | MediaCause::Loss | MediaCause::Bandwidth => {
                self.loss(from, until, downlink.loss_percent, less);
            }
        }
    }

    fn loss(&mut self, from: Timestamp, until: Timestamp, percent: u8, carried: Option<Carried>) {
        if percent >= LOSS_PERCENT_MIN {
            self.claim(from, until, Cause::Loss { percent }, carried);
        }
    }

    fn went(&mut self, at: Timestamp, way: Way) {
        let cause = match self.way.replace(way) {
            None => Cause::Joined { way },
            Some(before) if before != way => Cause::Moved { way },
            Some(_) => return,
        };
        self.joined_at.get_or_insert(at);
        self.put(Interval { from: at, until: at, cause, carried: None });
    }

    fn away(&mut self, at: Timestamp) {
        self.away_since = Some(self.away_since.map_or(at, |since| since.min(at)));
    }

    fn back(&mut self, at: Timestamp, away_ms: Option<u32>) {
        let told = away_ms.map(|ms| at.plus_ms(-i64::from(ms)));
        let since = [self.away_since.take(), told].into_iter().flatten().min();
        if let Some(since) = since {
            self.claim(since.min(at), at, Cause::Away, None);
        }
    }

    fn is_settled(&self, at: Timestamp) -> bool {
        self.joined_at.is_some_and(|joined| at.since_ms(joined) > RAMP_MS)
    }

    /// Says that a cause held, and joins this with what it touches.
    fn claim(&mut self, from: Timestamp, until: Timestamp, cause: Cause, carried: Option<Carried>) {
        let mut claimed = Interval { from, until, cause, carried };
        // Joining may close the gap to the next one, too.
        while let Some(at) = self.intervals.iter().position(|one| touches(one, &claimed)) {
            let one = self.intervals.swap_remove(at);
            claimed = Interval {
                from: claimed.from.min(one.from),
                until: claimed.until.max(one.until),
                cause: claimed.cause.merged(one.cause).expect("touching ones are of one kind"),
                carried: claimed.carried.max(one.carried),
            };
        }
        self.put(claimed);
    }

    fn put(&mut self, interval: Interval) {
        if self.intervals.len() < INTERVALS_MAX {
            self.intervals.push(interval);
        }
    }
}

fn touches(one: &Interval, other: &Interval) -> bool {
    let gap_ms = other.from.since_ms(one.until).max(one.from.since_ms(other.until));
    one.cause.merged(other.cause).is_some() && gap_ms <= HOLD_MS
}

fn lost_percent(down: Down) -> Option<u8> {
    let sent = down.packets_received + down.packets_lost;
    (sent >= LOSS_PACKETS_MIN).then(|| percent(down.packets_lost, sent))
}

fn gaps_percent(down: Down) -> Option<u8> {
    let heard = down.sound_samples >= GAPS_SAMPLES_MIN;
    let broken = down.sound_concealed * 100 >= down.sound_samples * GAPS_PERCENT_MIN;
    (heard && broken).then(|| percent(down.sound_concealed, down.sound_samples))
}

fn percent(part: u64, whole: u64) -> u8 {
    u8::try_from((part * 100 + whole / 2) / whole.max(1)).unwrap_or(u8::MAX).min(100)
}

fn overloaded(up: Option<Up>, down: Option<Down>) -> bool {
    let frame_ms = [up.and_then(|up| up.encode_ms), down.and_then(|down| down.decode_ms)];
    up.is_some_and(|up| up.limit == Some(Limit::Cpu))
        || frame_ms.into_iter().flatten().any(|ms| ms > FRAME_MS_MAX)
}

/// What the way up carries, if the client says that it is too little.
fn limited_to(up: Up) -> Option<u64> {
    let limited = up.limit == Some(Limit::Bandwidth);
    up.available_bps.or(up.sent_bps).filter(|_| limited)
}

/// A device as one line of words: `chromium 156, chromeos`.
impl Device {
    pub fn name(&self) -> String {
        format!("{} {}, {}", self.browser.as_str(), self.major, self.system.as_str())
    }
}
