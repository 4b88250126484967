//! Nonces that need no memory: an end and its HMAC, bound to the client's address.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// RFC 8656 section 5 asks for at most an hour.
const VALID_SECONDS: u64 = 3_600;
const END_CHARS: usize = 11;
const MAC_BYTES: usize = 15;

#[derive(Debug)]
pub(crate) struct Nonces(hmac::Key);

impl Nonces {
    /// With a fresh key: nonces of an earlier process are stale, which clients recover from.
    pub(crate) fn new() -> Self {
        let key: [u8; 32] = rand::random();
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    pub(crate) fn make(&self, client: SocketAddr, now_seconds: u64) -> String {
        let end = format!("{:0END_CHARS$x}", now_seconds + VALID_SECONDS);
        let mac = hmac::sign(&self.0, format!("{end}{client}").as_bytes());
        let mac = mac.as_ref().get(..MAC_BYTES).unwrap_or_default();
        format!("{end}{}", URL_SAFE_NO_PAD.encode(mac))
    }

    pub(crate) fn is_good(&self, nonce: &str, client: SocketAddr, now_seconds: u64) -> bool {
        let Some((end, _mac)) = nonce.split_at_checked(END_CHARS) else { return false };
        let Ok(until) = u64::from_str_radix(end, 16) else { return false };
        let Some(made) = until.checked_sub(VALID_SECONDS) else { return false };
        // No secret is compared: who can guess a nonce gains nothing without the password.
        until > now_seconds && self.make(client, made) == nonce
    }
}

#[cfg(test)]
mod tests {
    use super::{Nonces, VALID_SECONDS};

    #[test]
    fn a_nonce_is_good_for_its_client_and_an_hour() {
        let nonces = Nonces::new();
        let client = ([192, 0, 2, 1], 5).into();
        let nonce = nonces.make(client, 1_000);
        assert!(nonces.is_good(&nonce, client, 1_000));
        assert!(nonces.is_good(&nonce, client, 999 + VALID_SECONDS));
        assert!(!nonces.is_good(&nonce, client, 1_000 + VALID_SECONDS));
        assert!(!nonces.is_good(&nonce, ([192, 0, 2, 1], 6).into(), 1_000));
        assert!(!Nonces::new().is_good(&nonce, client, 1_000), "of another process");
        for wrong in ["", "x", "ffffffffffff", "\u{1f600}\u{1f600}\u{1f600}"] {
            assert!(!nonces.is_good(wrong, client, 1_000), "{wrong}");
        }
    }
}
