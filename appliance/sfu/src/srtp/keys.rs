//! Protection profiles and the keys that DTLS exports for them (RFC 5764, section 4.2).

use rtc_crypto::BlockCipherAlgorithm;

use crate::crypto;

/// The master salt as key derivation sees it: 112 bits, shorter ones padded with zeros at the end
/// (RFC 7714, section 11).
const DERIVATION_SALT_BYTES: usize = 14;
const BLOCK_BYTES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    pub(crate) fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    pub(crate) fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }
}

/// Master keys and salts of both directions.
pub(crate) struct Keys {
    pub(crate) profile: Profile,
    pub(crate) local_key: Vec<u8>,
    pub(crate) local_salt: Vec<u8>,
    pub(crate) remote_key: Vec<u8>,
    pub(crate) remote_salt: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Keys {
    /// How many bytes the exporter has to give.
    pub(crate) fn exported_len(profile: Profile) -> usize {
        2 * (profile.key_len() + profile.salt_len())
    }

    /// Takes the exported bytes apart: client key, server key, client salt, server salt.
    pub(crate) fn from_exported(
        profile: Profile,
        exported: &[u8],
        we_are_client: bool,
    ) -> Option<Self> {
        let (client_key, rest) = exported.split_at_checked(profile.key_len())?;
        let (server_key, rest) = rest.split_at_checked(profile.key_len())?;
        let (client_salt, rest) = rest.split_at_checked(profile.salt_len())?;
        let (server_salt, _) = rest.split_at_checked(profile.salt_len())?;
        let client = (client_key.to_vec(), client_salt.to_vec());
        let server = (server_key.to_vec(), server_salt.to_vec());
        let (local, remote) = if we_are_client { (client, server) } else { (server, client) };
        Some(Self {
            profile,
            local_key: local.0,
            local_salt: local.1,
            remote_key: remote.0,
            remote_salt: remote.1,
        })
    }
}

/// What a session key is for (RFC 3711, section 4.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Session key of `len` bytes: AES in counter mode over the salt and the label, key derivation
/// rate 0 (RFC 3711, section 4.3.3).
pub(super) fn derive(key: &[u8], salt: &[u8], label: Label, len: usize) -> Option<Vec<u8>> {
    let algorithm = match key.len() {
        16 => BlockCipherAlgorithm::Aes128,
        32 => BlockCipherAlgorithm::Aes256,
        _ => return None,
    };
    let mut input = [0_u8; BLOCK_BYTES];
    input.get_mut(..salt.len().min(DERIVATION_SALT_BYTES))?.copy_from_slice(salt);
    *input.get_mut(7)? ^= label as u8;
    let mut out = Vec::with_capacity(len + BLOCK_BYTES);
    for counter in 0_u16.. {
        if out.len() >= len {
            break;
        }
        let mut block = input;
        *block.last_chunk_mut::<2>()? = counter.to_be_bytes();
        crypto::primitives().block_encrypt(algorithm, key, &mut block).ok()?;
        out.extend_from_slice(&block);
    }
    out.truncate(len);
    Some(out)
}
