//! The canonical form of an event: the bytes that are stored and hashed.
//!
//! One line of JSON as RFC 8785 (JCS) writes it: members sorted by name, no white space, the
//! shortest escapes, integers only. Members:
//!
//! | member | what |
//! |---|---|
//! | `act` | `{"id": number, string or null, "kind": string}`: who |
//! | `at` | milliseconds since 1970 |
//! | `d` | the fields of the event; a masked one is `{"masked":true}` |
//! | `dist` | the district's number |
//! | `op` | the name of the event's kind |
//! | `out` | `done` or `refused` |
//! | `pii` | from version 2: the salted commitment to what can be erased (hexadecimal), if there is any |
//! | `sch` | the school's number, or null |
//! | `v` | 3 if there is `via`; else 2 if there is a commitment; else 1 |
//! | `via` | version 3 only: the user on the machine whose process sent it, as the kernel says |

use crate::event::Event;
use crate::field::Value;
use crate::hash::Hash;

/// The newest version of the canonical form that this crate writes. A change of members is a new
/// version; old entries are never rewritten.
pub const CANONICAL_VERSION: i64 = 3;

/// The version of an entry without a commitment.
const PLAIN_VERSION: i64 = 1;

/// The version of an entry with a commitment that was not sent by another process.
const COMMITTED_VERSION: i64 = 2;

/// The largest integer that every JSON reader keeps exactly (RFC 8785 section 3.2.2.3).
const INT_MAX: i64 = (1 << 53) - 1;

impl Event {
    /// The canonical form; the same event always gives the same text.
    pub fn canonical(&self) -> String {
        self.canonical_via(None, None)
    }

    /// The canonical form of an event that commits to personal data beside it.
    pub fn canonical_with(&self, commitment: &Hash) -> String {
        self.canonical_via(Some(commitment), None)
    }

    /// The canonical form of an event that the process of the user `via` has sent.
    pub fn canonical_via(&self, commitment: Option<&Hash>, via: Option<u32>) -> String {
        let mut fields = self.detail.fields();
        fields.sort_unstable_by_key(|(name, _)| *name);
        let mut out = String::with_capacity(384);
        out.push_str("{\"act\":{\"id\":");
        push_value(&mut out, &self.actor.id());
        out.push_str(",\"kind\":");
        push_text(&mut out, self.actor.kind());
        out.push_str("},\"at\":");
        push_int(&mut out, self.at_ms);
        out.push_str(",\"d\":{");
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_text(&mut out, name);
            out.push(':');
            push_value(&mut out, value);
        }
        out.push_str("},\"dist\":");
        push_int(&mut out, self.scope.district);
        out.push_str(",\"op\":");
        push_text(&mut out, self.kind().name());
        out.push_str(",\"out\":");
        push_text(&mut out, self.kind().outcome().as_str());
        if let Some(commitment) = commitment {
            out.push_str(",\"pii\":");
            push_text(&mut out, &commitment.to_string());
        }
        out.push_str(",\"sch\":");
        push_value(&mut out, &self.scope.school.map_or(Value::Null, Value::Int));
        out.push_str(",\"v\":");
        match via {
            Some(via) => {
                push_int(&mut out, CANONICAL_VERSION);
                out.push_str(",\"via\":");
                push_int(&mut out, via.into());
            }
            None => push_int(&mut out, commitment.map_or(PLAIN_VERSION, |_| COMMITTED_VERSION)),
        }
        out.push('}');
        out
    }
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => push_int(out, *number),
        Value::Text(text) => push_text(out, text),
        Value::Masked => out.push_str("{\"masked\":true}"),
    }
}

fn push_int(out: &mut String, number: i64) {
    if (-INT_MAX..=INT_MAX).contains(&number) {
        out.push_str(&number.to_string());
    } else {
        push_text(out, &number.to_string());
    }
}

/// RFC 8785 section 3.2.2.2.
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                out.push_str("\\u00");
                out.push_str(&crate::hash::hex(&[control as u8]));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use crate::{
        Actor, Class, Detail, Event, Lesson, Masked, Participant, Person, Scope, Word, leaf_hash,
    };

    fn event(detail: Detail) -> Event {
        Event { at_ms: 1_000, scope: Scope::school(1, 2), actor: Actor::Person(Person(7)), detail }
    }

    #[test]
    fn version_1_is_these_bytes_for_ever() {
        let started = event(Detail::LessonStarted { lesson: Lesson(9), class: Some(Class(3)) });
        assert_eq!(
            started.canonical(),
            r#"{"act":{"id":7,"kind":"person"},"at":1000,"d":{"class":3,"lesson":9},"dist":1,"op":"lesson.started","out":"done","sch":2,"v":1}"#
        );
        assert_eq!(
            leaf_hash(started.canonical().as_bytes()).to_string(),
            "752b8279d310c99a8f082a1239ee1252b127cc2a0801affb8088eac9e6ac5ad7"
        );
    }

    #[test]
    fn version_3_says_whose_process_sent_it() {
        let started = event(Detail::LessonStarted { lesson: Lesson(9), class: None });
        let commitment = crate::commitment(&[1; 32], b"{}");
        assert!(started.canonical_via(None, Some(998)).ends_with(r#","sch":2,"v":3,"via":998}"#));
        let with = format!("\"pii\":\"{commitment}\",\"sch\":2,\"v\":3,\"via\":998}}");
        assert!(started.canonical_via(Some(&commitment), Some(998)).ends_with(&with));
    }

    #[test]
    fn version_2_is_version_1_with_a_commitment() {
        let started = event(Detail::LessonStarted { lesson: Lesson(9), class: None });
        let commitment = crate::commitment(&[1; 32], b"{}");
        let with = format!("\"out\":\"done\",\"pii\":\"{commitment}\",\"sch\":2,\"v\":2}}");
        assert!(started.canonical_with(&commitment).ends_with(&with));
    }

    #[test]
    fn a_secret_is_masked_and_text_is_escaped_as_rfc_8785_says() {
        let changed = event(Detail::SettingChanged {
            setting: Word::new("school.name"),
            from: Masked::Hidden,
            to: Masked::Shown("Zoë's \"A\"\\\n\u{1}".to_owned()),
        });
        assert!(changed.canonical().contains(
            "\"d\":{\"from\":{\"masked\":true},\"setting\":\"school.name\",\"to\":\"Zoë's \\\"A\\\"\\\\\\n\\u0001\"}"
        ));
    }

    #[test]
    fn numbers_that_a_json_reader_would_round_are_text() {
        let mut gap = event(Detail::RecordGap {
            count: u64::MAX,
            first_at_ms: i64::MAX,
            last_at_ms: (1 << 53) - 1,
        });
        gap.actor = Actor::Guest(Participant::new("gx"));
        assert!(gap.canonical().contains(
            "\"d\":{\"count\":\"18446744073709551615\",\"first_at_ms\":\"9223372036854775807\",\"last_at_ms\":9007199254740991}"
        ));
    }
}
