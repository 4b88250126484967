//! File names of a bundle: the same file on every system, inside the bundle and nowhere else.

use std::collections::HashSet;

use crate::limits::NAME_BYTES_MAX;
use crate::report::Finding;

/// A path of a bundle: ASCII letters, digits and `._-`, folders divided by `/`, none of them empty or hidden.
pub(crate) fn check_name(name: &[u8]) -> Result<String, String> {
    let shown = || {
        String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)])
            .escape_default()
            .to_string()
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let folder = |part: &[u8]| !part.is_empty() && part[0] != b'.' && part.iter().all(plain);
    if name.len() > NAME_BYTES_MAX || !name.split(|byte| *byte == b'/').all(folder) {
        return Err(format!("\"{}\" is no name of a bundle's file", shown()));
    }
    Ok(shown())
}

/// Two names that are one file where upper and lower case are the same.
pub(crate) fn check_folded<'a>(
    names: impl Iterator<Item = &'a str>,
    file: &str,
) -> Result<(), Finding> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(Finding::tampered(
                file,
                format!("{name} differs from another file by case only"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_folded, check_name};

    #[test]
    fn names_stay_inside() {
        for good in ["README.html", "log/proofs/12.tlog-proof", "a/b-c_d.e"] {
            assert_eq!(check_name(good.as_bytes()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "C:/x",
            "a\\b",
            ".hidden",
            "a/.x",
            "é",
            "a\0",
            "a b",
        ] {
            assert!(check_name(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_name(&[b'a'; 201]).is_err());
        assert!(check_folded(["a/B", "a/b"].into_iter(), "f").is_err());
    }
}
