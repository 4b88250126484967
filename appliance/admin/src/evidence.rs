//! The state of the log, its whole verification, and evidence to take away.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{
    Choice, Control, Evidence, Field, Flash, Form, Section, Tone, Weight, say, say_with,
};
use belfry_evidence::{Account, Key, Level, Request, Sampling, Setting, controls};
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_ledger::{Openings, Receipt, Unverified};
use belfry_settings::DECLARED;
use futures_util::stream;
use http::{HeaderValue, header};
use tempfile::TempDir;

use crate::reader::{Reader, attention, danger, refused, shown};
use crate::when::{date, iso_day};
use crate::{Admin, store_problem};

/// Accounts that are read at once.
const ACCOUNTS_PAGE: u32 = 500;
/// A nonce is written in hex, two characters a byte.
const NONCE_CHARS_MAX: usize = 128;
/// Entries that may be picked of each population.
const SAMPLE_MAX: i64 = 1_000;
const SAMPLE_DEFAULT: i64 = 25;
/// What is read of a bundle at a time.
const CHUNK_BYTES: usize = 64 * 1024;
const DAY_MS: i64 = 86_400_000;

/// What signs evidence, and makes the pseudonyms in it.
pub struct Custody {
    key: Key,
    pseudonym_key: [u8; 32],
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody").field("key", &self.key.fingerprint()).finish_non_exhaustive()
    }
}

impl Custody {
    /// Of two secrets, one for each.
    pub fn new(signing: &[u8; 32], pseudonym_key: &[u8; 32]) -> Self {
        Self { key: Key::from_seed(signing), pseudonym_key: *pseudonym_key }
    }
}

/// What was entered for an export.
#[derive(Debug, Default)]
struct Entered {
    level: String,
    nonce: String,
    count: String,
    errors: Errors,
}

#[derive(Debug, Default)]
struct Errors {
    nonce: Option<String>,
    count: Option<String>,
}

/// An export as it was asked for.
struct Wanted {
    level: Level,
    sampling: Option<Sampling>,
}

impl Entered {
    fn read(form: &Fields) -> Result<Wanted, Self> {
        let text = |name| form.text(name).trim().to_owned();
        let (level, nonce, count) = (text("level"), text("nonce"), text("count"));
        let bytes = from_hex(&nonce);
        let picked = if count.is_empty() { Some(SAMPLE_DEFAULT) } else { count.parse().ok() };
        let picked = picked.filter(|picked| (1..=SAMPLE_MAX).contains(picked));
        let errors = Errors {
            nonce: bytes.is_none().then(|| say("evidence-nonce-wrong")),
            count: picked
                .is_none()
                .then(|| say_with("evidence-count-wrong", &[("max", SAMPLE_MAX)])),
        };
        let (Some(bytes), Some(picked)) = (bytes, picked) else {
            return Err(Self { level, nonce, count, errors });
        };
        let sampling =
            Sampling { nonce: bytes, count: usize::try_from(picked).unwrap_or_default() };
        let sampling = (!sampling.nonce.is_empty()).then_some(sampling);
        let level = match level.as_str() {
            "full" => Level::Full,
            "public" => Level::Public,
            _ => Level::Auditor,
        };
        Ok(Wanted { level, sampling })
    }

    /// Whether all names may go out is for whoever keeps the records to decide, not for an auditor.
    fn into_form(self, reader: &Reader) -> Form {
        let csrf = reader.csrf();
        let levels = [
            ("auditor", "evidence-level-auditor"),
            ("full", "evidence-level-full"),
            ("public", "evidence-level-public"),
        ];
        let offered = levels.iter().filter(|(value, _)| *value != "full" || !reader.is_auditor());
        let levels = offered.map(|(value, key)| Choice::new(*value, say(key))).collect();
        let count = Control::Number { min: 1, max: SAMPLE_MAX };
        Form::new("/admin/record/evidence", say("evidence-export"))
            .csrf(csrf)
            .download()
            .field(
                Field::new("level", say("evidence-level"), Control::Select(levels))
                    .value(self.level),
            )
            .field(
                Field::new("nonce", say("evidence-nonce"), Control::Text)
                    .value(self.nonce)
                    .help(say("evidence-nonce-help"))
                    .error(self.errors.nonce)
                    .optional()
                    .code(),
            )
            .field(
                Field::new("count", say("evidence-count"), count)
                    .value(self.count)
                    .default_is(SAMPLE_DEFAULT.to_string())
                    .error(self.errors.count)
                    .optional(),
            )
    }
}

