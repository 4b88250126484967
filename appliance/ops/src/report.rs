//! What a client reports of its own connections.

use belfry_model::LessonId;
use belfry_model::outside::Parser;
use serde::{Deserialize, Serialize};

use crate::words::{Browser, Cores, Memory, System, Way, words};

/// One report. A client that was cut off sends what it has queued in several.
pub const REPORT_BYTES_MAX: usize = 32 * 1024;
/// Samples of one report.
const SAMPLES_MAX: usize = 30;
/// How old a sample may be when it comes, in milliseconds.
const AGO_MS_MAX: u32 = 15 * 60_000;
/// How long a connection can have been away, in milliseconds.
const AWAY_MS_MAX: u32 = AGO_MS_MAX;
/// Different errors of one sample.
const ERRORS_MAX: usize = 8;
/// Packets, sound samples, milliseconds: what one sample can count since the one before.
const COUNT_MAX: u64 = 1_000_000_000;
/// A bit rate that no network of a school exceeds.
const BPS_MAX: u64 = 100_000_000_000;
/// A delay or a time for a frame, in milliseconds.
const MS_MAX: u32 = 60_000;
const PERCENT_MAX: u8 = 100;
const FPS_MAX: u16 = 240;
const MAJOR_MAX: u16 = 9_999;

words! {
    /// Why a sample was taken.
    Why {
        /// Ten seconds have passed.
        Timer = "timer",
        Joined = "joined",
        Reconnecting = "reconnecting",
        Reconnected = "reconnected",
        /// The way of the media has changed.
        Path = "path",
        /// A device could not be opened, or gives nothing.
        Device = "device",
        Left = "left",
    }

    /// What keeps an encoder from giving its best (`qualityLimitationReason`).
    Limit {
        None = "none",
        Cpu = "cpu",
        Bandwidth = "bandwidth",
        Other = "other",
    }

    /// What went wrong on the device.
    ErrorCode {
        MicrophoneDenied = "microphone_denied",
        MicrophoneMissing = "microphone_missing",
        MicrophoneBusy = "microphone_busy",
        MicrophoneSilent = "microphone_silent",
        MicrophoneFailed = "microphone_failed",
        CameraDenied = "camera_denied",
        CameraMissing = "camera_missing",
        CameraBusy = "camera_busy",
        CameraFailed = "camera_failed",
        SoundBlocked = "sound_blocked",
        MediaRefused = "media_refused",
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    #[error("not the JSON of a report")]
    Json(#[source] serde_json::Error),
    #[error("{0} is out of its bounds")]
    Bounds(&'static str),
}

/// A device, as much of it as tells why a lesson was slow there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub browser: Browser,
    pub major: u16,
    pub system: System,
    pub memory: Memory,
    pub cores: Cores,
}

/// The connection that the client sends on. Counts are since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Up {
    pub way: Option<Way>,
    pub rtt_ms: Option<u32>,
    /// What the client's estimator thinks that it may send.
    pub available_bps: Option<u64>,
    pub sent_bps: Option<u64>,
    /// Lost on the way to us, as our receiver reports tell the client.
    pub lost_percent: Option<u8>,
    pub limit: Option<Limit>,
    /// Time to encode one frame.
    pub encode_ms: Option<u32>,
}

/// The connection that the client receives on. Counts are since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Down {
    pub way: Option<Way>,
    pub rtt_ms: Option<u32>,
    pub received_bps: Option<u64>,
    pub packets_received: u64,
    pub packets_lost: u64,
    /// Samples of sound that were played, and those of them that were made up, without those
    /// that replaced silence.
    pub sound_samples: u64,
    pub sound_concealed: u64,
    pub freezes: u64,
    pub frozen_ms: u64,
    /// How long a packet of sound waited to be played.
    pub buffer_ms: Option<u32>,
    /// Frames a second of the teacher's picture; nothing if none is shown.
    pub teacher_fps: Option<u16>,
    /// Time to decode one frame.
    pub decode_ms: Option<u32>,
}

/// One look at the connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Age when the report was sent: school devices have wrong clocks.
    pub ago_ms: u32,
    pub why: Why,
    /// With `reconnected`: how long there was no connection.
    #[serde(default)]
    pub away_ms: Option<u32>,
    #[serde(default)]
    pub up: Option<Up>,
    #[serde(default)]
    pub down: Option<Down>,
    #[serde(default)]
    pub errors: Vec<ErrorCode>,
}

/// All that a client reports at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub lesson: LessonId,
    pub device: Device,
    /// Oldest first.
    pub samples: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    lesson: String,
    device: Device,
    samples: Vec<Sample>,
}

/// The body of `POST /app/api/telemetry`.
pub static REPORTS: Parser<Report, BadReport> = Parser::new(
    "client report",
    REPORT_BYTES_MAX,
    br#"{"lesson":"12","device":{"browser":"chromium","major":156,"system":"chromeos","memory":"4","cores":"4"},"samples":[{"ago_ms":40,"why":"timer","up":{"way":"udp","rtt_ms":12,"available_bps":900000,"sent_bps":300000,"lost_percent":1,"limit":"cpu","encode_ms":9},"down":{"way":"udp","rtt_ms":11,"packets_received":700,"packets_lost":9,"sound_samples":480000,"sound_concealed":960,"freezes":1,"frozen_ms":400,"buffer_ms":60,"teacher_fps":24,"decode_ms":4},"errors":["microphone_silent"]},{"ago_ms":0,"why":"reconnected","away_ms":8000}]}"#,
    parse,
);

