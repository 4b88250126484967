//! A presence that goes on, as pages show it.

use belfry_model::{Identity, LessonId, Timestamp};
use belfry_store::{KeptWay, Troubles};

use crate::report::Sample;
use crate::timeline::Interval;

#[derive(Clone, Debug)]
pub struct LivePresence {
    pub lesson: LessonId,
    pub identity: Identity,
    pub began_at: Timestamp,
    /// `None`: a client that does not report, such as another SDK.
    pub device: Option<String>,
    pub ways: Vec<KeptWay>,
    pub troubles: Troubles,
    pub timeline: Vec<Interval>,
    /// What holds at the moment.
    pub holds: Vec<Interval>,
    /// The samples of the last minutes, oldest first.
    pub recent: Vec<(Timestamp, Sample)>,
}
