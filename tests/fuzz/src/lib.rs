//! The registry of all parsers of outside bytes, collected from the crates that declare them.

use belfry_model::outside::Target;

/// Every parser that reads bytes from outside. A test holds the list to what the sources declare.
pub fn registry() -> Vec<&'static dyn Target> {
    [
        belfry_admin::PARSERS,
        belfry_http::PARSERS,
        belfry_identity::PARSERS,
        belfry_media_api::PARSERS,
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

/// The parser with this name.
pub fn find(name: &str) -> Option<&'static dyn Target> {
    registry().into_iter().find(|target| target.name() == name)
}

/// Whether `bytes` are a planted fault: an input behind the checks of the parser that is not its
/// seed, so only mutation that follows the parser reaches it, and not with the first try.
pub fn is_planted(target: &dyn Target, bytes: &[u8], accepted: bool) -> bool {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    accepted && bytes != target.seed() && sum % PLANT_ONE_IN == 2
}

/// Of the accepted inputs, how few are planted faults.
const PLANT_ONE_IN: u8 = 8;
