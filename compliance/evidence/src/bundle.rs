//! Puts a bundle together.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};
use std::path::Path;

use belfry_audit::EventKind;
use belfry_ledger::Receipt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::access::{self, Tables};
use crate::archive::{Content, Files};
use crate::level::Pseudonyms;
use crate::record::{FILES, OPENINGS, Record, is_file_name};
use crate::request::Request;
use crate::sample::pick;
use crate::sign::{Key, hex};
use crate::tree::Tree;
use crate::{Error, Level, pages};

/// The version of the bundle's form.
const VERSION: u64 = 1;
/// What the verifiers take, at most.
const SAMPLE_MAX: usize = 10_000;
const NONCE_BYTES_MAX: usize = 64;
const CONTROLS_MAX: usize = 256;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub bytes: u64,
    pub files: usize,
    pub first: u64,
    pub size: u64,
    /// In hex.
    pub root: String,
    /// Of the key that signed, to be compared with the printed page.
    pub fingerprint: String,
}

/// A control's entries.
pub(crate) struct Population {
    pub(crate) indices: Vec<u64>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) sample: Vec<u64>,
}

/// What the pages tell of.
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request,
    pub(crate) record: &'a Record,
    pub(crate) fingerprint: String,
    pub(crate) export_index: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) pruned: u64,
    pub(crate) times: Option<(i64, i64)>,
    pub(crate) populations: Vec<Population>,
    pub(crate) gaps: Vec<String>,
}

/// Writes a bundle of an exported log folder. The receipt is that of the entry that tells of this export: recorded, on the
/// disk, before the first byte goes out; one receipt, one export.
#[allow(clippy::needless_pass_by_value, reason = "one receipt pays for one export")]
pub fn write<W: Write + Seek>(
    receipt: Receipt,
    request: &Request,
    key: &Key,
    log: &Path,
    out: W,
) -> Result<Summary, Error> {
    if receipt.kind() != EventKind::EvidenceExporting {
        return Err(Error::Receipt(receipt.kind()));
    }
    check(request)?;
    let record = Record::open(log)?;
    let staging = tempfile::tempdir()?;
    let mut files = Files::default();
    let facts = read(&record, request, key, &receipt, staging.path())?;
    copy_log(&mut files, &record, request, staging.path())?;
    for name in access::NAMES {
        files.add(&format!("access/{name}"), Content::OnDisk(staging.path().join(name)));
    }
    files.add("access/accounts.csv", Content::Memory(access::accounts(request)?));
    files.add_text("system/config-snapshot.json", settings(request)?);
    files.add_text("TRUST/allowed_signers", key.allowed_signers(&request.district));
    files.add_text("TRUST/vkeys", lines(&request.vkeys));
    files.add_text("TRUST/witnesses", lines(&request.witnesses));
    populations(&mut files, &facts)?;
    proofs(&mut files, &facts)?;
    files.add_text("README.html", pages::readme(&facts));
    files.add_text("report/index.html", pages::report(&facts));
    let manifest = manifest(&facts, &files.sums()?, &receipt)?;
    files.add_text("manifest.json", manifest);
    let sums = files.sums()?;
    let list =
        sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect::<Vec<_>>().concat();
    files.add_text("SHA256SUMS.sig", key.sign(list.as_bytes()));
    files.add_text("SHA256SUMS", list);
    let bytes = files.pack(&sums, out)?;
    Ok(Summary {
        bytes,
        files: sums.len() + 2,
        first: record.first,
        size: record.size,
        root: record.root.to_string(),
        fingerprint: key.fingerprint(),
    })
}

fn check(request: &Request) -> Result<(), Error> {
    let ids: BTreeSet<_> =
        request.controls.iter().map(|control| control.id.to_ascii_lowercase()).collect();
    if request.controls.len() > CONTROLS_MAX {
        return Err(Error::TooMany { what: "controls", max: CONTROLS_MAX });
    }
    if let Some(control) = request.controls.iter().find(|control| !is_file_name(&control.id)) {
        return Err(Error::Name(control.id.clone()));
    }
    if ids.len() < request.controls.len() {
        return Err(Error::Name("a control's id that another has too".to_owned()));
    }
    if !is_file_name(&request.district) {
        return Err(Error::Name(request.district.clone()));
    }
    match &request.sampling {
        Some(sampling) if sampling.count > SAMPLE_MAX => {
            Err(Error::TooMany { what: "samples", max: SAMPLE_MAX })
        }
        Some(sampling) if sampling.nonce.len() > NONCE_BYTES_MAX => {
            Err(Error::TooMany { what: "bytes of nonce", max: NONCE_BYTES_MAX })
        }
        _ => Ok(()),
    }
}

