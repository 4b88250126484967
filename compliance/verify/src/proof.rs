//! C2SP tlog-proof: one entry's place in a checkpoint's tree, in one file.

use crate::hash::{Hash, unbase64, unbase64_hash};
use crate::limits::{NOTE_BYTES_MAX, PROOF_HASHES_MAX};
use crate::note::Note;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub index: u64,
    pub path: Vec<Hash>,
    pub checkpoint: Note,
}

impl Proof {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > NOTE_BYTES_MAX {
            return None;
        }
        let (head, note) = std::str::from_utf8(bytes).ok()?.split_once("\n\n")?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return None;
        }
        if let Some(extra) = lines.next_if(|line| line.starts_with("extra ")) {
            unbase64(extra.strip_prefix("extra ")?)?;
        }
        let index = lines.next()?.strip_prefix("index ")?;
        if index.len() > 1 && index.starts_with('0')
            || !index.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let path: Vec<_> = lines.map(unbase64_hash).collect::<Option<_>>()?;
        if path.len() > PROOF_HASHES_MAX {
            return None;
        }
        Some(Self { index: index.parse().ok()?, path, checkpoint: Note::parse(note.as_bytes())? })
    }
}

#[cfg(test)]
mod tests {
    use super::Proof;
    use crate::testing::{key, note};

    #[test]
    fn a_proof_has_a_header_an_index_hashes_and_a_checkpoint() {
        let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let note = note(&format!("o\n2\n{hash}\n"), "o", &key(1));
        let good = format!("c2sp.org/tlog-proof@v1\nindex 1\n{hash}\n\n{note}");
        let proof = Proof::parse(good.as_bytes()).expect("a proof");
        assert_eq!((proof.index, proof.path.len()), (1, 1));
        assert!(Proof::parse(good.replace("index", "extra AA==\nindex").as_bytes()).is_some());
        for bad in [
            good.replace("@v1", "@v2"),
            good.replace("index 1", "index 01"),
            good.replace("index 1", "index -1"),
            good.replace("index 1\n", ""),
            good.replacen(hash, "short", 1),
        ] {
            assert!(Proof::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
