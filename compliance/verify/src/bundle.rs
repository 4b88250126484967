//! An evidence bundle: the list of its files, the signature on the list, the log in it, and what is derived from the log.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::hash::{Hash, hex, unhex, unhex_any};
use crate::limits::{BUNDLE_VERSION, NONCE_BYTES_MAX, NOTE_BYTES_MAX, PROOFS_MAX, SAMPLE_MAX};
use crate::log::{self, Checked, Watch};
use crate::note::Vkey;
use crate::options::Options;
use crate::population;
use crate::proof::Proof;
use crate::report::{Code, Finding, Report};
use crate::source::Source;
use crate::sshsig::{allowed_signers, signer};
use crate::tree::included;

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sig";
const SIGNERS: &str = "TRUST/allowed_signers";
const VKEYS: &str = "TRUST/vkeys";
const WITNESSES: &str = "TRUST/witnesses";
const PROOFS: &str = "log/proofs/";
const PROOF_END: &str = ".tlog-proof";

/// What the verifier needs of the manifest.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<Listed>,
    known_gaps: Vec<String>,
    log: LogRange,
    sampling: Option<Sampling>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
}

#[derive(Deserialize)]
struct LogRange {
    first: u64,
    size: u64,
    root: String,
}

/// The sample that the bundle was made for.
#[derive(Deserialize)]
struct Sampling {
    nonce: String,
    count: usize,
}

/// The two members that tell a bundle of any version.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u64,
}

/// Whether these files are a bundle, not a bare log.
pub(crate) fn is_bundle(source: &Source) -> bool {
    source.has(MANIFEST) || source.has(SUMS) || source.names().any(|name| name.starts_with("log/"))
}

pub(crate) fn check(source: &Source, options: &Options, report: &mut Report) {
    let Some(manifest) = report.keep(manifest(source)) else { return };
    let sums = sums(source, options, report);
    report.keep(sums);
    report.keep(listed(source, &manifest));
    let mut watch = Watch::default();
    let checked = log(source, options, &mut watch, report);
    if let Some(checked) = report.keep(checked) {
        let derived = derived(source, &manifest, &checked, &watch, options, report);
        report.keep(derived);
    }
    report.notes.extend(manifest.known_gaps.iter().map(|gap| format!("known gap: {gap}")));
}

/// The version comes before everything else: a later one may be different in all the rest.
fn manifest(source: &Source) -> Result<Manifest, Finding> {
    let Version { format, version } = source.json(MANIFEST)?;
    if format != "belfry-evidence" || version != BUNDLE_VERSION {
        let says = format!(
            "it is a {} of version {version}, which this verifier does not know; use a newer one",
            format.escape_default()
        );
        return Err(Finding::new(Code::UnknownVersion, MANIFEST, says));
    }
    source.json(MANIFEST)
}

/// The signature on the list, and every file against it.
fn sums(source: &Source, options: &Options, report: &mut Report) -> Result<(), Finding> {
    let list = source.text(SUMS)?;
    let armour = source.read(SIGNATURE, NOTE_BYTES_MAX as u64)?;
    let signers = allowed_signers(&source.text(SIGNERS)?)
        .ok_or_else(|| Finding::tampered(SIGNERS, "it is not in its form"))?;
    let key = signer(&String::from_utf8_lossy(&armour), list.as_bytes()).ok_or_else(|| {
        Finding::tampered(SIGNATURE, "the signature on the list of files is wrong")
    })?;
    if !signers.contains(&key) {
        return Err(Finding::tampered(
            SIGNATURE,
            "it was made with a key that TRUST/allowed_signers does not name",
        ));
    }
    if !options.roots.contains(&key.fingerprint()) {
        let says = if options.roots.is_empty() {
            format!(
                "it was signed with {}; compare this with the printed page, and give it with --root",
                key.fingerprint()
            )
        } else {
            format!(
                "it was signed with {}, which is not the root that was given",
                key.fingerprint()
            )
        };
        report.findings.push(Finding::new(Code::Untrusted, SIGNATURE, says));
    }
    let sums = read_sums(&list)
        .ok_or_else(|| Finding::tampered(SUMS, "it is not a sorted list of SHA-256 sums"))?;
    let unlisted = |name: &&str| !sums.contains_key(*name) && *name != SUMS && *name != SIGNATURE;
    for name in source.names().filter(unlisted) {
        report.findings.push(Finding::tampered(name, "it is not in the signed list of files"));
    }
    for (name, sum) in &sums {
        match source.sha256(name) {
            Ok(found) if found == *sum => report.counts.files += 1,
            Ok(_) => {
                report.findings.push(Finding::tampered(name, "it is not the file that was signed"));
            }
            Err(finding) => report.findings.push(finding),
        }
    }
    Ok(())
}

/// The form of `sha256sum`: hex, two spaces, the name.
fn read_sums(list: &str) -> Option<BTreeMap<String, Hash>> {
    let mut sums: BTreeMap<String, Hash> = BTreeMap::new();
    for line in list.strip_suffix('\n')?.split('\n') {
        let (sum, name) = line.split_once("  ")?;
        let name = crate::names::check_name(name.as_bytes()).ok()?;
        if sums.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        sums.insert(name, unhex(sum)?);
    }
    Some(sums)
}

