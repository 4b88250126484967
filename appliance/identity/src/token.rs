//! The session's token: 256 random bits in a cookie, their hash in the database.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use belfry_model::outside::Parser;
use rand::RngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// `__Host-`: only this host, only over TLS, for every path.
pub const COOKIE_NAME: &str = "__Host-session";

const TOKEN_BYTES: usize = 32;
/// 32 bytes in base64 without padding.
const TOKEN_CHARS: usize = 43;

/// The SHA-256 of a token.
pub(crate) type TokenHash = [u8; 32];

/// The value of the session cookie. Never shown, never stored.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<String>);

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken")
    }
}

/// Takes the value of a session cookie to the hash of its token.
pub static SESSION_TOKEN: Parser<TokenHash, base64::DecodeError> = Parser::new(
    "session_token",
    TOKEN_CHARS,
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    |bytes| {
        let mut token = Zeroizing::new([0; TOKEN_BYTES]);
        let length = BASE64
            .decode_slice(bytes, token.as_mut())
            .map_err(|_| base64::DecodeError::InvalidLength(bytes.len()))?;
        if length != TOKEN_BYTES {
            return Err(base64::DecodeError::InvalidLength(bytes.len()));
        }
        Ok(hash(&token))
    },
);

fn hash(token: &[u8; TOKEN_BYTES]) -> TokenHash {
    Sha256::digest(token).into()
}

impl SessionToken {
    pub(crate) fn generate() -> (Self, TokenHash) {
        let mut token = Zeroizing::new([0; TOKEN_BYTES]);
        rand::rng().fill_bytes(token.as_mut());
        (Self(Zeroizing::new(BASE64.encode(token.as_ref()))), hash(&token))
    }

    /// The cookie's value, for the answer that sets it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The `Set-Cookie` header that gives the token to the browser, until that is closed.
    pub fn set_cookie(&self) -> String {
        format!("{COOKIE_NAME}={}; Path=/; Secure; HttpOnly; SameSite=Lax", self.expose())
    }

    /// The `Set-Cookie` header that takes it away.
    pub fn clear_cookie() -> String {
        format!("{COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::outside::Outside;

    use super::{SESSION_TOKEN, SessionToken};

    #[test]
    fn a_token_comes_back_as_its_hash_and_nothing_else_does() {
        let (token, hash) = SessionToken::generate();
        let parse = |text: &str| SESSION_TOKEN.parse(Outside::new(text.as_bytes()));
        assert_eq!(parse(token.expose()).unwrap(), hash);
        assert_ne!(SessionToken::generate().1, hash);
        for wrong in ["", "AAAA", &"A".repeat(42), &"A".repeat(44), &"!".repeat(43)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "SessionToken");
        assert!(token.set_cookie().ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
    }
}
