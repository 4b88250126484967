//! The audit log, a page at a time. Reading it is recorded.

use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{Pager, RecordRow, Section, say, say_with};
use belfry_http::{Audit, Detail, Problem};
use belfry_ledger::Entry;
use belfry_model::Timestamp;

use crate::Admin;
use crate::reader::{Reader, shown};
use crate::when::{iso, moment};

/// Entries on one page.
const ENTRIES: u32 = 50;

pub(crate) async fn show(
    State(admin): State<Admin>,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let before = reader.query.get("before").and_then(|seq| seq.parse().ok());
    let ledger = admin.ledger.clone();
    let page = tokio::task::spawn_blocking(move || ledger.page_blocking(before, ENTRIES, None))
        .await
        .map_err(|error| Problem::failed("read the record", &error))?
        .map_err(|error| Problem::failed("read the record", &error))?;
    if let Some(first) = page.entries.last() {
        let count = page.entries.len() as u64;
        audit.append(Detail::RecordRead { from_seq: first.seq, count }).await?;
    }
    let range = page.entries.first().zip(page.entries.last());
    let text = range.map(|(from, to)| {
        say_with("pager-record", &[("from", from.seq.to_string()), ("to", to.seq.to_string())])
    });
    let pager = Pager {
        text: text.unwrap_or_default(),
        previous: before.map(|_| "/admin/record".to_owned()),
        next: page.before.map(|seq| format!("/admin/record?before={seq}")),
    };
    let rows = page.entries.into_iter().map(row).collect();
    Ok(shown(&belfry_admin_ui::Record { frame: reader.section(Section::Record), rows, pager }))
}

fn row(entry: Entry) -> RecordRow {
    let detail = entry.fields.iter().map(|(name, value)| format!("{name}={value}"));
    let at = Timestamp(entry.at_ms);
    RecordRow {
        seq: entry.seq,
        at: moment(at),
        at_iso: iso(at),
        actor: actor(&entry.actor_kind, entry.actor_id.as_deref().unwrap_or_default()),
        event: entry.op,
        refused: entry.outcome == "refused",
        detail: detail.collect::<Vec<_>>().join(" "),
    }
}

fn actor(kind: &str, id: &str) -> String {
    match kind {
        "person" => say_with("record-actor-person", &[("id", id)]),
        "guest" => say_with("record-actor-guest", &[("id", id)]),
        "console" => say("record-actor-console"),
        "appliance" => say("record-actor-appliance"),
        _ => say("record-actor-nobody"),
    }
}
