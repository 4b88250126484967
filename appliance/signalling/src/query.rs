//! The query of `/rtc`: parsing, and redaction for logs.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use belfry_model::outside::Parser;
use belfry_model::{ParticipantSid, Pii};

use crate::host::Host;

/// One query string, percent-encoded.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Parameters whose values are never written to a log.
const SECRETS: [&str; 2] = ["access_token", "join_request"];
/// What stands in a log for a secret's value.
const REDACTED: &str = "redacted";

/// What a client says about itself and its wishes (v0).
#[allow(clippy::struct_excessive_bools, reason = "the wire has one parameter for each")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The token of browsers, which cannot set headers.
    pub access_token: Option<Pii<String>>,
    pub auto_subscribe: bool,
    pub adaptive_stream: bool,
    /// Signalling protocol number of the client; replies are gated on it.
    pub protocol: i32,
    /// Mirrored to the others, who choose their RPC and data-stream versions by it.
    pub client_protocol: i32,
    pub sdk: String,
    pub version: String,
    /// Names of capabilities, mirrored to the others.
    pub capabilities: Vec<String>,
    /// Whether the sfu may pause tracks for want of bandwidth and say so.
    pub subscriber_allow_pause: bool,
    pub attributes: BTreeMap<String, String>,
    /// A new socket for a participant that is there already.
    pub reconnect: bool,
    pub sid: Option<ParticipantSid>,
    /// By what the client came. Not of the query but of the request's head; `None`: it says nothing
    /// that is understood.
    pub host: Option<Host>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            access_token: None,
            auto_subscribe: true,
            adaptive_stream: false,
            protocol: crate::PROTOCOL,
            client_protocol: 0,
            sdk: String::new(),
            version: String::new(),
            capabilities: Vec::new(),
            subscriber_allow_pause: true,
            attributes: BTreeMap::new(),
            reconnect: false,
            sid: None,
            host: None,
        }
    }
}

/// Why a query is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("a parameter is not percent-encoded UTF-8")]
    Encoding,
    #[error("a parameter that should be a number is none")]
    Number,
    #[error("the attributes are not base64url JSON")]
    Attributes,
}

/// The query of a signalling socket.
pub static QUERIES: Parser<Query, QueryError> = Parser::new(
    "signalling query",
    QUERY_BYTES_MAX,
    b"access_token=a.b.c&auto_subscribe=1&sdk=js&version=2.23.0&protocol=17&reconnect=1&sid=PA_x&attributes=e30=",
    parse,
);

fn parse(bytes: &[u8]) -> Result<Query, QueryError> {
    let text = std::str::from_utf8(bytes).map_err(|_| QueryError::Encoding)?;
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value)?;
        let on = matches!(value.as_str(), "1" | "true");
        match key {
            "access_token" if !value.is_empty() => query.access_token = Some(Pii::new(value)),
            "auto_subscribe" => query.auto_subscribe = on,
            "adaptive_stream" => query.adaptive_stream = on,
            "protocol" => query.protocol = number(&value)?,
            "client_protocol" => query.client_protocol = number(&value)?,
            "sdk" => query.sdk = value,
            "version" => query.version = value,
            "capabilities" => {
                query.capabilities = value.split(',').map(str::to_owned).collect();
            }
            "subscriber_allow_pause" => query.subscriber_allow_pause = on,
            "attributes" if !value.is_empty() => query.attributes = attributes(&value)?,
            "reconnect" => query.reconnect = on,
            "sid" if !value.is_empty() => query.sid = Some(value.into()),
            _ => {}
        }
    }
    Ok(query)
}

fn number(value: &str) -> Result<i32, QueryError> {
    value.parse().map_err(|_| QueryError::Number)
}

fn attributes(value: &str) -> Result<BTreeMap<String, String>, QueryError> {
    let bytes = URL_SAFE
        .decode(value)
        .or_else(|_| URL_SAFE_NO_PAD.decode(value))
        .map_err(|_| QueryError::Attributes)?;
    serde_json::from_slice(&bytes).map_err(|_| QueryError::Attributes)
}

/// Undoes `application/x-www-form-urlencoded`.
fn decode(value: &str) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || {
                    let digit = rest.next().and_then(|digit| char::from(digit).to_digit(16));
                    digit.ok_or(QueryError::Encoding)
                };
                bytes.push((digit()? * 16 + digit()?) as u8);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| QueryError::Encoding)
}

/// A URL (or its path and query) as it may stand in a log: tokens replaced.
pub fn redact(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let pairs: Vec<String> = query.split('&').map(redact_pair).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn redact_pair(pair: &str) -> String {
    let (key, _) = pair.split_once('=').unwrap_or((pair, ""));
    // The key may itself be percent-encoded to get past this.
    let plain = decode(key).unwrap_or_default();
    if plain.is_empty() || SECRETS.iter().any(|secret| plain.eq_ignore_ascii_case(secret)) {
        format!("{key}={REDACTED}")
    } else {
        pair.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;
    use proptest::prelude::*;

    use super::{QUERIES, Query, redact};

    fn query(text: &str) -> Query {
        QUERIES.parse(Outside::new(text.as_bytes())).expect("a query")
    }

    #[test]
    fn the_query_of_a_browser_is_understood() {
        let query = query(
            "access_token=a.b.c&auto_subscribe=0&sdk=js&version=2.23.0&protocol=16&client_protocol=1\
             &adaptive_stream=true&attributes=eyJhIjoiYiJ9&network=wifi&something_new=1",
        );
        assert_eq!(query.access_token.as_ref().map(|token| token.reveal().as_str()), Some("a.b.c"));
        assert!(!query.auto_subscribe && query.adaptive_stream && !query.reconnect);
        assert_eq!((query.protocol, query.client_protocol), (16, 1));
        assert_eq!(query.attributes.get("a").map(String::as_str), Some("b"));
    }

    #[test]
    fn a_resume_names_the_participant() {
        let query = query("reconnect=1&sid=PA_abc&reconnect_reason=1");
        assert!(query.reconnect);
        assert_eq!(query.sid, Some("PA_abc".into()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["protocol=x", "sdk=%zz", "sdk=%ff", "attributes=%%", "attributes=AAAA"] {
            assert!(QUERIES.parse(Outside::new(text.as_bytes())).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_and_join_requests_never_reach_a_log() {
        let cases = [
            ("/rtc?access_token=abc&sdk=js", "/rtc?access_token=redacted&sdk=js"),
            ("/rtc/v1?join_request=abc", "/rtc/v1?join_request=redacted"),
            ("/rtc?a=1&Access_Token=abc", "/rtc?a=1&Access_Token=redacted"),
            ("/rtc?%61ccess_token=abc", "/rtc?%61ccess_token=redacted"),
            (
                "/rtc?access_token=abc&access_token=def",
                "/rtc?access_token=redacted&access_token=redacted",
            ),
            ("/rtc", "/rtc"),
        ];
        for (url, expect) in cases {
            assert_eq!(redact(url), expect);
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(text in "[ -~]{0,80}") {
            let _ = QUERIES.parse(Outside::new(text.as_bytes()));
        }
    }
}
