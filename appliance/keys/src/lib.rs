//! Every key's home: a directory of its own, one file for each key, for this user only.
//!
//! **Invariant:** a key is on the disk, complete and synced, before anybody uses it.
//! **Invariant:** no key is shown by `Debug`; memory that held one is wiped.

mod error;
mod file;
mod secret;

use std::fmt;
use std::path::{Path, PathBuf};

pub use error::Error;
pub use secret::{KeyId, SECRET_BYTES, SecretKey};
pub use zeroize::Zeroizing;

/// The keys that the appliance makes for itself: 32 random bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyName {
    /// Signs media tokens (HS256).
    Token,
    /// Derives the CSRF token of each session, and passwords that only the console shows.
    Csrf,
    /// Hashes the subjects of the sign-in throttle, so that no address is stored.
    Throttle,
    /// Signs bundles of evidence (Ed25519).
    Evidence,
    /// Makes the pseudonyms in them.
    Pseudonym,
}

impl KeyName {
    pub const ALL: [Self; 5] =
        [Self::Token, Self::Csrf, Self::Throttle, Self::Evidence, Self::Pseudonym];

    /// The stable name: of the file, and in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Csrf => "csrf",
            Self::Throttle => "throttle",
            Self::Evidence => "evidence",
            Self::Pseudonym => "pseudonym",
        }
    }
}

/// A key with the generation before it, which is still accepted but no longer used.
#[derive(Debug)]
pub struct KeyRing {
    pub current: SecretKey,
    pub previous: Option<SecretKey>,
}

impl KeyRing {
    /// The key with that id, of those still accepted.
    pub fn accepted(&self, id: &KeyId) -> Option<&SecretKey> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id() == id)
    }
}

/// All keys of the appliance.
pub struct Keys {
    dir: PathBuf,
    /// One for each name, in the order of [`KeyName::ALL`].
    rings: [KeyRing; KeyName::ALL.len()],
    created: Vec<KeyName>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Keys {
    /// Opens the directory, makes it and the keys that are missing.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        file::private_dir(dir)?;
        let mut created = Vec::new();
        let mut rings = Vec::new();
        for name in KeyName::ALL {
            let (ring, new) = load_or_create(dir, name)?;
            rings.push(ring);
            if new {
                created.push(name);
            }
        }
        let rings = rings.try_into().expect("one for each name");
        Ok(Self { dir: dir.to_owned(), rings, created })
    }

    pub fn token(&self) -> &KeyRing {
        self.ring(KeyName::Token)
    }

    pub fn csrf(&self) -> &KeyRing {
        self.ring(KeyName::Csrf)
    }

    pub fn throttle(&self) -> &KeyRing {
        self.ring(KeyName::Throttle)
    }

    pub fn ring(&self, name: KeyName) -> &KeyRing {
        &self.rings[name as usize]
    }

    /// The keys that [`Keys::open`] had to make; each belongs in the record.
    pub fn created(&self) -> &[KeyName] {
        &self.created
    }

    /// Makes a new generation of a key; the one before stays accepted until the next rotation.
    pub fn rotate(&mut self, name: KeyName) -> Result<&KeyRing, Error> {
        let ring = &mut self.rings[name as usize];
        let next = SecretKey::generate();
        let text = secret::encode(&next, Some(&ring.current));
        file::replace(&path_of(&self.dir, name), text.as_bytes())?;
        ring.previous = Some(std::mem::replace(&mut ring.current, next));
        tracing::info!(key = name.as_str(), id = %ring.current.id(), "rotated a key");
        Ok(ring)
    }

    /// The private key of the built-in CA (PKCS #8 DER); `make` is asked for one if there is none.
    pub fn tls_ca<E: std::error::Error + Send + Sync + 'static>(
        &self,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.der("tls-ca.key", make)
    }

    /// The private key of the TLS leaf (PKCS #8 DER); `make` is asked for one if there is none.
    pub fn tls_leaf<E: std::error::Error + Send + Sync + 'static>(
        &self,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.der("tls-leaf.key", make)
    }

    fn der<E: std::error::Error + Send + Sync + 'static>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let path = self.dir.join(name);
        if let Some(der) = file::read(&path)? {
            return Ok(der);
        }
        let der =
            make().map_err(|source| Error::Make { path: path.clone(), source: source.into() })?;
        file::create(&path, &der)?;
        Ok(der)
    }
}

fn path_of(dir: &Path, name: KeyName) -> PathBuf {
    dir.join(format!("{}.key", name.as_str()))
}

fn load_or_create(dir: &Path, name: KeyName) -> Result<(KeyRing, bool), Error> {
    let path = path_of(dir, name);
    if let Some(bytes) = file::read(&path)? {
        // inside: this store wrote the file, and only the appliance's account may write there.
        let ring = secret::decode(&bytes).ok_or(Error::Malformed { path })?;
        return Ok((ring, false));
    }
    let current = SecretKey::generate();
    file::create(&path, secret::encode(&current, None).as_bytes())?;
    Ok((KeyRing { current, previous: None }, true))
}

#[cfg(test)]
mod tests;