/// The first pass over the entries: counts, tables, populations, and whether they give the signed root.
fn read<'a>(
    record: &'a Record,
    request: &'a Request,
    key: &Key,
    receipt: &Receipt,
    staging: &Path,
) -> Result<Facts<'a>, Error> {
    let new = || Population { indices: Vec::new(), counts: BTreeMap::new(), sample: Vec::new() };
    let mut facts = Facts {
        request,
        record,
        fingerprint: key.fingerprint(),
        export_index: receipt.seq() - 1,
        counts: BTreeMap::new(),
        pruned: 0,
        times: None,
        populations: request.controls.iter().map(|_| new()).collect(),
        gaps: request.known_gaps.clone(),
    };
    let mut tree = resume(record)?;
    let mut tables = Tables::create(request.level, staging)?;
    record.entries(|index, leaf, entry| {
        tree.push(leaf);
        let Some(entry) = entry else {
            facts.pruned += 1;
            return Ok(());
        };
        tables.entry(index, &entry)?;
        let (from, to) = facts.times.unwrap_or((entry.at, entry.at));
        facts.times = Some((from.min(entry.at), to.max(entry.at)));
        for (control, population) in request.controls.iter().zip(&mut facts.populations) {
            if control.matches(&entry.op) {
                population.indices.push(index);
                *population.counts.entry(entry.op.clone()).or_default() += 1;
            }
        }
        *facts.counts.entry(entry.op).or_default() += 1;
        Ok(())
    })?;
    tables.finish()?;
    if tree.root() != record.root {
        return Err(Error::Root);
    }
    if let Some(sampling) = &request.sampling {
        for (control, population) in request.controls.iter().zip(&mut facts.populations) {
            let picks = pick(
                &sampling.nonce,
                &record.root,
                &control.id,
                population.indices.len() as u64,
                sampling.count as u64,
            );
            population.sample =
                picks.into_iter().map(|at| population.indices[at as usize]).collect();
        }
    }
    facts.gaps.extend(gaps(&facts));
    Ok(facts)
}

fn resume(record: &Record) -> Result<Tree, Error> {
    Tree::resume(record.first, &record.frontier)
        .ok_or_else(|| Error::log("prefix.json", "its hashes do not fit the place that it names"))
}

/// What follows from the export itself.
fn gaps(facts: &Facts<'_>) -> Vec<String> {
    let mut gaps = Vec::new();
    if facts.record.first > 0 {
        gaps.push(format!(
            "Entries before {} are not in this bundle; their hashes are.",
            facts.record.first
        ));
    }
    if facts.pruned > 0 {
        let says =
            "bodies were removed under the retention rules; each removal is an entry of the log.";
        gaps.push(format!("{} {says} Populations cannot tell what they were.", facts.pruned));
    }
    gaps.push(match facts.request.level {
        Level::Full => "Openings that were erased are not here; their entries are.".to_owned(),
        Level::Auditor => {
            "Pseudonyms in log/pseudonyms.jsonl are the district's word: without names they cannot be held against the \
             commitments in the log."
                .to_owned()
        }
        Level::Public => "Who did what to whom is left out; that it happened, and when, is in the log.".to_owned(),
    });
    gaps.push(
        "A log proves what was written to it and when it was sealed. That everything was written is shown by other tests, \
         and by comparing with records of others."
            .to_owned(),
    );
    gaps
}

fn copy_log(
    files: &mut Files,
    record: &Record,
    request: &Request,
    staging: &Path,
) -> Result<(), Error> {
    let leaves = "leaves.bin";
    for name in FILES.into_iter().chain(record.path(leaves).is_file().then_some(leaves)) {
        files.add(&format!("log/{name}"), Content::OnDisk(record.path(name)));
    }
    for name in record.witnesses()? {
        files.add(
            &format!("log/witness/{name}"),
            Content::OnDisk(record.path("witness").join(&name)),
        );
    }
    match request.level {
        Level::Full => files.add("log/openings.jsonl", Content::OnDisk(record.path(OPENINGS))),
        Level::Auditor => {
            files.add_text("log/openings.jsonl", "");
            let path = staging.join("pseudonyms.jsonl");
            pseudonyms(record, request, &path)?;
            files.add("log/pseudonyms.jsonl", Content::OnDisk(path));
        }
        Level::Public => files.add_text("log/openings.jsonl", ""),
    }
    Ok(())
}