/// Every file that the manifest tells of is there.
fn listed(source: &Source, manifest: &Manifest) -> Result<(), Finding> {
    match manifest.files.iter().find(|file| !source.has(&file.path)) {
        None => Ok(()),
        Some(file) => {
            Err(Finding::incomplete(&file.path, "the manifest names it, but it is missing"))
        }
    }
}

fn log(
    source: &Source,
    options: &Options,
    watch: &mut Watch,
    report: &mut Report,
) -> Result<Checked, Finding> {
    watch.witnesses = keys(source, WITNESSES, true)?;
    watch.populations = population::read_all(source)?;
    for index in proofs(source)? {
        watch.leaves.insert(index, Hash::default());
    }
    let checked = log::check(source, "log/", options, watch, report)?;
    let named = keys(source, VKEYS, false)?;
    if !checked.epochs.keys().eq(&named) {
        return Err(Finding::tampered(VKEYS, "its keys are not those of the log's epochs"));
    }
    if !options.vkeys.is_empty() && !options.vkeys.contains(&checked.epochs.newest().key) {
        let says = "the log is signed with another key than the one that was given";
        report.findings.push(Finding::new(Code::Untrusted, VKEYS, says));
    }
    Ok(checked)
}

fn keys(source: &Source, file: &str, witness: bool) -> Result<Vec<Vkey>, Finding> {
    let text = source.text(file)?;
    let parse = |line| Vkey::parse(line).filter(|key| key.is_witness() == witness);
    text.lines()
        .map(parse)
        .collect::<Option<_>>()
        .ok_or_else(|| Finding::tampered(file, "a key in it is not in its form"))
}

/// The indices that there are proofs of.
fn proofs(source: &Source) -> Result<BTreeSet<u64>, Finding> {
    let mut indices = BTreeSet::new();
    for file in source.names().filter(|name| name.starts_with(PROOFS)) {
        let index =
            file[PROOFS.len()..].strip_suffix(PROOF_END).and_then(|index| index.parse().ok());
        let index: u64 =
            index.ok_or_else(|| Finding::tampered(file, "its name is not that of a proof"))?;
        if *file != proof_file(index) || indices.len() == PROOFS_MAX {
            return Err(Finding::tampered(
                file,
                format!("its name is not that of a proof, or there are more than {PROOFS_MAX}"),
            ));
        }
        indices.insert(index);
    }
    Ok(indices)
}

fn proof_file(index: u64) -> String {
    format!("{PROOFS}{index}{PROOF_END}")
}

/// What follows from the log: the manifest's range, populations, proofs, samples.
fn derived(
    source: &Source,
    manifest: &Manifest,
    checked: &Checked,
    watch: &Watch,
    options: &Options,
    report: &mut Report,
) -> Result<(), Finding> {
    let range = &manifest.log;
    if (range.first, range.size, &range.root) != (report.first, checked.size, &hex(&checked.root)) {
        return Err(Finding::tampered(
            MANIFEST,
            "it tells of another range or root than the log's",
        ));
    }
    for (&index, leaf) in &watch.leaves {
        proof(source, index, leaf, checked)?;
        report.counts.proofs += 1;
    }
    for population in &watch.populations {
        if report.keep(population.judge(report.first, checked.size)).is_some() {
            report.counts.populations += 1;
        }
    }
    if let Some(sampling) = &manifest.sampling {
        let nonce = unhex_any(&sampling.nonce)
            .filter(|nonce| nonce.len() <= NONCE_BYTES_MAX && sampling.count <= SAMPLE_MAX);
        let nonce =
            nonce.ok_or_else(|| Finding::tampered(MANIFEST, "its sampling is not in its form"))?;
        for population in &watch.populations {
            let sample = population.sample(&nonce, &checked.root, sampling.count);
            if let Some(index) =
                sample.indices.iter().find(|index| !watch.leaves.contains_key(index))
            {
                return Err(Finding::incomplete(
                    &proof_file(*index),
                    "the sample picks this entry, but its proof is missing",
                ));
            }
        }
    }
    if let Some((nonce, count)) = &options.sample {
        report.samples = watch
            .populations
            .iter()
            .map(|population| population.sample(nonce, &checked.root, *count))
            .collect();
    }
    Ok(())
}

/// One proof, for the leaf that was recomputed from the entry.
fn proof(source: &Source, index: u64, leaf: &Hash, checked: &Checked) -> Result<(), Finding> {
    let file = proof_file(index);
    let proof = Proof::parse(&source.read(&file, NOTE_BYTES_MAX as u64)?).ok_or_else(|| {
        Finding::tampered(&file, "it is not in the form of c2sp.org/tlog-proof@v1")
    })?;
    let fits = proof.index == index
        && proof.checkpoint == checked.newest
        && included(index, checked.size, leaf, &proof.path, &checked.root);
    if fits {
        Ok(())
    } else {
        Err(Finding::tampered(&file, "it does not prove its entry in the newest checkpoint")
            .at(index))
    }
}
