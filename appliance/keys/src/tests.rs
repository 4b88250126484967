use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{Error, KeyName, Keys, Zeroizing};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    let first = Keys::open(&dir).unwrap();
    assert_eq!(first.created(), KeyName::ALL);
    let second = Keys::open(&dir).unwrap();
    assert!(second.created().is_empty());
    assert_eq!(first.token().current.expose(), second.token().current.expose());
    assert_ne!(first.token().current.expose(), first.csrf().current.expose());
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_eq!(path.extension().unwrap(), "key", "nothing partial is left");
    }
}

#[test]
fn a_rotated_key_leaves_the_one_before_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    let mut keys = Keys::open(&dir).unwrap();
    let (oldest, bytes) = (keys.token().current.id().clone(), *keys.token().current.expose());
    keys.rotate(KeyName::Token).unwrap();
    let reopened = Keys::open(&dir).unwrap();
    assert_eq!(reopened.token().accepted(&oldest).unwrap().expose(), &bytes);
    assert_ne!(reopened.token().current.id(), &oldest);
    keys.rotate(KeyName::Token).unwrap();
    assert!(keys.token().accepted(&oldest).is_none());
    assert_ne!(keys.csrf().current.id(), keys.token().current.id());
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Keys::open(&dir).unwrap();
    let path = dir.join("token.key");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = Keys::open(&dir).unwrap_err();
    assert!(matches!(error, Error::Exposed { mode: 0o644, .. }));
    assert!(error.to_string().ends_with(&format!("run chmod 600 {}", path.display())));
}

#[test]
fn a_damaged_key_is_refused_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    Keys::open(&dir).unwrap();
    for damaged in ["", "v2 a b\n", "v1 abc AAAA\n", "v1 abc"] {
        fs::write(dir.join("csrf.key"), damaged).unwrap();
        assert!(matches!(Keys::open(&dir).unwrap_err(), Error::Malformed { .. }), "{damaged:?}");
        assert_eq!(fs::read_to_string(dir.join("csrf.key")).unwrap(), damaged);
    }
}

#[test]
fn the_ca_key_is_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open(&dir.path().join("keys")).unwrap();
    let made = keys.tls_ca(|| Ok::<_, std::io::Error>(Zeroizing::new(vec![1, 2, 3]))).unwrap();
    let read = keys.tls_ca(|| Err(std::io::Error::other("asked twice"))).unwrap();
    assert_eq!(made, read);
    let failed = keys.tls_leaf(|| Err(std::io::Error::other("no entropy"))).unwrap_err();
    assert!(matches!(failed, Error::Make { .. }));
}

#[test]
fn debug_shows_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open(&dir.path().join("keys")).unwrap();
    let shown = format!("{keys:?} {:?}", keys.token());
    assert!(shown.contains("KeyRing") && !shown.contains("bytes"), "{shown}");
}

#[test]
fn a_directory_that_cannot_be_made_is_one_sentence() {
    let error = Keys::open(std::path::Path::new("/nonexistent/keys")).unwrap_err();
    assert!(error.to_string().contains("check that the directory exists"), "{error}");
}
