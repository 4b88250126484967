//! The audit log in plain words, a page at a time, searched by kind, time and whom it is about.
//! Reading it is recorded.

mod names;
mod sentence;

use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{
    Choice, Control, Field, Pager, RecordAbout, RecordRow, Section, say, say_with,
};
use belfry_http::{Audit, Detail, EventKind, Fields, Problem};
use belfry_ledger::{About, Commitment, Entry, Search};
use belfry_model::Timestamp;

use self::names::Names;
use crate::Admin;
use crate::reader::{Reader, attention, shown};
use crate::when::{day_of, iso, moment};

/// Entries on one page.
const ENTRIES: u32 = 50;
const DAY_MS: i64 = 86_400_000;

/// The kinds that can be chosen: the value in the address, and the beginnings of their names.
const KINDS: [(&str, &[&str]); 8] = [
    ("auth", &["auth"]),
    ("person", &["person"]),
    ("class", &["class"]),
    ("lesson", &["lesson"]),
    ("data", &["data", "record", "connections"]),
    ("setting", &["setting", "school"]),
    ("security", &["key", "certificate"]),
    ("appliance", &["appliance"]),
];

pub(crate) async fn show(
    State(admin): State<Admin>,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let asked = Asked::read(&reader.query);
    let (ledger, search) = (admin.ledger.clone(), asked.search.clone());
    let page = tokio::task::spawn_blocking(move || ledger.search_blocking(&search, ENTRIES))
        .await
        .map_err(|error| Problem::failed("read the record", &error))?
        .map_err(|error| Problem::failed("read the record", &error))?;
    if let Some(first) = page.entries.last() {
        let count = page.entries.len() as u64;
        audit.append(Detail::RecordRead { from_seq: first.seq, count }).await?;
    }
    let names = Names::of(&admin, &page.entries, asked.search.about).await?;
    let range = page.entries.first().zip(page.entries.last());
    let text = range.map(|(from, to)| {
        say_with("pager-record", &[("from", from.seq.to_string()), ("to", to.seq.to_string())])
    });
    let pager = Pager {
        text: text.unwrap_or_default(),
        previous: asked.search.before.map(|_| asked.address(None)),
        next: page.before.map(|seq| asked.address(Some(seq))),
    };
    let mut frame = reader.section(Section::Record);
    frame.flash = asked.is_wrong().then(attention).or(frame.flash);
    Ok(shown(&belfry_admin_ui::Record {
        frame,
        about: asked.search.about.map(|about| RecordAbout {
            value: value(about),
            label: say_with("record-about", &[("name", names.of_subject(about))]),
        }),
        filtered: asked.is_filtered(),
        search: asked.fields(),
        rows: page.entries.iter().map(|entry| row(entry, &names)).collect(),
        pager,
    }))
}

/// The address of all that the log says about somebody or something.
pub(crate) fn about(about: About) -> String {
    format!("/admin/record?about={}", value(about))
}

fn value(about: About) -> String {
    match about {
        About::Person(id) => format!("p{id}"),
        About::Class(id) => format!("c{id}"),
        About::Lesson(id) => format!("l{id}"),
    }
}

fn parse(text: &str) -> Option<About> {
    let (kind, id) = text.split_at_checked(1)?;
    let id = id.parse().ok()?;
    match kind {
        "p" => Some(About::Person(id)),
        "c" => Some(About::Class(id)),
        "l" => Some(About::Lesson(id)),
        _ => None,
    }
}

/// What is looked for, and how it was entered.
struct Asked {
    search: Search,
    kind: String,
    since: String,
    until: String,
}

impl Asked {
    fn read(query: &Fields) -> Self {
        let kind = query.text("kind");
        let beginnings = KINDS.iter().find(|(value, _)| *value == kind).map(|(_, names)| *names);
        let belongs = |of: &EventKind| {
            let family = of.name().split('.').next().unwrap_or_default();
            beginnings.is_some_and(|names| names.contains(&family))
        };
        let (since, until) = (query.text("since"), query.text("until"));
        let search = Search {
            before: query.get("before").and_then(|seq| seq.parse().ok()),
            kinds: EventKind::ALL.iter().copied().filter(belongs).collect(),
            about: query.get("about").and_then(parse),
            refused: query.text("refused") == "on",
            since_ms: day_of(since).map(|day| day * DAY_MS),
            until_ms: day_of(until).map(|day| (day + 1) * DAY_MS),
        };
        let kind = if beginnings.is_some() { kind } else { "" };
        Self { search, kind: kind.to_owned(), since: since.to_owned(), until: until.to_owned() }
    }

