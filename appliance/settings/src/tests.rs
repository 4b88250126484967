use std::collections::HashSet;

use proptest::prelude::*;

use super::{DECLARED, Declaration, Field, Origin, Settings, table};

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn every_default_passes_its_own_check() {
    let mut settings = Settings::default();
    let mut keys = HashSet::new();
    for declaration in DECLARED {
        assert!(keys.insert(declaration.key), "{} is declared twice", declaration.key);
        settings.set(declaration.key, declaration.default).expect(declaration.key);
        assert_eq!(settings.show(declaration.key).as_deref(), Some(declaration.default));
    }
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_documentation_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/SETTINGS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, table()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == table(), "SETTINGS.md is stale: run this test with BLESS=1");
}

#[test]
fn the_environment_wins_over_what_is_stored_and_that_over_the_file() {
    let file = "[https]\nport = 8443\nhost_names = [\"class.example.org\", \"class\"]\n[lesson]\nchat = \"off\"\n[session]\nidle_minutes = 30";
    let stored = [
        ("lesson.chat".to_owned(), "teacher_only".to_owned()),
        ("session.idle_minutes".to_owned(), "45".to_owned()),
        ("gone.with.an.update".to_owned(), "x".to_owned()),
    ];
    let env = |name: &str| (name == "BELFRY_SESSION_IDLE_MINUTES").then(|| "60".to_owned());
    let settings = Settings::load(Some(file), &stored, env).unwrap();
    assert_eq!(settings.https_port(), 8443);
    assert_eq!(settings.host_names(), ["class.example.org", "class"]);
    assert_eq!(settings.chat().as_str(), "teacher_only");
    assert_eq!(settings.session_idle_minutes(), 60);
    let origins = ["https.port", "lesson.chat", "session.idle_minutes", "media.port"]
        .map(|key| settings.origin(key));
    assert_eq!(origins, [Origin::File, Origin::Stored, Origin::Environment, Origin::Default]);
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let file = "[https]\nport = 99999\nprot = 1\n[lesson]\nchat = \"loud\"\n[data]\ndir = 1.5";
    let env = |name: &str| (name == "BELFRY_MEDIA_PORT").then(|| "0".to_owned());
    let problems = Settings::load(Some(file), &[], env).unwrap_err();
    let told = problems.to_string();
    assert_eq!(problems.0.len(), 5, "{told}");
    for part in [
        "https.port: write a whole number up to 65535",
        "https.prot: there is no such setting",
        "lesson.chat: choose one of on, teacher_only, off",
        "data.dir: write a text",
        "BELFRY_MEDIA_PORT: choose a port from 1 to 65535",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told:?}");
    }
    let broken = Settings::load(Some("[https\nport"), &[], nothing).unwrap_err();
    assert!(broken.to_string().starts_with("settings file: "), "{broken}");
}

#[test]
fn host_names_and_addresses_are_checked() {
    let mut settings = Settings::default();
    for wrong in ["Class.example.org", "a..b", "-a.org", "10.1.2.3", "class.local", &"a".repeat(64)]
    {
        assert!(settings.set("https.host_names", wrong).is_err(), "{wrong}");
    }
    settings.set("https.host_names", "class.example.org,\n class ").unwrap();
    assert_eq!(settings.show("https.host_names").as_deref(), Some("class.example.org,class"));
    for wrong in ["0.0.0.0", "::", "224.0.0.1", "ten"] {
        assert!(settings.set("media.advertised_addresses", wrong).is_err(), "{wrong}");
    }
    settings.set("media.advertised_addresses", "10.1.2.3, fd00::5").unwrap();
    assert_eq!(settings.advertised_addresses().len(), 2);
}

#[test]
fn loopback_is_not_open() {
    let mut settings = Settings::default();
    assert!(settings.https_is_open());
    for (address, open) in
        [("127.0.0.1", false), ("::1", false), ("0.0.0.0", true), ("10.0.0.2", true)]
    {
        settings.set("https.address", address).unwrap();
        assert_eq!(settings.https_is_open(), open, "{address}");
    }
}

fn text_for(declaration: &'static Declaration) -> BoxedStrategy<String> {
    match declaration.field {
        Field::Number { min, max } => (min..=max).prop_map(|number| number.to_string()).boxed(),
        Field::Checkbox => any::<bool>().prop_map(|flag| flag.to_string()).boxed(),
        Field::Choice(words) => proptest::sample::select(words).prop_map(str::to_owned).boxed(),
        Field::Text | Field::Lines => "[a-z0-9/., -]{0,40}".boxed(),
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_taken_back_as_the_same_value(
        values in DECLARED.iter().map(text_for).collect::<Vec<_>>()
    ) {
        let mut settings = Settings::default();
        for (declaration, text) in DECLARED.iter().zip(&values) {
            let taken = settings.set(declaration.key, text);
            if matches!(declaration.field, Field::Number { .. } | Field::Checkbox | Field::Choice(_)) {
                prop_assert!(taken.is_ok(), "{} refused {text:?}: {taken:?}", declaration.key);
            }
        }
        let stored: Vec<_> = DECLARED
            .iter()
            .map(|declaration| (declaration.key.to_owned(), settings.show(declaration.key).expect("declared")))
            .collect();
        let loaded = Settings::load(None, &stored, nothing).expect("shown values pass");
        for (key, value) in &stored {
            prop_assert_eq!(loaded.show(key), Some(value.clone()));
        }
    }

    #[test]
    fn no_text_makes_a_setting_panic(key in 0..DECLARED.len(), text in ".{0,80}") {
        let _ = Settings::default().set(DECLARED[key].key, &text);
    }
}