/// `None` if it is no hex or too long.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits =
        digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= NONCE_CHARS_MAX)?;
    Some(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

pub(crate) async fn show(State(admin): State<Admin>, reader: Reader) -> Result<Response, Problem> {
    Ok(shown(&page(&admin, &reader, None, Entered::default())))
}

/// Recomputes the whole log and says what is wrong first, if anything is.
pub(crate) async fn verify(
    State(admin): State<Admin>,
    reader: Reader,
    audit: Audit,
) -> Result<Response, Problem> {
    let path = admin.ledger.path().to_owned();
    let found = blocking("verify the record", move || belfry_ledger::verify(&path, &[], || false));
    let found = found.await?;
    let (entries, sound) = (admin.ledger.health().entries, found.is_ok());
    // A log that is not sound takes no disclosure; that somebody looked is told all the same.
    audit.enqueue(Detail::RecordVerified { entries, sound });
    let flash = match found {
        Ok(verified) => {
            let values = [("entries", verified.entries), ("checkpoints", verified.checkpoints)];
            Flash { tone: Tone::Good, text: say_with("evidence-sound", &values) }
        }
        Err(Unverified::Bad(finding)) => {
            danger(say_with("evidence-unsound", &[("what", finding.to_string())]))
        }
        Err(other) => danger(say_with("evidence-unreadable", &[("why", other.to_string())])),
    };
    Ok(shown(&page(&admin, &reader, Some(flash), Entered::default())))
}

/// Writes a bundle and sends it. The export is in the record before a byte of it exists.
pub(crate) async fn export(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let wanted = match Entered::read(&form) {
        Ok(wanted) if wanted.level == Level::Full && reader.is_auditor() => {
            let route = belfry_audit::Word::new("/admin/record/evidence");
            audit.enqueue(Detail::AccessRefused { route });
            return Err(Problem::forbidden());
        }
        Ok(wanted) => wanted,
        Err(entered) => return Ok(refused(&page(&admin, &reader, Some(attention()), entered))),
    };
    let request = request(&admin, &caller, wanted).await?;
    let level = belfry_audit::Word::new(request.level.as_str());
    let size = admin.ledger.health().entries;
    let receipt = audit.append(Detail::EvidenceExporting { first: 0, size, level }).await?;
    let ledger = admin.ledger.clone();
    let custody = Arc::clone(&admin.custody);
    let written = blocking("write evidence", move || {
        // So that what is exported reaches to the entry that tells of it.
        ledger.checkpoint_blocking().map_err(|error| Problem::failed("write evidence", &error))?;
        write(receipt, request, &custody, ledger.path())
            .map_err(|error| Problem::failed("write evidence", &*error))
    });
    let (folder, bundle) = written.await??;
    let length = bundle.metadata().map_err(|error| Problem::failed("read evidence", &error))?.len();
    let name = format!("evidence-{}.zip", iso_day(now().0.div_euclid(DAY_MS)));
    let mut answer = Response::new(Body::from_stream(chunks(folder, bundle)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

/// Runs what reads or writes files.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(run).await.map_err(|error| Problem::failed(what, &error))
}

/// The bundle in a folder that goes when it is dropped.
fn write(
    receipt: Receipt,
    mut request: Request,
    custody: &Custody,
    record: &Path,
) -> Result<(TempDir, File), Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    request.vkeys = belfry_ledger::export(record, 0, Openings::All, &log)?.vkeys;
    request.pseudonym_key = custody.pseudonym_key;
    let path = folder.path().join("evidence.zip");
    belfry_evidence::write(receipt, &request, &custody.key, &log, File::create(&path)?)?;
    let bundle = File::open(&path)?;
    Ok((folder, bundle))
}

/// A file from its beginning, without holding it; `folder` goes with the last of it.
fn chunks(
    folder: TempDir,
    file: File,
) -> impl stream::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    stream::try_unfold((folder, file), |(folder, mut file)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let len = std::io::Read::read(&mut file, &mut chunk)?;
            chunk.truncate(len);
            Ok::<_, std::io::Error>((file, chunk))
        });
        let (file, chunk) = read.await.map_err(std::io::Error::other)??;
        Ok((!chunk.is_empty()).then_some((chunk, (folder, file))))
    })
}

