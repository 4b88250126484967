//! The control process's side.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use belfry_media_api::{Command, Configure, EVENTS, Event, encode};
use belfry_workers::{Commands, Report, Restarts, Spec, Vocabulary};
use tokio::sync::mpsc;

use crate::Handover;

/// Each shard reports once a second, so three missing reports of all shards mean a wedge. (One
/// wedged shard of several ends the process from inside, see `run`.)
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// How long the process may take to close its sockets.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Commands, and events, that wait to be taken: a class of thirty joining at once needs hundreds.
const QUEUE_MAX: usize = 4096;

/// Keeps a media process running, `program` with `args` (by default this executable), each new one
/// configured by `configure` and taking streams from `handed`. Must be called within a tokio runtime.
pub fn supervise(
    program: Option<PathBuf>,
    args: Vec<OsString>,
    configure: Configure,
    handed: Option<&Handover>,
) -> (Commands<Command>, mpsc::Receiver<Report<Event>>) {
    let spec = Spec {
        name: "media",
        program,
        args,
        silence_max: SILENCE_MAX,
        listener: handed.map(Handover::listener),
        stop_max: STOP_MAX,
    };
    let vocabulary = Vocabulary {
        encode: encode::<Command>,
        decode: |frame| EVENTS.parse(frame).map_err(Into::into),
    };
    let greeting = Command::Configure(configure);
    belfry_workers::supervise(spec, Restarts::default(), vocabulary, greeting, QUEUE_MAX)
}