fn parse(bytes: &[u8]) -> Result<Report, BadReport> {
    let Body { lesson, device, samples } =
        serde_json::from_slice(bytes).map_err(BadReport::Json)?;
    let lesson = lesson.parse().map_err(|_| BadReport::Bounds("lesson"))?;
    within("major", device.major <= MAJOR_MAX)?;
    within("samples", (1..=SAMPLES_MAX).contains(&samples.len()))?;
    samples.iter().try_for_each(check)?;
    let in_order = samples.windows(2).all(|pair| pair[0].ago_ms >= pair[1].ago_ms);
    within("ago_ms", in_order)?;
    Ok(Report { lesson: LessonId(lesson), device, samples })
}

fn check(sample: &Sample) -> Result<(), BadReport> {
    within("ago_ms", sample.ago_ms <= AGO_MS_MAX)?;
    within("away_ms", sample.away_ms.is_none_or(|ms| ms <= AWAY_MS_MAX))?;
    within("errors", sample.errors.len() <= ERRORS_MAX)?;
    if let Some(up) = &sample.up {
        let rates = [up.available_bps, up.sent_bps];
        within("bps", rates.iter().flatten().all(|bps| *bps <= BPS_MAX))?;
        within("ms", [up.rtt_ms, up.encode_ms].iter().flatten().all(|ms| *ms <= MS_MAX))?;
        within("lost_percent", up.lost_percent.is_none_or(|percent| percent <= PERCENT_MAX))?;
    }
    if let Some(down) = &sample.down {
        let delays = [down.rtt_ms, down.buffer_ms, down.decode_ms];
        within("ms", delays.iter().flatten().all(|ms| *ms <= MS_MAX))?;
        within("received_bps", down.received_bps.is_none_or(|bps| bps <= BPS_MAX))?;
        within("teacher_fps", down.teacher_fps.is_none_or(|fps| fps <= FPS_MAX))?;
        let counts = [
            down.packets_received,
            down.packets_lost,
            down.sound_samples,
            down.sound_concealed,
            down.freezes,
            down.frozen_ms,
        ];
        within("counts", counts.iter().all(|count| *count <= COUNT_MAX))?;
        within("sound_concealed", down.sound_concealed <= down.sound_samples)?;
    }
    Ok(())
}

fn within(what: &'static str, holds: bool) -> Result<(), BadReport> {
    if holds { Ok(()) } else { Err(BadReport::Bounds(what)) }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;
    use belfry_model::outside::Target;

    use super::{REPORTS, Report, SAMPLES_MAX};

    fn read(text: &str) -> Option<Report> {
        REPORTS.parse(Outside::new(text.as_bytes())).ok()
    }

    fn with(sample: &str) -> String {
        format!(
            r#"{{"lesson":"12","device":{{"browser":"safari","major":18,"system":"ios","memory":"unknown","cores":"4"}},"samples":[{sample}]}}"#
        )
    }

    #[test]
    fn the_seed_is_read_whole() {
        let report = read(std::str::from_utf8(REPORTS.seed()).expect("it is text"));
        let report = report.expect("the seed is a report");
        assert_eq!(report.samples.len(), 2);
        assert_eq!(report.samples[1].away_ms, Some(8_000));
    }

    #[test]
    fn what_the_wire_does_not_know_is_refused() {
        assert!(read(&with(r#"{"ago_ms":0,"why":"timer"}"#)).is_some());
        for sample in [
            r#"{"ago_ms":0,"why":"timer","name":"Ada"}"#,
            r#"{"ago_ms":0,"why":"boredom"}"#,
            r#"{"ago_ms":0,"why":"timer","errors":["printer_on_fire"]}"#,
            r#"{"ago_ms":0,"why":"timer","up":{"address":"10.0.0.1"}}"#,
            r#"{"ago_ms":0,"why":"timer","up":{"rtt_ms":-1}}"#,
            r#"{"ago_ms":0,"why":"timer","up":{"rtt_ms":1.5}}"#,
            r#"{"ago_ms":0,"why":"timer","up":{"rtt_ms":60001}}"#,
            r#"{"ago_ms":0,"why":"timer","up":{"lost_percent":101}}"#,
            r#"{"ago_ms":900001,"why":"timer"}"#,
            r#"{"ago_ms":0,"why":"timer","down":{"sound_samples":1,"sound_concealed":2}}"#,
            r#"{"ago_ms":0,"why":"timer"},{"ago_ms":1,"why":"timer"}"#,
            "",
        ] {
            assert!(read(&with(sample)).is_none(), "{sample}");
        }
    }

    #[test]
    fn more_samples_than_the_limit_are_refused() {
        let samples = |count| vec![r#"{"ago_ms":0,"why":"timer"}"#; count].join(",");
        assert!(read(&with(&samples(SAMPLES_MAX))).is_some());
        assert!(read(&with(&samples(SAMPLES_MAX + 1))).is_none());
    }
}
