//! The registry of all parsers of outside bytes, collected from the crates that declare them.

use std::sync::LazyLock;
use std::time::Instant;

use belfry_model::outside::Target;
use belfry_sfu::fuzz;

/// A library behind a parser of ours, fed with what that lets through.
struct Library {
    name: &'static str,
    seed: &'static [u8],
    /// `true`: the parser accepted everything.
    feed: fn(&[u8], Instant) -> bool,
}

/// Some packets, one after the other.
const LIBRARY_BYTES_MAX: usize = 8 * 1024;

/// When all inputs begin.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Target for Library {
    fn name(&self) -> &'static str {
        self.name
    }

    fn bytes_max(&self) -> usize {
        LIBRARY_BYTES_MAX
    }

    fn seed(&self) -> &'static [u8] {
        self.seed
    }

    fn refused_count(&self) -> u64 {
        0
    }

    fn feed(&self, bytes: &[u8]) -> bool {
        (self.feed)(bytes, *START)
    }
}

static SCTP: Library =
    Library { name: "library sctp association", seed: fuzz::SCTP_SEED, feed: fuzz::sctp };
static DTLS: Library =
    Library { name: "library dtls association", seed: fuzz::DTLS_SEED, feed: fuzz::dtls };

/// The verifier imports nothing of ours, so it declares no parser; it gives its functions.
static FORMS: Library = Library {
    name: "verify forms",
    seed: belfry_verify::fuzz::FORMS_SEED,
    feed: |bytes, _| belfry_verify::fuzz::forms(bytes),
};
static ARCHIVE: Library = Library {
    name: "verify archive",
    seed: belfry_verify::fuzz::ARCHIVE_SEED,
    feed: |bytes, _| belfry_verify::fuzz::archive(bytes),
};

/// Nor does the record; what its process and its clients send each other.
static REQUESTS: Library = Library {
    name: "ledger request",
    seed: belfry_ledger::fuzz::REQUEST_SEED,
    feed: |bytes, _| belfry_ledger::fuzz::request(bytes),
};
static REPLIES: Library = Library {
    name: "ledger reply",
    seed: belfry_ledger::fuzz::REPLY_SEED,
    feed: |bytes, _| belfry_ledger::fuzz::reply(bytes),
};

/// What is fed: all parsers, the libraries behind them that hold state, the verifier and the record.
pub fn targets() -> Vec<&'static dyn Target> {
    let libraries: [&dyn Target; 6] = [&SCTP, &DTLS, &FORMS, &ARCHIVE, &REQUESTS, &REPLIES];
    registry().into_iter().chain(libraries).collect()
}

/// Every parser that reads bytes from outside. A test holds the list to what the sources declare.
pub fn registry() -> Vec<&'static dyn Target> {
    [
        belfry_admin::PARSERS,
        belfry_http::PARSERS,
        belfry_identity::PARSERS,
        belfry_media_api::PARSERS,
        belfry_recorder::PARSERS,
        belfry_relay::PARSERS,
        belfry_ops::PARSERS,
        belfry_sfu::PARSERS,
        belfry_signalling::PARSERS,
        belfry_transport::PARSERS,
        belfry_web::PARSERS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}

/// The target with this name.
pub fn find(name: &str) -> Option<&'static dyn Target> {
    targets().into_iter().find(|target| target.name() == name)
}

/// Whether `bytes` are a planted fault: an input behind the checks of the parser that is not its
/// seed, so only mutation that follows the parser reaches it, and not with the first try.
pub fn is_planted(target: &dyn Target, bytes: &[u8], accepted: bool) -> bool {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    accepted && bytes != target.seed() && sum % PLANT_ONE_IN == 2
}

/// Of the accepted inputs, how few are planted faults.
const PLANT_ONE_IN: u8 = 8;
