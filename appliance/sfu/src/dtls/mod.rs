//! DTLS 1.2: the certificate, the handshake, the keys for SRTP.
//!
//! **Invariant:** nothing counts as established before the remote's certificate matched the
//! fingerprint of its session description (RFC 8827, section 6.5).

mod hello;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::BytesMut;
use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig},
    endpoint::{Endpoint, EndpointEvent},
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use rtc_shared::{TransportProtocol, error::Error};

use self::hello::Hello;
pub(crate) use self::hello::{HELLOS, RECORDS};
use crate::{
    connection::{Refused, Setup},
    crypto,
    srtp::{Keys, Profile},
};

pub(crate) const FINGERPRINT_BYTES: usize = 32;
/// The name in the self-signed certificate; nobody checks it.
const CERTIFICATE_NAME: &str = "belfry";
/// The library keys its associations by address. Here each has an endpoint of its own, and the
/// path may change under it, so it is told this one.
const REMOTE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5000);
/// RFC 5764, section 4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Handshake datagrams that are held until the remote's description is there or its hello is
/// complete; each at most one frame long.
const HELD_DATAGRAMS_MAX: usize = 8;
/// Records of one handshake, and of its repeats later. The library keeps pieces of messages for
/// which others are missing, goes through all of them with every further one, and calls itself once
/// for each that continues another. A handshake with all its repeats has less than a hundred.
const RECORDS_MAX: usize = 512;
/// Likewise: pieces without content take twelve bytes.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Handshake messages are cut to this, so that they fit after IPv6 and TURN headers.
const HANDSHAKE_MTU_BYTES: usize = 1200;

/// The certificate of all connections of this process.
#[derive(Debug)]
pub struct Certificate {
    certificate: rtc_dtls::crypto::Certificate,
    digest: [u8; FINGERPRINT_BYTES],
}

#[derive(Debug, thiserror::Error)]
#[error("generating the DTLS certificate")]
pub struct CertificateError(#[source] Error);

impl Certificate {
    /// A fresh self-signed ECDSA P-256 certificate.
    pub fn generate() -> Result<Self, CertificateError> {
        let certificate = rtc_dtls::crypto::Certificate::generate_self_signed(
            [CERTIFICATE_NAME.to_owned()],
            crypto::primitives(),
        )
        .map_err(CertificateError)?;
        let digest = hash(certificate.certificate.first().map_or(&[][..], AsRef::as_ref));
        Ok(Self { certificate, digest })
    }

    /// SHA-256 of the certificate: the fingerprint of every session description.
    pub(crate) fn digest(&self) -> &[u8; FINGERPRINT_BYTES] {
        &self.digest
    }
}

fn hash(der: &[u8]) -> [u8; FINGERPRINT_BYTES] {
    let mut out = [0; FINGERPRINT_BYTES];
    out.copy_from_slice(digest(&SHA256, der).as_ref());
    out
}

/// What DTLS has to say after it was driven.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The handshake is done, these are the keys.
    Established(Keys),
    /// A decrypted record: an SCTP packet.
    Data(BytesMut),
    /// The remote ended it, or it failed.
    Over,
}

/// Whose certificate is awaited, in which role.
#[derive(Clone, Copy, Debug)]
struct Expected {
    fingerprint: [u8; FINGERPRINT_BYTES],
    setup: Setup,
}

