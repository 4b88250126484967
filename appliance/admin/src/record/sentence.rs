//! An entry of the log as the rest of a sentence that begins with whoever acted.

use belfry_admin_ui::{say, say_if_known, say_with};
use belfry_ledger::Entry;

use super::names::{Names, holding};

/// The key of a kind's sentence.
pub(super) fn key(op: &str) -> String {
    format!("did-{}", op.replace(['.', '_'], "-"))
}

pub(super) fn of(entry: &Entry, names: &Names) -> String {
    let key = key(&entry.op);
    if say_if_known(&key).is_none() {
        // A kind of a later release: its own words are better than none.
        let fields = entry.fields.iter().map(|(name, value)| format!("{name} {value}"));
        return format!("{}: {}", entry.op, fields.collect::<Vec<_>>().join(", "));
    }
    let said =
        |(name, value): &(String, String)| (name.clone(), in_words(name, value, entry, names));
    let values: Vec<(String, String)> = entry.fields.iter().map(said).collect();
    let values: Vec<_> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    say_with(&key, &values)
}

fn in_words(name: &str, value: &str, entry: &Entry, names: &Names) -> String {
    let numbered = |say_it: &dyn Fn(i64) -> String| match value.parse() {
        Ok(id) => say_it(id),
        Err(_) => value.to_owned(),
    };
    match (name, value) {
        // Sentences tell these apart from names.
        ("person", "") if entry.op == "connections.read" => "none".to_owned(),
        ("object", "") => "none".to_owned(),
        ("person", "") => say("record-somebody"),
        ("class", "") => say("record-no-class"),
        ("person" | "first_person" | "second_person", _) => numbered(&|id| names.person(id)),
        ("class", _) => numbered(&|id| names.class(id)),
        ("object", _) if holding(entry) == "rosters" => numbered(&|id| names.class(id)),
        ("object", _) => numbered(&|id| names.person(id)),
        ("participant", _) => names.participant(value),
        ("role", _) => role(value),
        ("from" | "to", _) if entry.op == "person.role_changed" => role(value),
        ("from" | "to", "") => say("record-nothing"),
        (_, "(masked)") => say("record-hidden"),
        _ => value.to_owned(),
    }
}

fn role(word: &str) -> String {
    match word {
        "admin" => say("role-admin"),
        "auditor" => say("role-auditor"),
        "teacher" => say("role-teacher"),
        "student" => say("role-student"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use belfry_admin_ui::say_if_known;
    use belfry_http::EventKind;

    #[test]
    fn each_kind_of_event_has_its_sentence() {
        let missing: Vec<_> = EventKind::ALL
            .iter()
            .map(|kind| super::key(kind.name()))
            .filter(|key| say_if_known(key).is_none())
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
