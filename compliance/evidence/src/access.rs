//! Tables: accounts and roles, sign-in, what administrators did. A cell can never be a formula.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::Value;

use crate::level::{COUNT_SHOWN_MIN, Pseudonyms};
use crate::record::Entry;
use crate::request::{Account, Request};
use crate::{Error, Level};

const EVENT_HEAD: [&str; 8] =
    ["index", "time_utc", "event", "outcome", "actor_kind", "actor_id", "school", "fields"];
/// What administrators do, by the beginnings of events' names.
const ADMIN: [&str; 8] =
    ["person.", "class.", "school.", "setting.", "key.", "certificate.", "retention.", "evidence."];
const SIGN_IN: [&str; 1] = ["auth."];

/// Two tables of events while the log is read.
pub(crate) struct Tables {
    level: Level,
    tables: [Table; 2],
}

struct Table {
    begins: &'static [&'static str],
    out: csv::Writer<File>,
    counts: BTreeMap<String, u64>,
}

impl Tables {
    /// Makes `sign-ins.csv` and `admin-actions.csv` in a folder.
    pub(crate) fn create(level: Level, folder: &Path) -> Result<Self, Error> {
        let table = |name: &str, begins| -> Result<_, Error> {
            let mut out = csv::Writer::from_path(folder.join(name))?;
            match level {
                Level::Public => out.write_record(["event", "count"])?,
                Level::Full | Level::Auditor => out.write_record(EVENT_HEAD)?,
            }
            Ok(Table { begins, out, counts: BTreeMap::new() })
        };
        Ok(Self { level, tables: [table(NAMES[0], &SIGN_IN)?, table(NAMES[1], &ADMIN)?] })
    }

    pub(crate) fn entry(&mut self, index: u64, entry: &Entry) -> Result<(), Error> {
        for table in &mut self.tables {
            if !table.begins.iter().any(|begin| entry.op.starts_with(begin)) {
                continue;
            }
            if self.level == Level::Public {
                *table.counts.entry(entry.op.clone()).or_default() += 1;
            } else {
                table.out.write_record(row(index, entry)?.iter().map(|cell| safe(cell)))?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        for mut table in self.tables {
            for (op, count) in &table.counts {
                table.out.write_record([safe(op), shown(*count)])?;
            }
            table.out.flush()?;
        }
        Ok(())
    }
}

/// The tables' files.
pub(crate) const NAMES: [&str; 2] = ["sign-ins.csv", "admin-actions.csv"];

fn row(index: u64, entry: &Entry) -> Result<[String; 8], Error> {
    let actor = match &entry.act.id {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok([
        index.to_string(),
        utc(entry.at),
        entry.op.clone(),
        entry.out.clone(),
        entry.act.kind.clone(),
        actor,
        entry.sch.map_or_else(String::new, |school| school.to_string()),
        serde_json::to_string(&entry.d)?,
    ])
}

/// The table of accounts; a public one has counts by role only.
pub(crate) fn accounts(request: &Request) -> Result<Vec<u8>, Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    if request.level == Level::Public {
        out.write_record(["role", "accounts"])?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for account in &request.accounts {
            *counts.entry(&account.role).or_default() += 1;
        }
        for (role, count) in counts {
            out.write_record([safe(role), shown(count)])?;
        }
    } else {
        let pseudonyms = Pseudonyms(&request.pseudonym_key);
        out.write_record(["id", "name", "role", "school", "state"])?;
        let mut sorted: Vec<&Account> = request.accounts.iter().collect();
        sorted.sort_by_key(|account| account.id);
        for account in sorted {
            let name = if request.level == Level::Full {
                account.name.clone()
            } else {
                pseudonyms.of(&account.name)
            };
            let school = account.school.map_or_else(String::new, |school| school.to_string());
            let state = if account.enabled { "enabled" } else { "disabled" };
            out.write_record([
                account.id.to_string(),
                safe(&name),
                safe(&account.role),
                school,
                state.to_owned(),
            ])?;
        }
    }
    out.into_inner().map_err(|error| Error::Io(error.into_error()))
}

/// Small counts may point to single people.
fn shown(count: u64) -> String {
    if count < COUNT_SHOWN_MIN { format!("under {COUNT_SHOWN_MIN}") } else { count.to_string() }
}

/// A spreadsheet takes a cell that begins so for a formula; an apostrophe keeps it a text.
fn safe(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// RFC 3339, from milliseconds since 1970, by the calendar of the Gregorian 400 years.
pub(crate) fn utc(at_ms: i64) -> String {
    let (days, ms) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000));
    // Days since 1 March of the year 0, where leap days are at the ends of years.
    let day = i128::from(days) + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, date) = (
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
        of_year - (153 * shifted + 2) / 5 + 1,
    );
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::{safe, utc};

    #[test]
    fn a_cell_is_never_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(safe(formula).starts_with('\''), "{formula}");
        }
        assert_eq!(safe("a=1"), "a=1");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (at_ms, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_392_000_123, "2026-11-23T00:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(at_ms), shown);
        }
    }
}
