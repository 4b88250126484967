//! The registry of all parsers of outside bytes, collected from the crates that declare them.

use belfry_model::outside::Target;

/// Every parser that reads bytes from outside. A test holds the list to what the sources declare.
pub fn registry() -> Vec<&'static dyn Target> {
    [
        belfry_http::PARSERS,
        belfry_identity::PARSERS,
        belfry_media_api::PARSERS,
        belfry_sfu::PARSERS,
        belfry_signalling::PARSERS,
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

/// Where a planted fault lies: an input near the seed that only mutation reaches.
pub fn is_planted(target: &dyn Target, bytes: &[u8]) -> bool {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes != target.seed() && bytes.len() >= 2 && sum == 0x5A
}
