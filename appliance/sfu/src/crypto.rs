//! The one crypto provider of the media plane: aws-lc.

use std::sync::{Arc, LazyLock};

use rtc_crypto::{RTCCrypto, RTCCryptoProvider, providers::AwsLcRsProvider};

static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| Arc::new(AwsLcRsProvider::new()));

/// Named outright: the library's default would change with the features that other crates of the
/// workspace switch on.
pub(crate) fn provider() -> Arc<dyn RTCCryptoProvider> {
    Arc::clone(&PROVIDER)
}

pub(crate) fn primitives() -> &'static dyn RTCCrypto {
    PROVIDER.crypto()
}
