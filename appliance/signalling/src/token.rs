//! Media tokens: JWT with HS256, as LiveKit clients and server SDKs make and carry them.
//!
//! **Invariant:** only HS256 is ever accepted, and the signature is checked before anything of the
//! claims is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use belfry_model::outside::{Parser, Refusal};
use belfry_model::{Identity, LessonRole, Outside, Pii, Timestamp, limits};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::room::{Permissions, SourceKey};

/// One token. Ours are below 1 KiB; server SDKs may put attributes and metadata into theirs.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far clocks may be apart, seconds.
pub const LEEWAY_S: i64 = 60;
/// The attribute that carries the role within the lesson. Signed with the token, so a client
/// cannot choose it; a token without it is a student's.
pub const ROLE_ATTRIBUTE: &str = "belfry.role";
/// Name and value of one attribute, bytes together.
pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

/// The key that signs tokens, and its name (`iss`).
#[derive(Clone)]
pub struct Signer {
    issuer: Arc<str>,
    secret: Arc<Zeroizing<Vec<u8>>>,
}

impl Signer {
    pub fn new(issuer: &str, secret: &[u8]) -> Self {
        Self { issuer: issuer.into(), secret: Arc::new(Zeroizing::new(secret.to_vec())) }
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.secret).expect("HMAC takes a key of any length")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a token grants, with the protocol's defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    pub identity: Identity,
    pub name: Pii<String>,
    /// The room's name on the wire: the lesson's id.
    pub room: String,
    pub role: LessonRole,
    pub permissions: Permissions,
    pub can_update_own_metadata: bool,
    /// Not shown to others (the recorder, the health canary).
    pub hidden: bool,
    pub recorder: bool,
    pub metadata: String,
    /// Without [`ROLE_ATTRIBUTE`], which is `role`.
    pub attributes: BTreeMap<String, String>,
}

