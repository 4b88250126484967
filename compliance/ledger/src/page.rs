//! Reading the record back, a page at a time.

use std::path::Path;

use belfry_audit::{EventKind, Hash, SUBJECT_BYTES, subject_word};
use rusqlite::{Row, params};
use serde_json::Value;

use crate::disk;
use crate::error::Error;

/// Entries of one page, at most.
const PAGE_ENTRIES_MAX: u32 = 500;

/// An entry as it is in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub at_ms: i64,
    /// `None` for a kind that a later release wrote.
    pub kind: Option<EventKind>,
    /// The name of the kind, as recorded.
    pub op: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// `person`, `guest`, `appliance`, `console` or `anonymous`.
    pub actor_kind: String,
    /// A person's number or a guest's identity.
    pub actor_id: Option<String>,
    pub district: i64,
    pub school: Option<i64>,
    /// The fields by name; a masked one reads `(masked)`.
    pub fields: Vec<(String, String)>,
    pub beside: Commitment,
    pub leaf: Hash,
}

/// Whether an entry commits to personal data, and what that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commitment {
    Nothing,
    /// Members by name.
    Open(Vec<(String, String)>),
    Erased,
}

/// What is looked for; all that is said has to hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Entries before this one.
    pub before: Option<u64>,
    /// Of these kinds; none: of all.
    pub kinds: Vec<EventKind>,
    pub about: Option<About>,
    /// Only what was refused.
    pub refused: bool,
    /// Milliseconds since 1970: from, and before.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

/// Whom or what an entry has to be about: whoever acted counts, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Person(i64),
    Class(i64),
    Lesson(i64),
}

impl About {
    /// Under which the index knows it.
    fn word(self, key: &[u8; 32]) -> [u8; SUBJECT_BYTES] {
        let (kind, id) = match self {
            Self::Person(id) => ("person", id),
            Self::Class(id) => ("class", id),
            Self::Lesson(id) => ("lesson", id),
        };
        subject_word(key, kind, &id.to_string())
    }
}

impl Search {
    fn conditions(&self) -> String {
        let mut all = vec!["entry.seq < ?1".to_owned()];
        if !self.kinds.is_empty() {
            // The names are constants of ours, without quotes.
            let names: Vec<_> =
                self.kinds.iter().map(|kind| format!("'{}'", kind.name())).collect();
            all.push(format!("kind IN ({})", names.join(", ")));
        }
        if self.about.is_some() {
            all.push("subject.word = ?3".to_owned());
        }
        if self.refused {
            all.push("body ->> '$.out' = 'refused'".to_owned());
        }
        all.extend(self.since_ms.map(|at| format!("at_ms >= {at}")));
        all.extend(self.until_ms.map(|at| format!("at_ms < {at}")));
        all.join(" AND ")
    }
}

/// Newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Ask for this one to go on; `None` at the beginning of the record.
    pub before: Option<u64>,
}

pub(crate) fn read(path: &Path, search: &Search, count_max: u32) -> Result<Page, Error> {
    let count_max = count_max.clamp(1, PAGE_ENTRIES_MAX);
    let before = search.before.and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
    let rows = || -> rusqlite::Result<Vec<Entry>> {
        let connection = disk::open_for_reading(path)?;
        // The index of subjects leads: a history costs what it holds, not what the record holds.
        let (from, word) = match search.about {
            None => ("entry", None),
            Some(about) => {
                let key = "SELECT subject_key FROM identity";
                let key = connection.query_row(key, [], |row| row.get(0))?;
                ("subject CROSS JOIN entry ON entry.seq = subject.seq", Some(about.word(&key)))
            }
        };
        let order = if word.is_some() { "subject.seq" } else { "entry.seq" };
        let mut statement = connection.prepare(&format!(
            "SELECT entry.seq, at_ms, kind, district, school, body, leaf,
                (SELECT block FROM opening WHERE opening.seq = entry.seq) FROM {from}
             WHERE {} ORDER BY {order} DESC LIMIT ?2",
            search.conditions()
        ))?;
        match word {
            None => statement.query_map(params![before, count_max], entry)?.collect(),
            Some(word) => statement.query_map(params![before, count_max, word], entry)?.collect(),
        }
    };
    let entries = rows().map_err(|error| unread(&error))?;
    let full = entries.len() == count_max as usize;
    let before = entries.last().map(|entry| entry.seq).filter(|seq| full && *seq > 1);
    Ok(Page { entries, before })
}

fn unread(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::Retry { reason: error.to_string() }
        }
        _ => Error::Fatal { reason: error.to_string() },
    }
}

/// The entries with an opening of a person, in order.
pub(crate) fn openings_of(path: &Path, person: i64, user_name: &str) -> Result<Vec<u64>, Error> {
    let rows = || -> rusqlite::Result<Vec<u64>> {
        let connection = disk::open_for_reading(path)?;
        let mut statement = connection.prepare(
            "SELECT seq FROM opening WHERE block ->> '$.person' = ?1
                OR (block ->> '$.person' IS NULL AND block ->> '$.user_name' = ?2) ORDER BY seq",
        )?;
        let wanted = params![person.to_string(), user_name];
        statement.query_map(wanted, |row| row.get::<_, i64>(0).map(i64::unsigned_abs))?.collect()
    };
    rows().map_err(|error| unread(&error))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let op: String = row.get(2)?;
    let text: String = row.get(5)?;
    let body = json(5, &text)?;
    let block = row.get::<_, Option<String>>(7)?.map(|block| json(7, &block)).transpose()?;
    let beside = match (body["pii"].is_string(), block) {
        (false, _) => Commitment::Nothing,
        (true, None) => Commitment::Erased,
        (true, Some(block)) => Commitment::Open(members(&block)),
    };
    let actor = &body["act"];
    Ok(Entry {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        at_ms: row.get(1)?,
        kind: EventKind::parse(&op),
        op,
        outcome: shown(&body["out"]),
        actor_kind: shown(&actor["kind"]),
        actor_id: Some(&actor["id"]).filter(|id| !id.is_null()).map(shown),
        district: row.get(3)?,
        school: row.get(4)?,
        fields: members(&body["d"]),
        beside,
        leaf: Hash(row.get(6)?),
    })
}

fn json(column: usize, text: &str) -> rusqlite::Result<Value> {
    serde_json::from_str(text).map_err(|source| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(source))
    })
}

fn members(object: &Value) -> Vec<(String, String)> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(_) => "(masked)".to_owned(),
        other => other.to_string(),
    }
}
