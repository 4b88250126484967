//! Reading the record back, a page at a time.

use std::path::Path;

use belfry_audit::{EventKind, Hash};
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
    pub leaf: Hash,
}

/// Newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Ask for this one to go on; `None` at the beginning of the record.
    pub before: Option<u64>,
}

pub(crate) fn read(
    path: &Path,
    before: Option<u64>,
    count_max: u32,
    kind: Option<EventKind>,
) -> Result<Page, Error> {
    let count_max = count_max.clamp(1, PAGE_ENTRIES_MAX);
    let before = before.and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
    let rows = || -> rusqlite::Result<Vec<Entry>> {
        let connection = disk::open_for_reading(path)?;
        let mut statement = connection.prepare(
            "SELECT seq, at_ms, kind, district, school, body, leaf FROM entry
             WHERE seq < ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY seq DESC LIMIT ?3",
        )?;
        let kind = kind.map(EventKind::name);
        statement.query_map(params![before, kind, count_max], entry)?.collect()
    };
    let entries = rows().map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::Retry { reason: error.to_string() }
        }
        _ => Error::Fatal { reason: error.to_string() },
    })?;
    let full = entries.len() == count_max as usize;
    let before = entries.last().map(|entry| entry.seq).filter(|seq| full && *seq > 1);
    Ok(Page { entries, before })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let op: String = row.get(2)?;
    let text: String = row.get(5)?;
    let body: Value = serde_json::from_str(&text).map_err(|source| {
        rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(source))
    })?;
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
        fields: body["d"]
            .as_object()
            .map(|fields| fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect())
            .unwrap_or_default(),
        leaf: Hash(row.get(6)?),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(_) => "(masked)".to_owned(),
        other => other.to_string(),
    }
}
