//! The signature on a bundle, in OpenSSH's form (PROTOCOL.sshsig), so that a stock `ssh-keygen -Y verify` checks it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256, Sha512};

/// What the signature is for.
const NAMESPACE: &str = "evidence";
const KEY_TYPE: &str = "ssh-ed25519";
const HASH: &str = "sha512";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// As `ssh-keygen` breaks its lines.
const ARMOUR_CHARS: usize = 70;

/// The key that signs bundles (Ed25519). Its fingerprint is printed for the records room.
#[derive(Debug)]
pub struct Key(SigningKey);

impl Key {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.blob())))
    }

    /// RFC 8709 section 4.
    fn blob(&self) -> Vec<u8> {
        [string(KEY_TYPE.as_bytes()), string(self.0.verifying_key().as_bytes())].concat()
    }

    /// The line of an `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS).
    pub fn allowed_signers(&self, principal: &str) -> String {
        format!(
            "{principal} namespaces=\"{NAMESPACE}\" {KEY_TYPE} {}\n",
            STANDARD.encode(self.blob())
        )
    }

    /// The armoured signature of a file with these bytes.
    pub fn sign(&self, message: &[u8]) -> String {
        let common = [string(NAMESPACE.as_bytes()), string(b""), string(HASH.as_bytes())].concat();
        let signed = [MAGIC, &common, &string(&Sha512::digest(message))].concat();
        let signature =
            [string(KEY_TYPE.as_bytes()), string(&self.0.sign(&signed).to_bytes())].concat();
        let blob =
            [MAGIC, &VERSION.to_be_bytes(), &string(&self.blob()), &common, &string(&signature)]
                .concat();
        let base64 = STANDARD.encode(blob);
        let mut armour = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
        for line in base64.as_bytes().chunks(ARMOUR_CHARS) {
            armour.push_str(&String::from_utf8_lossy(line));
            armour.push('\n');
        }
        armour + "-----END SSH SIGNATURE-----\n"
    }
}

/// RFC 4251 section 5, `string`.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("keys, hashes and names are short");
    [&length.to_be_bytes(), bytes].concat()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit =
        |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("four bits are one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
