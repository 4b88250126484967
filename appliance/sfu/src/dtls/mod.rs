//! DTLS 1.2: the certificate, the handshake, the keys for SRTP.

/// The certificate of all connections of this process.
#[derive(Debug)]
pub(crate) struct Certificate {
    fingerprint: String,
}

impl Certificate {
    /// A fresh self-signed ECDSA P-256 certificate.
    pub(crate) fn generate() -> Self {
        Self { fingerprint: String::new() }
    }

    /// SHA-256 as in `a=fingerprint` (`AB:CD:...`).
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}
