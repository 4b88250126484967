//! Tidiness of the tree: fixed top level, files that fit the head, words that do not belong here.

use std::fs;

use belfry_tests::workspace::{files, root};

const TOP_LEVEL: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "appliance",
    "image",
    "installer",
    "admin-ui",
    "compliance",
    "tests",
];
const LINES_MAX: usize = 800;
const SOURCES: [&str; 5] = [".rs", ".ts", ".svelte", ".mjs", ".py"];

fn is_source(file: &str) -> bool {
    SOURCES.iter().any(|ending| file.ends_with(ending))
}

/// Lines outside of a trailing `#[cfg(test)]` module.
fn line_count(text: &str) -> usize {
    text.lines().take_while(|line| line.trim_start() != "#[cfg(test)]").count()
}

fn violations(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let top = file.split('/').next().unwrap_or(file);
    if !TOP_LEVEL.contains(&top) && top != "packaging" && !top.starts_with('.') {
        found.push(format!("{file}: the top level is fixed"));
    }
    if is_source(file) && line_count(text) > LINES_MAX {
        found.push(format!("{file}: {} lines, at most {LINES_MAX}", line_count(text)));
    }
    for word in forbidden_words() {
        if is_source(file) && text.contains(&word) {
            found.push(format!("{file}: contains {word}"));
        }
    }
    found
}

/// Spelt in halves, so that this file does not contain them.
fn forbidden_words() -> Vec<String> {
    [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("#[ig", "nore"),
        ("should_", "panic"),
        ("todo", "!("),
        ("test.", "fixme"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
    .to_vec()
}

#[test]
fn the_tree_is_tidy() {
    let files = files().expect("git lists the files");
    assert!(files.len() > 60, "the check must have read the tree");
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read(root().join(file)).expect("a listed file can be read");
        found.extend(violations(file, &String::from_utf8_lossy(&text)));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_untidy_file_is_found() {
    assert_eq!(violations("utils/lib.rs", "").len(), 1);
    assert_eq!(violations("appliance/a/src/lib.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
    assert_eq!(violations("appliance/a/src/lib.rs", &format!("// TO{} later", "DO")).len(), 1);
}
