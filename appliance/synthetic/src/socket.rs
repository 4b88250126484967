//! The signalling socket: a WebSocket over TLS that trusts one root and nothing else.

use std::net::IpAddr;
use std::sync::Arc;

use belfry_model::Outside;
use belfry_signalling::client;
use belfry_signalling::proto::{signal_request, signal_response};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{AUTHORIZATION, HeaderValue};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::Error;

const HTTPS_PORT: u16 = 443;
/// What we say of ourselves. `rust` is a client that understands protocol 17 without quirks.
const QUERY: &str = "auto_subscribe=1&sdk=rust&protocol=17&adaptive_stream=0";

/// Where the appliance is, and how it is recognised.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
}

impl Address {
    /// `url` is the appliance's origin, `https://` or `wss://`.
    pub(crate) fn new(url: &str, root_pem: &[u8]) -> Result<Self, Error> {
        let bad = || Error::Address(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("https" | "wss")) {
            return Err(bad());
        }
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(root_pem) {
            let certificate = certificate.map_err(|_| Error::Certificate)?;
            roots.add(certificate).map_err(Error::Tls)?;
        }
        if roots.is_empty() {
            return Err(Error::Certificate);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { host, port: uri.port_u16().unwrap_or(HTTPS_PORT), tls: Arc::new(tls) })
    }
}

/// An open signalling socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
    /// The address of ours from which the appliance is reached.
    pub(crate) local: IpAddr,
}

impl Socket {
    pub(crate) async fn open(address: &Address, token: &str) -> Result<Self, Error> {
        let bad = || Error::Address(address.host.clone());
        let tcp = TcpStream::connect((address.host.trim_matches(['[', ']']), address.port))
            .await
            .map_err(Error::Connect)?;
        tcp.set_nodelay(true).map_err(Error::Connect)?;
        let local = tcp.local_addr().map_err(Error::Connect)?.ip();
        let name = ServerName::try_from(address.host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| bad())?;
        let connector = TlsConnector::from(Arc::clone(&address.tls));
        let tls = connector.connect(name, tcp).await.map_err(Error::Connect)?;
        let mut request =
            format!("wss://{}:{}/rtc?{QUERY}", address.host, address.port).into_client_request()?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| bad())?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let (stream, _) = tokio_tungstenite::client_async(request, tls).await?;
        Ok(Self { stream, local })
    }

    pub(crate) async fn send(&mut self, message: signal_request::Message) -> Result<(), Error> {
        let bytes = Bytes::from(client::request(message));
        self.stream.send(Message::Binary(bytes)).await?;
        Ok(())
    }

    /// The next message; `None` when the appliance closed the socket. May be cancelled.
    pub(crate) async fn next(&mut self) -> Option<Result<signal_response::Message, Error>> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Binary(bytes)) => match read(&bytes) {
                    Ok(Some(message)) => return Some(Ok(message)),
                    Ok(None) => {} // A message newer than we are.
                    Err(error) => return Some(Err(error)),
                },
                Ok(Message::Close(_)) => return None,
                Ok(_) => {} // Pings are answered by the library.
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

fn read(bytes: &[u8]) -> Result<Option<signal_response::Message>, Error> {
    let response = client::RESPONSES.parse(Outside::new(bytes)).map_err(|_| Error::Message)?;
    Ok(response.message)
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::Error;

    #[test]
    fn an_address_without_tls_or_root_is_refused() {
        assert!(matches!(Address::new("http://a", b""), Err(Error::Address(_))));
        assert!(matches!(Address::new("https://a", b""), Err(Error::Certificate)));
    }
}
