//! A random key, its id and its form in a file.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rand::RngCore;
use zeroize::Zeroizing;

use crate::KeyRing;

/// The size of a key: that of the output of HMAC-SHA-256.
pub const SECRET_BYTES: usize = 32;

/// Random bytes of a key's id.
const ID_BYTES: usize = 6;

/// Which generation of a key something was made with. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 32 random bytes.
pub struct SecretKey {
    id: KeyId,
    bytes: Zeroizing<[u8; SECRET_BYTES]>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SecretKey {
    pub(crate) fn generate() -> Self {
        let mut id = [0; ID_BYTES];
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        rand::rng().fill_bytes(&mut id);
        rand::rng().fill_bytes(bytes.as_mut());
        Self { id: KeyId(BASE64.encode(id)), bytes }
    }

    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself, for the one call that uses it.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.bytes
    }
}

/// One line for each generation, the current first: `v1 ID SECRET`, both in base64url.
pub(crate) fn encode(current: &SecretKey, previous: Option<&SecretKey>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(160));
    for key in [Some(current), previous].into_iter().flatten() {
        let secret = Zeroizing::new(BASE64.encode(key.expose()));
        text.push_str("v1 ");
        text.push_str(key.id.as_str());
        text.push(' ');
        text.push_str(&secret);
        text.push('\n');
    }
    text
}

pub(crate) fn decode(bytes: &[u8]) -> Option<KeyRing> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut keys = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (version, id, secret) = (words.next()?, words.next()?, words.next()?);
        if version != "v1" || words.next().is_some() || id.is_empty() {
            return None;
        }
        let decoded = Zeroizing::new(BASE64.decode(secret).ok()?);
        keys.push(SecretKey {
            id: KeyId::from(id),
            bytes: Zeroizing::new(decoded.as_slice().try_into().ok()?),
        });
    }
    let mut keys = keys.into_iter();
    let ring = KeyRing { current: keys.next()?, previous: keys.next() };
    keys.next().is_none().then_some(ring)
}
