//! Whom and what an entry is about: what the index of the record knows.

use belfry_audit::{SUBJECT_BYTES, subject_word};
use serde_json::Value;

type Words = Vec<[u8; SUBJECT_BYTES]>;

/// The words of all whom a canonical line names, each once.
pub(crate) fn words(key: &[u8; 32], body: &str) -> Words {
    serde_json::from_str(body).map(|body| words_of(key, &body)).unwrap_or_default()
}

/// [`words`] of a line that was parsed already.
pub(crate) fn words_of(key: &[u8; 32], body: &Value) -> Words {
    let mut words = Vec::new();
    let mut add = |kind: &str, id: &Value| {
        let id = match id {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return,
        };
        // An account in a lesson is `p` and its number.
        let account = id.strip_prefix('p').filter(|number| number.parse::<i64>().is_ok());
        let word = match (kind, account) {
            ("guest", Some(number)) => subject_word(key, "person", number),
            _ => subject_word(key, kind, &id),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    };
    let (actor, fields) = (&body["act"], &body["d"]);
    if let Some(kind @ ("person" | "guest")) = actor["kind"].as_str() {
        add(kind, &actor["id"]);
    }
    for (name, value) in fields.as_object().into_iter().flatten() {
        match (name.as_str(), fields["holding"].as_str()) {
            ("person" | "first_person" | "second_person", _)
            | ("object", Some("people" | "connections")) => add("person", value),
            ("class", _) | ("object", Some("rosters")) => add("class", value),
            ("lesson", _) => add("lesson", value),
            ("participant", _) => add("guest", value),
            _ => {}
        }
    }
    words
}