/// The DTLS side of one connection.
pub(crate) struct Dtls {
    certificate: Arc<Certificate>,
    expected: Option<Expected>,
    endpoint: Option<Endpoint>,
    hello: Hello,
    held: Vec<BytesMut>,
    /// What came of the limits above.
    records: usize,
    handshake_bytes: usize,
    established: bool,
    over: bool,
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls")
            .field("expected", &self.expected)
            .field("established", &self.established)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Dtls {
    pub(crate) fn new(certificate: Arc<Certificate>) -> Self {
        Self {
            certificate,
            expected: None,
            endpoint: None,
            hello: Hello::default(),
            held: Vec::new(),
            records: 0,
            handshake_bytes: 0,
            established: false,
            over: false,
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    /// The remote's fingerprint and role; the first description decides, later ones of the same
    /// connection repeat it.
    pub(crate) fn expect(&mut self, fingerprint: [u8; FINGERPRINT_BYTES], setup: Setup) {
        if self.expected.is_none() {
            self.expected = Some(Expected { fingerprint, setup });
        }
    }

    /// Whether this side began the handshake; it also begins SCTP and has the even streams
    /// (RFC 8832, section 6).
    pub(crate) fn is_client(&self) -> bool {
        self.expected.is_some_and(|expected| expected.setup == Setup::Passive)
    }

    /// Takes one datagram. What it brings is appended to `turns`.
    pub(crate) fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        turns: &mut Vec<Turn>,
    ) -> Result<(), Refused> {
        if self.over {
            return Err(Refused::Unknown);
        }
        let records = RECORDS.parse(belfry_model::Outside::new(datagram));
        let records = records.map_err(|_refusal| Refused::Malformed)?;
        // Once it stands, records of data count no more.
        let counted = if self.established { records.handshakes } else { records.count };
        if counted > 0 {
            self.records = self.records.saturating_add(counted);
            self.handshake_bytes = self.handshake_bytes.saturating_add(records.handshake_bytes);
            if self.records > RECORDS_MAX || self.handshake_bytes > HANDSHAKE_BYTES_MAX {
                return Err(Refused::Limit);
            }
        }
        if self.endpoint.is_some() {
            return self.read(BytesMut::from(datagram), now, turns);
        }
        if self.held.len() >= HELD_DATAGRAMS_MAX {
            return Err(Refused::Limit);
        }
        for fragment in &records.hellos {
            self.hello.add(fragment);
        }
        self.held.push(BytesMut::from(datagram));
        self.advance(now, turns);
        Ok(())
    }

    /// Begins, as soon as the remote's description and, as a server, its hello are there.
    fn advance(&mut self, now: Instant, turns: &mut Vec<Turn>) {
        let Some(expected) = self.expected else { return };
        if self.endpoint.is_some() || self.over {
            return;
        }
        let begun = if expected.setup == Setup::Passive {
            self.begin_as_client(expected, now)
        } else {
            let Some(offered) = self.hello.profiles() else { return };
            self.begin_as_server(expected, &offered)
        };
        if begun.is_err() {
            self.end(turns);
            return;
        }
        for datagram in std::mem::take(&mut self.held) {
            if self.read(datagram, now, turns).is_err() {
                break;
            }
        }
    }

    fn begin_as_client(&mut self, expected: Expected, now: Instant) -> Result<(), Error> {
        let config = self.config(expected, &PREFERRED)?;
        let mut endpoint = Endpoint::new(REMOTE, TransportProtocol::UDP, None);
        endpoint.connect(now, REMOTE, config, None)?;
        self.endpoint = Some(endpoint);
        Ok(())
    }

    /// The library takes the first profile of the client that it has itself, and Chromium puts
    /// `AES128_CM_HMAC_SHA1_80` first: so it is given the best one only.
    fn begin_as_server(&mut self, expected: Expected, offered: &[u16]) -> Result<(), Error> {
        let best = PREFERRED.iter().find(|profile| offered.contains(&(**profile as u16)));
        let best = best.copied().ok_or(Error::ErrServerNoMatchingSrtpProfile)?;
        let config = self.config(expected, &[best])?;
        self.endpoint = Some(Endpoint::new(REMOTE, TransportProtocol::UDP, Some(config)));
        Ok(())
    }

    fn config(
        &self,
        expected: Expected,
        profiles: &[SrtpProtectionProfile],
    ) -> Result<Arc<HandshakeConfig>, Error> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(crypto::provider())
            .with_certificates(vec![self.certificate.certificate.clone()])
            .with_srtp_protection_profiles(profiles.to_vec())
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // No authority signs these certificates; the fingerprint below is the check.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _| {
                let matches = chain.first().is_some_and(|der| hash(der) == expected.fingerprint);
                if matches { Ok(()) } else { Err(Error::ErrInvalidCertificate) }
            })))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_mtu(HANDSHAKE_MTU_BYTES)
            .with_server_name(CERTIFICATE_NAME.to_owned())
            .build(expected.setup == Setup::Passive, Some(REMOTE))?;
        Ok(Arc::new(config))
    }

    fn read(
        &mut self,
        datagram: BytesMut,
        now: Instant,
        turns: &mut Vec<Turn>,
    ) -> Result<(), Refused> {
        let Some(endpoint) = &mut self.endpoint else { return Err(Refused::Early) };
        let events = match endpoint.read(now, REMOTE, None, datagram) {
            Ok(events) => events,
            // An established association ends only by an authentic alert.
            Err(Error::ErrAlertFatalOrClose) => {
                self.end(turns);
                return Ok(());
            }
            Err(_) if self.established => return Err(Refused::Malformed),
            Err(error) => {
                tracing::debug!(%error, "dtls handshake failed");
                self.end(turns);
                return Ok(());
            }
        };
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => match self.keys() {
                    Some(keys) => {
                        self.established = true;
                        turns.push(Turn::Established(keys));
                    }
                    None => self.end(turns),
                },
                EndpointEvent::ApplicationData(data) if self.established => {
                    turns.push(Turn::Data(data));
                }
                EndpointEvent::PeerClosed => self.end(turns),
                _ => {}
            }
        }
        Ok(())
    }

    /// The keys of the finished handshake, if the remote is who its description says.
    fn keys(&self) -> Option<Keys> {
        let expected = self.expected?;
        let state = self.endpoint.as_ref()?.get_connection_state(REMOTE)?;
        if hash(state.peer_certificates.first()?) != expected.fingerprint {
            return None;
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => Profile::AeadAes256Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmSha1_80,
            _ => return None,
        };
        let len = Keys::exported_len(profile);
        let exported = state.export_keying_material(EXPORTER_LABEL, &[], len).ok()?;
        Keys::from_exported(profile, exported.as_ref(), self.is_client())
    }

    fn end(&mut self, turns: &mut Vec<Turn>) {
        if !self.over {
            self.over = true;
            turns.push(Turn::Over);
        }
    }

    /// Encrypts an SCTP packet; it comes out of `poll_transmit`.
    pub(crate) fn write(&mut self, data: &[u8], now: Instant) -> bool {
        match &mut self.endpoint {
            Some(endpoint) if self.established => endpoint.write(now, REMOTE, data).is_ok(),
            _ => false,
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        Some(self.endpoint.as_mut()?.poll_transmit()?.message)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        self.endpoint.as_ref()?.poll_timeout(&REMOTE)
    }

    /// Whether `timeout` has something to begin with, whatever the time.
    pub(crate) fn is_due(&self) -> bool {
        let ready = !self.held.is_empty() && self.hello.is_complete();
        self.endpoint.is_none()
            && !self.over
            && self.expected.is_some_and(|expected| expected.setup == Setup::Passive || ready)
    }

    pub(crate) fn timeout(&mut self, now: Instant, turns: &mut Vec<Turn>) {
        self.advance(now, turns);
        let Some(endpoint) = &mut self.endpoint else { return };
        if !self.over && endpoint.poll_timeout(&REMOTE).is_some_and(|at| at <= now) {
            let result = endpoint.handle_timeout(REMOTE, now);
            if result.is_err() && !self.established {
                self.end(turns);
            }
        }
    }
}

/// Best first. The cost per packet decides between the two GCMs.
const PREFERRED: [SrtpProtectionProfile; 3] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
];
