//! The registry is whole, and nothing reads outside bytes around it.

use std::collections::BTreeSet;
use std::fs;

use belfry_fuzz::{registry, targets};
use belfry_model::outside::Target;
use belfry_tests::workspace::{files, has_extension, root};

/// What turns bytes or text into structure; in the appliance, only files that declare a parser may
/// contain it. A file that reads what the appliance itself has made says so: `// inside: why`.
const READERS: [&str; 11] = [
    "serde_json::from_",
    "serde_urlencoded::",
    ": Form<",
    ": Json<",
    ": Query<",
    "::decode(",
    "unmarshal(",
    "postcard::from_bytes",
    "toml::Table",
    "::from_pem",
    "::from_der",
];

fn sources() -> Vec<(String, String)> {
    files()
        .expect("git lists the files")
        .into_iter()
        .filter(|file| {
            file.starts_with("appliance/") && file.contains("/src/") && has_extension(file, "rs")
        })
        .map(|file| {
            let text = fs::read_to_string(root().join(&file)).expect("a source can be read");
            (file, text)
        })
        .collect()
}

/// The part of a source that is not its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Names given to `Parser::new` in a source.
fn declared(text: &str) -> Vec<String> {
    shipped(text)
        .split("Parser::new(")
        .skip(1)
        .filter_map(|rest| {
            rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
        })
        .collect()
}

fn readers_outside(file: &str, text: &str) -> Vec<String> {
    let shipped = shipped(text);
    if !declared(text).is_empty() || shipped.contains("// inside:") || file.contains("/tests") {
        return Vec::new();
    }
    READERS.iter().filter(|r| shipped.contains(*r)).map(|r| format!("{file}: {r}")).collect()
}

#[test]
fn every_declared_parser_is_registered() {
    let declared: BTreeSet<String> = sources()
        .iter()
        .filter(|(file, _)| !file.starts_with("appliance/model/"))
        .flat_map(|(_, text)| declared(text))
        .collect();
    let registered: BTreeSet<String> =
        registry().into_iter().map(|target| target.name().to_owned()).collect();
    assert!(declared.len() > 1, "the check must have read the sources");
    assert_eq!(declared, registered);
    assert_eq!(registered.len(), registry().len(), "names are unique");
}

#[test]
fn every_parser_accepts_its_seed() {
    for target in targets() {
        assert!(target.feed(target.seed()), "{}", target.name());
    }
}

/// No input from outside is larger than this: the largest is a file of people to import.
const INPUT_BYTES_MAX: usize = 64 << 20;

#[test]
fn every_parser_has_a_limit() {
    let limitless: Vec<&str> = registry()
        .into_iter()
        .filter(|target| target.bytes_max() > INPUT_BYTES_MAX)
        .map(Target::name)
        .collect();
    assert_eq!(limitless, Vec::<&str>::new());
}

#[test]
fn outside_bytes_are_read_by_registered_parsers_only() {
    let found: Vec<String> =
        sources().iter().flat_map(|(file, text)| readers_outside(file, text)).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_reader_around_the_registry_is_found() {
    let source = "fn f(b: &[u8]) { serde_json::from_slice::<u8>(b); }";
    assert_eq!(readers_outside("appliance/a/src/lib.rs", source).len(), 1);
}
