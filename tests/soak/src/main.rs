//! Synthetic participants of a long lesson, steered line by line.
//!
//! Environment: `BELFRY_URL`, `BELFRY_ROOT` (certificate file).
//! Standard input, one JSON object a line:
//!   `{"join": {"token": "...", "audio": bool, "video": null | {"frames_per_second": n, "bits_per_second": n}}}`
//!   `"report"`
//! Standard output, one line for each: `{"joined": n}` or the [`Report`]. The end of the input ends it.

use std::io::Write;

use anyhow::Context;
use belfry_synthetic::{Kind, Participant, Plan, Publish, Statistics, Video};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Join(Join),
    Report,
}

#[derive(Deserialize)]
struct Join {
    token: String,
    audio: bool,
    video: Option<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    frames_per_second: u32,
    bits_per_second: u32,
}

/// Sums over all participants since they joined.
#[derive(Default, Serialize)]
struct Report {
    participants: usize,
    connected: usize,
    reconnects: u32,
    /// Tracks received, over all participants; and the least that one of them receives.
    tracks: usize,
    tracks_min: usize,
    received: u64,
    lost: u64,
    /// Those of `lost` that were sound.
    lost_audio: u64,
    recovered: u64,
    duplicates: u64,
    bytes: u64,
    /// Packets that reached the application: fewer than `received` means that the WebRTC crate
    /// dropped them in its own channels.
    delivered: u64,
    sent: u64,
}

impl Report {
    fn of(participants: &[Participant]) -> Self {
        let mut report = Self { tracks_min: usize::MAX, ..Self::default() };
        for participant in participants {
            report.add(&participant.statistics(), participant.is_over());
        }
        report
    }

    fn add(&mut self, statistics: &Statistics, over: bool) {
        self.participants += 1;
        self.connected += usize::from(statistics.connected && !over);
        self.reconnects += statistics.reconnects;
        self.tracks += statistics.tracks.len();
        self.tracks_min = self.tracks_min.min(statistics.tracks.len());
        for track in &statistics.tracks {
            self.received += track.received;
            self.lost += track.lost;
            self.lost_audio += if track.kind == Kind::Audio { track.lost } else { 0 };
            self.recovered += track.recovered;
            self.duplicates += track.duplicates;
            self.bytes += track.bytes;
        }
        self.delivered += statistics.delivered;
        self.sent += statistics.sent;
    }
}

fn say(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

#[derive(Serialize)]
struct Joined {
    joined: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("BELFRY_URL").context("BELFRY_URL is the appliance's origin")?;
    let root = std::env::var("BELFRY_ROOT").context("BELFRY_ROOT is its root certificate")?;
    let root_pem = std::fs::read(root)?;
    let mut participants = Vec::new();
    let mut orders = BufReader::new(stdin()).lines();
    while let Some(line) = orders.next_line().await? {
        match serde_json::from_str(&line).context("an order is one JSON value a line")? {
            Order::Join(join) => {
                let video = join.video.map(|video| Video {
                    frames_per_second: video.frames_per_second,
                    bits_per_second: video.bits_per_second,
                });
                let publish = Publish { audio: join.audio, video };
                let (url, root_pem) = (url.clone(), root_pem.clone());
                let plan = Plan { url, root_pem, token: join.token, publish };
                participants.push(Participant::join(plan).await?);
                say(&Joined { joined: participants.len() })?;
            }
            Order::Report => say(&Report::of(&participants))?,
        }
    }
    for participant in participants {
        participant.leave().await?;
    }
    Ok(())
}