impl Grants {
    /// What a participant of this role gets when no lock is on.
    pub fn new(identity: Identity, name: &str, room: &str, role: LessonRole) -> Self {
        Self {
            identity,
            name: Pii::new(name.to_owned()),
            room: room.to_owned(),
            role,
            permissions: Permissions::all(),
            can_update_own_metadata: role.leads(),
            hidden: false,
            recorder: false,
            metadata: String::new(),
            attributes: BTreeMap::new(),
        }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is signed with another algorithm than HS256")]
    Algorithm,
    #[error("the token's signature is not ours")]
    Signature,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token grants no way into a room")]
    NoJoin,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Claims {
    iss: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    sub: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    jti: String,
    nbf: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    metadata: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    video: Video,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Video {
    room_join: bool,
    room: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_publish: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_subscribe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_publish_data: Option<bool>,
    can_publish_sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_update_own_metadata: Option<bool>,
    hidden: bool,
    recorder: bool,
}

/// A token taken apart, not yet believed.
#[derive(Debug)]
pub struct Unverified {
    /// `header.payload`, what the signature is over.
    signed: String,
    signature: Vec<u8>,
    claims: Claims,
}

/// Tokens as they come in queries and headers.
pub static TOKENS: Parser<Unverified, TokenError> = Parser::new(
    "media token",
    TOKEN_BYTES_MAX,
    b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwMSIsImV4cCI6MSwidmlkZW8iOnsicm9vbUpvaW4iOnRydWUsInJvb20iOiIxIn19.AA",
    take_apart,
);

fn take_apart(bytes: &[u8]) -> Result<Unverified, TokenError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TokenError::Malformed)?;
    let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let header: Header = json(header)?;
    if header.alg != "HS256" {
        return Err(TokenError::Algorithm);
    }
    Ok(Unverified {
        signed: signed.to_owned(),
        signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?,
        claims: json(payload)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

/// Checks a token and yields what it grants.
pub fn verify(signer: &Signer, token: Outside<'_>, now: Timestamp) -> Result<Grants, TokenError> {
    let Unverified { signed, signature, claims } =
        TOKENS.parse(token).map_err(|refusal| match refusal {
            Refusal::TooLong { .. } => TokenError::Malformed,
            Refusal::Malformed { source, .. } => source,
        })?;
    let mut mac = signer.mac();
    mac.update(signed.as_bytes());
    // Compares in constant time.
    mac.verify_slice(&signature).map_err(|_| TokenError::Signature)?;
    if claims.iss != *signer.issuer {
        return Err(TokenError::Issuer);
    }
    let now_s = now.as_secs();
    let expires = claims.exp.ok_or(TokenError::Expired)?;
    if now_s.saturating_sub(LEEWAY_S) >= expires {
        return Err(TokenError::Expired);
    }
    if now_s.saturating_add(LEEWAY_S) < claims.nbf {
        return Err(TokenError::NotYetValid);
    }
    claims.grants()
}

/// A token of these grants that is valid from now for [`limits::TOKEN_VALID_MS`].
pub fn mint(signer: &Signer, grants: &Grants, now: Timestamp) -> String {
    let claims = Claims::of(signer, grants, now);
    let payload = serde_json::to_vec(&claims).expect("claims hold only strings and numbers");
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let mut mac = signer.mac();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

impl Claims {
    fn of(signer: &Signer, grants: &Grants, now: Timestamp) -> Self {
        let mut attributes = grants.attributes.clone();
        attributes.insert(ROLE_ATTRIBUTE.to_owned(), role_name(grants.role).to_owned());
        let permissions = &grants.permissions;
        let all = permissions.sources.len() == SourceKey::ALL.len();
        Self {
            iss: signer.issuer.to_string(),
            sub: grants.identity.to_string(),
            jti: String::new(),
            nbf: now.as_secs(),
            exp: Some(now.plus_ms(limits::TOKEN_VALID_MS).as_secs()),
            name: grants.name.reveal().clone(),
            metadata: grants.metadata.clone(),
            attributes,
            video: Video {
                room_join: true,
                room: grants.room.clone(),
                can_publish: Some(!permissions.sources.is_empty()),
                can_subscribe: Some(permissions.subscribe),
                can_publish_data: Some(permissions.data),
                // On the wire an empty list means all.
                can_publish_sources: if all {
                    Vec::new()
                } else {
                    permissions.sources.iter().map(|source| source.as_str().to_owned()).collect()
                },
                can_update_own_metadata: Some(grants.can_update_own_metadata),
                hidden: grants.hidden,
                recorder: grants.recorder,
            },
        }
    }

    fn grants(self) -> Result<Grants, TokenError> {
        let identity = if self.sub.is_empty() { self.jti } else { self.sub };
        let video = self.video;
        if identity.is_empty() || video.room.is_empty() || !video.room_join {
            return Err(TokenError::NoJoin);
        }
        let publishes = video.can_publish.unwrap_or(true);
        let sources: BTreeSet<SourceKey> = if !publishes {
            BTreeSet::new()
        } else if video.can_publish_sources.is_empty() {
            SourceKey::ALL.into_iter().collect()
        } else {
            video.can_publish_sources.iter().filter_map(|name| SourceKey::parse(name)).collect()
        };
        let mut attributes = self.attributes;
        let role = attributes.remove(ROLE_ATTRIBUTE);
        let name = self.name.chars().take(limits::NAME_CHARS_MAX).collect();
        Ok(Grants {
            identity: identity.into(),
            name: Pii::new(name),
            room: video.room,
            role: role.and_then(|name| parse_role(&name)).unwrap_or(LessonRole::Student),
            permissions: Permissions {
                sources,
                subscribe: video.can_subscribe.unwrap_or(true),
                data: video.can_publish_data.unwrap_or(publishes),
            },
            can_update_own_metadata: video.can_update_own_metadata.unwrap_or(false),
            hidden: video.hidden,
            recorder: video.recorder,
            metadata: self.metadata,
            attributes,
        })
    }
}

/// The name of a role in [`ROLE_ATTRIBUTE`].
pub fn role_name(role: LessonRole) -> &'static str {
    match role {
        LessonRole::Teacher => "teacher",
        LessonRole::CoTeacher => "co_teacher",
        LessonRole::Student => "student",
        LessonRole::Guest => "guest",
    }
}

fn parse_role(name: &str) -> Option<LessonRole> {
    [LessonRole::Teacher, LessonRole::CoTeacher, LessonRole::Student, LessonRole::Guest]
        .into_iter()
        .find(|role| role_name(*role) == name)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use belfry_model::{LessonRole, Outside, Timestamp};
    use hmac::Mac;

    use super::{Grants, Signer, TokenError, mint, verify};
    use crate::room::SourceKey;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn signer() -> Signer {
        Signer::new("belfry", b"a secret of the test")
    }

    fn sign(claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let mut mac = signer().mac();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn check(claims: &str) -> Result<Grants, TokenError> {
        verify(&signer(), Outside::new(sign(claims).as_bytes()), NOW)
    }

    #[test]
    fn a_minted_token_grants_what_it_was_made_of() {
        let mut grants = Grants::new("p7".into(), "Ada", "12", LessonRole::CoTeacher);
        grants.permissions.sources.remove(&SourceKey::ScreenShare);
        grants.attributes.insert("hand".to_owned(), "up".to_owned());
        let token = mint(&signer(), &grants, NOW);
        assert_eq!(verify(&signer(), Outside::new(token.as_bytes()), NOW), Ok(grants));
    }

    #[test]
    fn nothing_granted_stays_nothing_on_the_wire() {
        let mut grants = Grants::new("p7".into(), "Ada", "12", LessonRole::Student);
        grants.permissions.sources.clear();
        let token = mint(&signer(), &grants, NOW);
        let back = verify(&signer(), Outside::new(token.as_bytes()), NOW).expect("own token");
        assert!(back.permissions.sources.is_empty());
    }

    #[test]
    fn a_token_of_a_server_sdk_gets_the_protocols_defaults_and_the_least_role() {
        let grants = check(
            r#"{"iss":"belfry","sub":"x","exp":1800000100,"video":{"roomJoin":true,"room":"12"}}"#,
        )
        .expect("valid");
        assert_eq!(grants.role, LessonRole::Student);
        assert_eq!(grants.permissions.sources.len(), 4);
        assert!(grants.permissions.data && grants.permissions.subscribe);
        assert!(!grants.can_update_own_metadata && !grants.hidden);
        let mute = check(
            r#"{"iss":"belfry","jti":"x","exp":1800000100,"video":{"roomJoin":true,"room":"12","canPublish":false}}"#,
        )
        .expect("valid");
        assert!(!mute.permissions.data, "data follows canPublish");
    }

    #[test]
    fn what_is_wrong_with_a_token_decides_the_refusal() {
        let cases = [
            (
                r#"{"iss":"belfry","sub":"x","video":{"roomJoin":true,"room":"1"}}"#,
                TokenError::Expired,
            ),
            (
                r#"{"iss":"belfry","sub":"x","exp":1799999940,"video":{"roomJoin":true,"room":"1"}}"#,
                TokenError::Expired,
            ),
            (
                r#"{"iss":"belfry","sub":"x","exp":1800000600,"nbf":1800000061,"video":{"roomJoin":true,"room":"1"}}"#,
                TokenError::NotYetValid,
            ),
            (
                r#"{"iss":"other","sub":"x","exp":1800000600,"video":{"roomJoin":true,"room":"1"}}"#,
                TokenError::Issuer,
            ),
            (
                r#"{"iss":"belfry","sub":"x","exp":1800000600,"video":{"room":"1"}}"#,
                TokenError::NoJoin,
            ),
            (
                r#"{"iss":"belfry","sub":"","exp":1800000600,"video":{"roomJoin":true,"room":"1"}}"#,
                TokenError::NoJoin,
            ),
            ("7", TokenError::Malformed),
        ];
        for (claims, error) in cases {
            assert_eq!(check(claims), Err(error), "{claims}");
        }
        assert!(
            check(r#"{"iss":"belfry","sub":"x","exp":1799999941,"video":{"roomJoin":true,"room":"1"}}"#).is_ok(),
            "within the leeway"
        );
    }

    #[test]
    fn a_token_of_another_key_or_algorithm_is_refused() {
        let grants = Grants::new("p7".into(), "Ada", "12", LessonRole::Student);
        let foreign = mint(&Signer::new("belfry", b"another"), &grants, NOW);
        assert_eq!(
            verify(&signer(), Outside::new(foreign.as_bytes()), NOW),
            Err(TokenError::Signature)
        );
        let own = mint(&signer(), &grants, NOW);
        let (_, rest) = own.split_once('.').expect("three parts");
        let none = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        assert_eq!(
            verify(&signer(), Outside::new(none.as_bytes()), NOW),
            Err(TokenError::Algorithm)
        );
    }

    #[test]
    fn a_signers_debug_form_does_not_show_the_secret() {
        assert!(!format!("{:?}", signer()).contains("secret"));
    }
}
