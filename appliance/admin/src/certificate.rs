//! The appliance's certificate, and the root that devices are to trust.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use belfry_admin_ui::{Guide, Section, say, say_with};
use belfry_certs::{Certificates, Names};
use belfry_http::now;
use belfry_model::Timestamp;
use http::header;

use crate::Admin;
use crate::reader::{Reader, shown};
use crate::when::date;

/// What devices are asked to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    root_der: Vec<u8>,
    root_pem: String,
    /// SHA-256 of the root.
    fingerprint: [u8; 32],
    /// The names and addresses that the appliance's own certificate is for.
    names: Vec<String>,
    /// The end of the appliance's own certificate.
    expires_at: Timestamp,
}

impl Trust {
    /// SHA-256 of the root.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub fn of(certificates: &Certificates, names: &Names) -> Self {
        let addresses = names.addresses.iter().map(ToString::to_string);
        Self {
            root_der: certificates.root.to_vec(),
            root_pem: certificates.root_pem.clone(),
            fingerprint: certificates.root_digest(),
            names: names.hosts.iter().cloned().chain(addresses).collect(),
            expires_at: certificates.leaf_not_after,
        }
    }
}

/// From here on the page says that the certificate ends soon: it should have been renewed by itself.
const SOON_MS: i64 = 30 * 24 * 3_600_000;

pub(crate) fn ends_soon(trust: &Trust) -> bool {
    trust.expires_at.since_ms(now()) < SOON_MS
}

pub(crate) fn state(trust: &Trust) -> String {
    let date = date(trust.expires_at);
    let values = [("date", date.as_str())];
    if ends_soon(trust) {
        say_with("cert-ends-soon", &values)
    } else {
        say_with("cert-valid-until", &values)
    }
}

/// In four groups, so that a line can break between them and two people can read it to each other.
pub(crate) fn fingerprint(trust: &Trust) -> String {
    let group =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    trust.fingerprint.chunks(8).map(group).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn show(State(admin): State<Admin>, reader: Reader) -> Response {
    let trust = (admin.trust)();
    let guide = |title, text| Guide { title: say(title), text: say(text) };
    shown(&belfry_admin_ui::Certificate {
        frame: reader.section(Section::Certificate),
        state: state(&trust),
        soon: ends_soon(&trust),
        fingerprint: fingerprint(&trust),
        names: trust.names.join(", "),
        guides: vec![
            guide("cert-guide-google", "cert-guide-google-text"),
            guide("cert-guide-apple", "cert-guide-apple-text"),
            guide("cert-guide-windows", "cert-guide-windows-text"),
            guide("cert-guide-firefox", "cert-guide-firefox-text"),
        ],
    })
}

fn download(media_type: &'static str, name: &'static str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers =
        [(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, bytes).into_response()
}

pub(crate) async fn root_cer(State(admin): State<Admin>) -> Response {
    download("application/pkix-cert", "belfry-root.cer", (admin.trust)().root_der)
}

pub(crate) async fn root_pem(State(admin): State<Admin>) -> Response {
    download("application/x-pem-file", "belfry-root.pem", (admin.trust)().root_pem.into_bytes())
}
