//! What holds of every page, every text and every colour.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_bundle::FluentResource;

use crate::text::CATALOGUES;
use crate::{TOKENS_CSS, assets, gallery};

fn files(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("the sources are readable").path()) {
        if path.is_dir() {
            files(&path, extension, into);
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&here.join("templates"), "html", &mut paths);
    for folder in ["src", "../appliance/admin/src", "../appliance/http/src"] {
        files(&here.join(folder), "rs", &mut paths);
    }
    assert!(paths.len() > 20, "only {} sources were found", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("the sources are UTF-8");
            (path, text)
        })
        .collect()
}

fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (file, text) in CATALOGUES {
        let resource = FluentResource::try_new((*text).to_owned()).expect("the catalogue parses");
        for line in resource.source().lines() {
            let Some((key, _)) = line.split_once(" =") else { continue };
            if key.starts_with(|c: char| c.is_ascii_alphabetic()) {
                assert!(keys.insert(key.to_owned()), "{file}: {key} stands twice");
            }
        }
    }
    assert!(keys.len() > 100);
    keys
}

/// What stands between quotes after `say(`, `say_with(` or `say_if_known(`.
fn said(text: &str) -> Vec<&str> {
    ["say(", "say_with("]
        .iter()
        .flat_map(|call| text.split(call).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(key, _)| key)
        .collect()
}

#[test]
fn every_text_that_is_used_is_in_the_catalogue_and_the_other_way_round() {
    let keys = keys();
    let sources = sources();
    let mut missing = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !path.ends_with("admin-ui/src/tests.rs"))
    {
        missing.extend(
            said(text).into_iter().filter(|key| !keys.contains(*key)).map(|key| (path, key)),
        );
    }
    assert!(missing.is_empty(), "not in the catalogue: {missing:?}");
    // Keys that are chosen by a match stand as literals elsewhere.
    let used = |key: &str| sources.iter().any(|(_, text)| text.contains(&format!("\"{key}\"")));
    let unused: Vec<_> = keys
        .iter()
        .filter(|key| !["setting-", "settings-group-", "did-"].iter().any(|of| key.starts_with(of)))
        .filter(|key| !used(key))
        .collect();
    assert!(unused.is_empty(), "in the catalogue, but never used: {unused:?}");
}

/// A template without its expressions and comments.
fn without_code(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) =
        rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()
    {
        out.push_str(&rest[..at]);
        let end = match &rest[at..at + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        rest = &rest[at..];
        rest = &rest[rest.find(end).expect("templates compile") + 2..];
    }
    out + rest
}

/// Literal words in the text or in a spoken attribute of a template.
fn literals(template: &str) -> Vec<String> {
    let html = without_code(template);
    let word = |text: &str| text.chars().any(char::is_alphabetic);
    let mut found = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        if word(text) {
            found.push(text.trim().to_owned());
        }
        for attribute in ["aria-label=\"", "title=\"", "placeholder=\"", "alt=\"", "label=\""] {
            let value = tag.split_once(attribute).and_then(|(_, rest)| rest.split_once('"'));
            found.extend(value.filter(|(value, _)| word(value)).map(|(value, _)| value.to_owned()));
        }
    }
    found
}

#[test]
fn templates_have_no_text_of_their_own() {
    assert_eq!(literals("<p>Hello {{ name }}</p>"), ["Hello"]);
    assert_eq!(literals("<a title=\"Go\">{{ x }}</a>"), ["Go"]);
    let mut count = 0;
    for (path, text) in sources() {
        if path.extension().is_some_and(|extension| extension == "html") {
            count += 1;
            assert!(literals(&text).is_empty(), "{}: {:?}", path.display(), literals(&text));
        }
    }
    assert!(count > 10);
}

