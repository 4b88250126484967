//! OpenSSH's signature of a file (PROTOCOL.sshsig), Ed25519 only: what `ssh-keygen -Y verify` checks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha512};

use crate::hash::{sha256, unbase64};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "\n-----END SSH SIGNATURE-----\n";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const KEY_TYPE: &[u8] = b"ssh-ed25519";
/// What the signature of a bundle is for.
pub(crate) const NAMESPACE: &str = "evidence";

/// A public key as SSH writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshKey {
    blob: Vec<u8>,
    key: VerifyingKey,
}

impl SshKey {
    fn from_blob(blob: &[u8]) -> Option<Self> {
        let mut rest = blob;
        let (kind, key) = (take(&mut rest)?, take(&mut rest)?);
        if kind != KEY_TYPE || !rest.is_empty() {
            return None;
        }
        let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
        Some(Self { blob: blob.to_vec(), key })
    }

    /// As `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&self.blob)))
    }
}

/// The keys of an `allowed_signers` file that may sign for our namespace (ssh-keygen(1), ALLOWED SIGNERS); `None` when a
/// line is of another form than a bundle's: `principal namespaces="evidence" ssh-ed25519 KEY`.
pub(crate) fn allowed_signers(text: &str) -> Option<Vec<SshKey>> {
    text.lines()
        .map(|line| {
            let mut words = line.split(' ');
            let (_principal, options, kind, key) =
                (words.next()?, words.next()?, words.next()?, words.next()?);
            if words.next().is_some()
                || options != "namespaces=\"evidence\""
                || kind.as_bytes() != KEY_TYPE
            {
                return None;
            }
            SshKey::from_blob(&unbase64(key)?)
        })
        .collect()
}

/// The key that signed the message for our namespace; `None` when nothing did.
pub(crate) fn signer(armour: &str, message: &[u8]) -> Option<SshKey> {
    let base64: String = armour.strip_prefix(BEGIN)?.strip_suffix(END)?.split('\n').collect();
    let blob = unbase64(&base64)?;
    let mut rest = blob.strip_prefix(MAGIC)?;
    let (version, tail) = rest.split_first_chunk::<4>()?;
    rest = tail;
    let (key, namespace) = (take(&mut rest)?, take(&mut rest)?);
    let (reserved, hash, signature) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
    let known = u32::from_be_bytes(*version) == VERSION
        && namespace == NAMESPACE.as_bytes()
        && reserved.is_empty()
        && hash == b"sha512"
        && rest.is_empty();
    let key = SshKey::from_blob(key).filter(|_| known)?;
    let mut inner = signature;
    let (kind, signature) = (take(&mut inner)?, take(&mut inner)?);
    if kind != KEY_TYPE || !inner.is_empty() {
        return None;
    }
    let mut signed = MAGIC.to_vec();
    for part in [namespace, reserved, hash, &Sha512::digest(message)] {
        signed.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        signed.extend(part);
    }
    let signature = Signature::from_slice(signature).ok()?;
    key.key.verify_strict(&signed, &signature).is_ok().then_some(key)
}

/// RFC 4251 section 5, `string`.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (bytes, tail) =
        tail.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = tail;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{allowed_signers, signer};

    // Made by `ssh-keygen -t ed25519` and `ssh-keygen -Y sign -n evidence` of OpenSSH 9.2 over "evidence\n".
    const SIGNERS: &str = include_str!("../testdata/allowed_signers");
    const SIGNATURE: &str = include_str!("../testdata/message.sig");
    const OTHER_NAMESPACE: &str = include_str!("../testdata/message.file.sig");
    const FINGERPRINT: &str = include_str!("../testdata/fingerprint");

    #[test]
    fn what_ssh_keygen_signed_is_known() {
        let keys = allowed_signers(SIGNERS).expect("its form");
        let key = signer(SIGNATURE, b"evidence\n").expect("it signed");
        assert_eq!(keys, [key]);
        assert_eq!(keys[0].fingerprint(), FINGERPRINT.trim());
    }

    #[test]
    fn another_message_namespace_or_byte_is_not() {
        assert!(signer(SIGNATURE, b"evidence").is_none());
        assert!(signer(OTHER_NAMESPACE, b"evidence\n").is_none());
        for at in 0..SIGNATURE.len() {
            let mut bytes = SIGNATURE.as_bytes().to_vec();
            bytes[at] ^= 1;
            let changed = String::from_utf8_lossy(&bytes);
            assert!(signer(&changed, b"evidence\n").is_none(), "byte {at}");
        }
    }
}