    fn is_filtered(&self) -> bool {
        let Search { kinds, about, refused, since_ms, until_ms, .. } = &self.search;
        !kinds.is_empty() || about.is_some() || *refused || since_ms.or(*until_ms).is_some()
    }

    fn is_wrong(&self) -> bool {
        [&self.since, &self.until].into_iter().any(|day| date_error(day).is_some())
    }

    fn fields(&self) -> Vec<Field> {
        let kinds = [
            ("", "record-kind-all"),
            ("auth", "record-kind-auth"),
            ("person", "record-kind-person"),
            ("class", "record-kind-class"),
            ("lesson", "record-kind-lesson"),
            ("data", "record-kind-data"),
            ("setting", "record-kind-setting"),
            ("security", "record-kind-security"),
            ("appliance", "record-kind-appliance"),
        ];
        let kinds = kinds.map(|(value, key)| Choice::new(value, say(key))).to_vec();
        let day = |name: &str, label: String, value: &str| {
            Field::new(name, label, Control::Date).value(value).error(date_error(value)).optional()
        };
        let refused = if self.search.refused { "on" } else { "" };
        vec![
            Field::new("kind", say("record-kind"), Control::Select(kinds)).value(&self.kind),
            day("since", say("record-since"), &self.since),
            day("until", say("record-until"), &self.until),
            Field::new("refused", say("record-only-refused"), Control::Check)
                .value(refused)
                .optional(),
        ]
    }

    /// The same search, from an entry on.
    fn address(&self, before: Option<u64>) -> String {
        let day = |name, day: Option<i64>| {
            day.map(|at| format!("{name}={}", crate::when::iso_day(at.div_euclid(DAY_MS))))
        };
        let parts = [
            (!self.kind.is_empty()).then(|| format!("kind={}", self.kind)),
            self.search.about.map(|about| format!("about={}", value(about))),
            self.search.refused.then(|| "refused=on".to_owned()),
            day("since", self.search.since_ms),
            day("until", self.search.until_ms.map(|at| at - 1)),
            before.map(|seq| format!("before={seq}")),
        ];
        let query: Vec<_> = parts.into_iter().flatten().collect();
        format!("/admin/record?{}", query.join("&"))
    }
}

fn date_error(text: &str) -> Option<String> {
    (!text.is_empty() && day_of(text).is_none()).then(|| say("record-date-wrong"))
}

/// What stands beside an entry, in words.
fn beside(beside: &Commitment) -> Option<String> {
    let members = match beside {
        Commitment::Nothing => return None,
        Commitment::Erased => return Some(say("record-beside-erased")),
        Commitment::Open(members) => members,
    };
    let of = |wanted: &str| {
        let found = members.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let username = of("user_name")?;
    Some(match of("name") {
        Some(name) => say_with("record-beside-name", &[("name", name), ("username", username)]),
        None => say_with("record-beside-typed", &[("username", username)]),
    })
}

fn row(entry: &Entry, names: &Names) -> RecordRow {
    let at = Timestamp(entry.at_ms);
    let person = entry.actor_id.as_deref().and_then(|id| id.parse().ok());
    let person = person.filter(|_| entry.actor_kind == "person");
    let actor = match (entry.actor_kind.as_str(), person) {
        (_, Some(id)) => names.person(id),
        ("guest", _) => say("record-actor-guest"),
        ("console", _) => say("record-actor-console"),
        ("appliance", _) => say("record-actor-appliance"),
        _ => say("record-actor-nobody"),
    };
    RecordRow {
        seq: entry.seq,
        at: moment(at),
        at_iso: iso(at),
        actor,
        actor_href: person.map(|id| about(About::Person(id))),
        text: sentence::of(entry, names),
        beside: beside(&entry.beside),
        refused: entry.outcome == "refused",
    }
}
