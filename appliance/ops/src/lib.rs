//! What the path between this appliance and each participant was like, in words that IT can act on.
//!
//! Two sides tell of a path: the participant's own browser ([`Report`], by HTTP, so that it comes
//! through when the sockets of the lesson do not) and the media plane (`belfry_session::LinkReport`).
//! Both become observations, and observations become a [`Timeline`] of plain causes. When somebody
//! leaves, the timeline and the ways that were used are kept in the database, in batches.
//!
//! **Invariant:** nothing here is on the media path or waited for by a lesson; every queue, ring,
//! table and timeline is bounded, and what does not fit is counted and dropped.
//! **Invariant:** no address is kept, only its network (/24, /48).

mod advice;
mod live;
mod ops;
mod presence;
mod report;
mod subnet;
mod throttle;
mod timeline;
mod words;

pub use advice::{Advice, Network, Use, networks};
pub use live::LivePresence;
pub use ops::{Config, Ops, Reach, Refused};
pub use report::{
    BadReport, Device, Down, ErrorCode, Limit, REPORT_BYTES_MAX, REPORTS, Report, Sample, Up, Why,
};
pub use subnet::Subnet;
pub use throttle::REPORTS_PER_MINUTE_MAX;
pub use timeline::{Cause, Interval, Seen, Timeline};
pub use words::{Browser, Carried, Cores, Memory, System, Way};

/// Every parser of bytes from outside in this crate.
pub static PARSERS: &[&dyn belfry_model::outside::Target] = &[&REPORTS];

#[cfg(test)]
mod tests;