#[test]
fn every_page_renders_with_one_heading_and_unique_ids() {
    let pages = gallery::pages();
    assert!(pages.len() > 15);
    for (name, html) in pages {
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert_eq!(html.matches("<main").count(), 1, "{name}");
        assert!(!html.contains(" style=\""), "{name}: inline styles are refused by the CSP");
        let mut ids = BTreeSet::new();
        for id in html.split(" id=\"").skip(1).filter_map(|rest| rest.split_once('"')) {
            assert!(ids.insert(id.0), "{name}: the id {} stands twice", id.0);
        }
        for asset in html.split(crate::ASSET_PREFIX).skip(1) {
            let path = asset.split(['"', '#']).next().expect("split yields one part");
            let path = format!("{}{path}", crate::ASSET_PREFIX);
            assert!(assets().iter().any(|asset| asset.path == path), "{name}: {path}");
        }
    }
}

#[test]
fn every_icon_that_is_used_is_in_the_sprite() {
    let sprite = include_str!("../static/icons.svg");
    for (name, html) in gallery::pages() {
        for part in html.split("<use href=\"").skip(1) {
            let id = part.split(['#', '"']).nth(1).expect("icons have an id");
            assert!(sprite.contains(&format!("id=\"{id}\"")), "{name}: no icon {id}");
        }
    }
}

#[test]
fn the_script_stays_small() {
    let script = assets().iter().find(|asset| asset.name == "enhance.js").expect("it is listed");
    assert!(script.bytes.len() < 2_600, "{} bytes before compression", script.bytes.len());
}

type Rgb = [f64; 3];

fn rgb(hex: &str) -> Rgb {
    let channel = |at: usize| {
        let value =
            f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a hex colour")) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    [channel(1), channel(3), channel(5)]
}

/// WCAG 2.1: relative luminance and contrast ratio.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let luminance = |[r, g, b]: Rgb| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let (high, low) = (luminance(a).max(luminance(b)), luminance(a).min(luminance(b)));
    (high + 0.05) / (low + 0.05)
}

/// Every colour of the tokens, light and dark.
fn colours() -> BTreeMap<String, [Rgb; 2]> {
    let mut colours = BTreeMap::new();
    for line in TOKENS_CSS.lines() {
        let Some((name, value)) =
            line.trim().strip_prefix("--").and_then(|line| line.split_once(": "))
        else {
            continue;
        };
        let value = value.trim_end_matches(';');
        let pair = match value.strip_prefix("light-dark(").and_then(|v| v.strip_suffix(')')) {
            Some(pair) => pair.split_once(", "),
            None => Some((value, value)),
        };
        if let Some((light, dark)) = pair.filter(|(light, _)| light.starts_with('#')) {
            colours.insert(name.to_owned(), [rgb(light), rgb(dark)]);
        }
    }
    assert!(colours.len() > 20);
    colours
}

#[test]
fn text_and_controls_have_the_contrast_of_wcag_aa_in_both_themes() {
    let colours = colours();
    let check = |front: &str, backs: &[&str], least: f64| {
        for back in backs {
            for (theme, (front_is, back_is)) in
                ["light", "dark"].iter().zip(colours[front].iter().zip(&colours[*back]))
            {
                let ratio = contrast(*front_is, *back_is);
                assert!(ratio >= least, "{front} on {back}, {theme}: {ratio:.2} < {least}");
            }
        }
    };
    let grounds = ["ground", "surface", "sunken"];
    for ink in ["ink", "ink-soft", "accent", "accent-strong", "danger"] {
        check(ink, &grounds, 4.5);
    }
    for line in ["edge", "focus"] {
        check(line, &grounds, 3.0);
    }
    check("on-accent", &["accent", "accent-strong"], 4.5);
    check("on-danger", &["danger", "danger-strong"], 4.5);
    check("accent-strong", &["accent-soft"], 4.5);
    for meaning in ["good", "warn", "danger"] {
        check(meaning, &[&format!("{meaning}-soft"), "surface"], 4.5);
        check("ink", &[&format!("{meaning}-soft")], 4.5);
    }
    check("danger-strong", &["danger-soft"], 4.5);
    check("on-stage", &["stage", "stage-tile"], 4.5);
    check("on-stage-soft", &["stage", "stage-tile"], 4.5);
    check("speaking", &["stage", "stage-tile"], 3.0);
    check("focus-on-stage", &["stage", "stage-tile"], 3.0);
}
