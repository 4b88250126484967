//! The certificate in use: made at start, renewed while we run.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use belfry_admin::Trust;
use belfry_audit::{Actor, Detail, Event, Fingerprint, Scope};
use belfry_certs::{Certificates, generate_key};
use belfry_ledger::Ledger;
use belfry_session::now;
use belfry_settings::Settings;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::names;
use crate::open::Kept;

/// How often it is looked whether a certificate nears its end or an address has changed.
const RENEW_EVERY: Duration = Duration::from_mins(15);

/// The certificate that TLS shows, and what the admin page says of it.
#[derive(Debug)]
pub(crate) struct Shown {
    current: RwLock<(Arc<CertifiedKey>, Trust)>,
    source: Source,
}

#[derive(Debug)]
struct Source {
    dir: PathBuf,
    settings: Settings,
    root_key: zeroize::Zeroizing<Vec<u8>>,
    leaf_key: zeroize::Zeroizing<Vec<u8>>,
    ledger: Ledger,
    scope: Scope,
}

impl Shown {
    /// Opens or makes the certificates.
    pub(crate) fn open(kept: &Kept) -> Result<Arc<Self>> {
        let source = Source {
            dir: kept.settings.data_dir().join("certs"),
            settings: kept.settings.clone(),
            root_key: kept.keys.tls_ca(generate_key)?,
            leaf_key: kept.keys.tls_leaf(generate_key)?,
            ledger: kept.ledger.clone(),
            scope: kept.scope(),
        };
        let current = RwLock::new(source.load()?);
        Ok(Arc::new(Self { current, source }))
    }

    pub(crate) fn trust(&self) -> Trust {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub(crate) fn tls(self: &Arc<Self>) -> Result<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .context("the provider has TLS 1.2 and 1.3")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Looks again and again; a failure leaves the present certificate in use.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RENEW_EVERY);
        loop {
            ticks.tick().await;
            match self.source.load() {
                Ok(fresh) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "certificates"),
            }
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

impl Source {
    fn load(&self) -> Result<(Arc<CertifiedKey>, Trust)> {
        let names = names::names(&self.settings)?;
        let made =
            Certificates::open(&self.dir, &names, &self.root_key, self.leaf_key.clone(), now())?;
        self.record(&made);
        let key = aws_lc_rs::sign::any_supported_type(&made.leaf_key())
            .context("the leaf's key is of a supported type")?;
        let trust = Trust::of(&made, &names);
        Ok((Arc::new(CertifiedKey::new(made.chain(), key)), trust))
    }

    fn record(&self, made: &Certificates) {
        let record = |detail| {
            let at_ms = now().0;
            let (scope, actor) = (self.scope, Actor::Appliance);
            self.ledger.enqueue(Event { at_ms, scope, actor, detail });
        };
        if made.made.root {
            let fingerprint = Fingerprint(made.root_digest());
            record(Detail::CertificateAuthorityCreated { fingerprint });
        }
        if made.made.leaf {
            let fingerprint = Fingerprint(made.leaf_digest());
            let expires_at_ms = made.leaf_not_after.0;
            record(Detail::CertificateIssued { fingerprint, expires_at_ms });
        }
    }
}