fn pseudonyms(record: &Record, request: &Request, path: &Path) -> Result<(), Error> {
    let pseudonyms = Pseudonyms(&request.pseudonym_key);
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    record.lines(OPENINGS, |line| {
        let opening: Value = serde_json::from_str(line)?;
        let (Some(index), Some(block)) = (opening["index"].as_u64(), opening["block"].as_object())
        else {
            return Err(Error::log(OPENINGS, "a line is no opening"));
        };
        serde_json::to_writer(
            &mut out,
            &json!({"block": pseudonyms.block(block), "index": index}),
        )?;
        Ok(out.write_all(b"\n")?)
    })?;
    Ok(out.flush()?)
}

fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn settings(request: &Request) -> Result<String, Error> {
    let pseudonyms = Pseudonyms(&request.pseudonym_key);
    let shown: BTreeMap<_, _> = request
        .settings
        .iter()
        .map(|setting| {
            let value = if setting.secret {
                json!({"keyed_hash": pseudonyms.of_secret(&setting.value)})
            } else {
                json!({"value": setting.value})
            };
            (&setting.key, value)
        })
        .collect();
    Ok(serde_json::to_string_pretty(&shown)? + "\n")
}

fn populations(files: &mut Files, facts: &Facts<'_>) -> Result<(), Error> {
    for (control, population) in facts.request.controls.iter().zip(&facts.populations) {
        let file = json!({
            "control": control.id,
            "counts": population.counts,
            "filter": {"ops": control.ops},
            "first": facts.record.first,
            "indices": population.indices,
            "size": facts.record.size,
            "title": control.title,
        });
        files.add_text(
            &format!("population/{}.json", control.id),
            serde_json::to_string(&file)? + "\n",
        );
    }
    Ok(())
}

/// The second pass, with the proofs of the sampled entries.
fn proofs(files: &mut Files, facts: &Facts<'_>) -> Result<(), Error> {
    let sampled: BTreeSet<u64> =
        facts.populations.iter().flat_map(|population| &population.sample).copied().collect();
    if sampled.is_empty() {
        return Ok(());
    }
    let record = facts.record;
    let mut tree = resume(record)?;
    for index in &sampled {
        tree.want(*index, record.size);
    }
    record.entries(|_, leaf, _| {
        tree.push(leaf);
        Ok(())
    })?;
    for index in sampled {
        let proof = tree.proof(index, &record.checkpoint).ok_or(Error::Root)?;
        files.add_text(&format!("log/proofs/{index}.tlog-proof"), proof);
    }
    Ok(())
}

fn manifest(
    facts: &Facts<'_>,
    sums: &BTreeMap<String, String>,
    receipt: &Receipt,
) -> Result<String, Error> {
    let (request, record) = (facts.request, facts.record);
    let listed: Vec<_> = sums
        .iter()
        .map(|(path, sum)| json!({"media_type": media_type(path), "path": path, "sha256": sum}))
        .collect();
    let id = Sha256::digest(serde_json::to_vec(&listed)?);
    let manifest = json!({
        "bundle": hex(&id[..16]),
        "counts": facts.counts,
        "created_at": access::utc(request.at_ms),
        "district": request.district,
        "export": {"index": facts.export_index, "leaf": receipt.hash().to_string()},
        "files": listed,
        "format": "belfry-evidence",
        "generator": request.generator,
        "known_gaps": facts.gaps,
        "level": request.level.as_str(),
        "log": {"first": record.first, "origin": record.origin, "root": record.root.to_string(), "size": record.size},
        "sampling": request.sampling.as_ref().map(|sampling| json!({"count": sampling.count, "nonce": hex(&sampling.nonce)})),
        "version": VERSION,
    });
    Ok(serde_json::to_string_pretty(&manifest)? + "\n")
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("csv") => "text/csv; charset=utf-8",
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonl",
        Some("bin") => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}
