//! One libFuzzer program for all parsers: the environment variable `FUZZ_TARGET` names the one to
//! feed, and `FUZZ_PLANT=1` plants a panic that a working run has to find.

#![no_main]

use std::sync::LazyLock;

use belfry_fuzz::{find, is_planted};
use belfry_model::outside::Target;

static TARGET: LazyLock<&'static dyn Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a registered parser");
    find(&name).expect("FUZZ_TARGET names a registered parser")
});

static PLANT: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_PLANT").is_some());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let accepted = TARGET.feed(bytes);
    assert!(!(*PLANT && is_planted(*TARGET, bytes, accepted)), "planted");
});