async fn request(admin: &Admin, caller: &Caller, wanted: Wanted) -> Result<Request, Problem> {
    let settings = admin.settings.borrow().clone();
    let shown = DECLARED.iter().map(|declaration| Setting {
        key: declaration.key.to_owned(),
        value: settings.show(declaration.key).unwrap_or_default(),
        secret: declaration.flags.masked,
    });
    Ok(Request {
        district: settings.host_names().first().map_or("belfry.local", String::as_str).to_owned(),
        at_ms: now().0,
        generator: format!("belfry {}", env!("CARGO_PKG_VERSION")),
        level: wanted.level,
        pseudonym_key: [0; 32],
        vkeys: Vec::new(),
        witnesses: Vec::new(),
        accounts: accounts(admin, caller).await?,
        settings: shown.collect(),
        controls: controls(),
        sampling: wanted.sampling,
        known_gaps: vec![say("evidence-gap-registers"), say("evidence-gap-witnesses")],
    })
}

async fn accounts(admin: &Admin, caller: &Caller) -> Result<Vec<Account>, Problem> {
    let mut accounts = Vec::new();
    loop {
        let offset = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
        let found = admin.store.people(caller.school, None, offset, ACCOUNTS_PAGE).await;
        let found = found.map_err(|error| store_problem(&error))?;
        let count = found.people.len();
        accounts.extend(found.people.into_iter().map(|person| Account {
            id: person.id.0,
            name: person.name.into_inner(),
            role: person.role.as_str().to_owned(),
            school: Some(person.school.0),
            enabled: !person.disabled,
        }));
        if count < ACCOUNTS_PAGE as usize {
            return Ok(accounts);
        }
    }
}

fn page(admin: &Admin, reader: &Reader, flash: Option<Flash>, entered: Entered) -> Evidence {
    let health = admin.ledger.health();
    let mut frame = reader.below(Section::Record, say("evidence-title"));
    let trouble = health.damaged.or(health.failing).map(danger);
    frame.flash = flash.or(trouble).or(frame.flash);
    let fact = |key: &str, value: String| (say(key), value);
    Evidence {
        frame,
        facts: vec![
            fact("evidence-entries", health.entries.to_string()),
            fact("evidence-published", health.published.to_string()),
            fact("evidence-fingerprint", admin.custody.key.fingerprint()),
            fact("evidence-today", date(now())),
        ],
        verify: Form::new("/admin/record/verify", say("evidence-verify"))
            .csrf(reader.csrf())
            .weight(Weight::Plain),
        export: entered.into_form(reader),
    }
}

#[cfg(test)]
mod tests {
    use super::from_hex;

    #[test]
    fn a_nonce_is_hex_of_whole_bytes_and_has_a_limit() {
        assert_eq!(from_hex("00fF"), Some(vec![0, 255]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        assert_eq!(from_hex(&"ab".repeat(64)).map(|bytes| bytes.len()), Some(64));
        for wrong in ["0", "0g", "é0", &"ab".repeat(65)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
