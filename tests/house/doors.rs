//! One door per library: what a crate owns, no other crate imports directly.

use belfry_tests::workspace::{Crate, crates};

/// A library (`rtc-` stands for all that begin so) and the crates that may import it.
const DOORS: [(&str, &[&str]); 29] = [
    ("argon2", &["belfry-identity"]),
    ("askama", &["belfry-admin-ui"]),
    ("clap", &["belfry-daemon"]),
    ("flate2", &["belfry-signalling"]),
    ("fluent-bundle", &["belfry-admin-ui"]),
    ("hyper-util", &["belfry-daemon"]),
    ("if-addrs", &["belfry-daemon"]),
    ("jiff", &["belfry-daemon"]),
    ("landlock", &["belfry-workers"]),
    ("ldap3", &["belfry-identity"]),
    ("livekit-protocol", &["belfry-signalling"]),
    ("miniz_oxide", &["belfry-verify"]),
    ("postcard", &["belfry-media-api", "belfry-ledger"]),
    ("prost", &["belfry-signalling"]),
    ("rcgen", &["belfry-certs"]),
    ("rtc", &["belfry-synthetic"]),
    ("rtc-", &["belfry-sfu", "belfry-transport", "belfry-relay"]),
    ("rusqlite", &["belfry-store", "belfry-ledger"]),
    ("rust-embed", &["belfry-web"]),
    ("samael", &["belfry-identity"]),
    ("seccompiler", &["belfry-workers"]),
    ("str0m", &[]),
    ("systemd", &["belfry-daemon"]),
    ("tokio-tungstenite", &["belfry-synthetic"]),
    ("toml", &["belfry-settings"]),
    ("turn", &["belfry-relay"]),
    ("webrtc", &["belfry-synthetic"]),
    ("x509-parser", &["belfry-certs"]),
    ("zip", &["belfry-evidence"]),
];

fn violations(crates: &[Crate]) -> Vec<String> {
    let mut found = Vec::new();
    for importer in crates.iter().filter(|c| !c.is_test()) {
        for library in &importer.dependencies {
            let door = DOORS.iter().find(|(name, _)| match name.strip_suffix('-') {
                Some(_) => library.starts_with(name),
                None => library == name,
            });
            if let Some((_, owners)) = door
                && !owners.contains(&importer.name.as_str())
            {
                found
                    .push(format!("{} imports {library}, whose door is {owners:?}", importer.name));
            }
        }
    }
    found
}

#[test]
fn every_library_has_one_door() {
    let crates = crates().expect("cargo metadata reads the workspace");
    let doors = crates.iter().flat_map(|c| &c.dependencies).filter(|d| d.starts_with("rtc-"));
    assert!(doors.count() > 5, "the check must have read the workspace");
    assert_eq!(violations(&crates), Vec::<String>::new());
}

#[test]
fn a_second_door_is_found() {
    let importer = |dependency: &str| Crate {
        name: "belfry-web".to_owned(),
        folder: "appliance/web".to_owned(),
        layer: Some(6),
        dependencies: vec![dependency.to_owned()],
    };
    assert_eq!(violations(&[importer("rusqlite")]).len(), 1);
    assert_eq!(violations(&[importer("rtc-stun")]).len(), 1);
    assert_eq!(violations(&[importer("axum")]).len(), 0);
}
