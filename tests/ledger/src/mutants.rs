//! Is the suite worth something? `belfry-verify` is built anew with one mistake at a time, and has to judge what was
//! attacked. A mistake that changes no verdict would be a hole in the attacks.
//!
//! The source is copied with the root's manifest, so that the dependencies are those of the lock; nothing of the clone
//! is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use belfry_audit::{Frontier, Hash, Signer, chain_hash, leaf_hash};
use belfry_ledger::{Openings, export};
use belfry_verify::{Code, Options, Vkey};
use serde_json::{Value, json};

use crate::record::Record;

const ENTRIES: i64 = 120;

/// What the exported log is attacked with, as folders of it.
type Attack = (&'static str, fn(&Log) -> Result<()>);

/// A mistake: in a file, words, and what stands there instead.
struct Mutant {
    name: &'static str,
    file: &'static str,
    words: &'static [(&'static str, &'static str)],
    /// Also in the plain form.
    plain: bool,
}

const MUTANTS: [Mutant; 9] = [
    Mutant {
        name: "it trusts the stored leaves",
        file: "log.rs",
        words: &[
            ("let leaf = self.entry(index, line)?;", "let mut leaf = self.entry(index, line)?;"),
            ("stored.compare(index, &leaf);", "leaf = stored.take(leaf);"),
            (
                "    fn compare(&mut self, index: u64, leaf: &Hash) {",
                "    fn take(&mut self, leaf: Hash) -> Hash {\n        let mut stored = Hash::default();\n        if self.input.read_exact(&mut stored).is_ok() { stored } else { leaf }\n    }\n\n    #[allow(dead_code)]\n    fn compare(&mut self, index: u64, leaf: &Hash) {",
            ),
        ],
        plain: true,
    },
    Mutant {
        name: "it skips the chain",
        file: "log.rs",
        words: &[("if past.chain != self.chain {", "if false {")],
        plain: true,
    },
    Mutant {
        name: "it skips the signatures",
        file: "note.rs",
        words: &[(
            ".is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())",
            ".is_ok_and(|signature| { let _ = (message, signature, &self.key); true })",
        )],
        plain: true,
    },
    Mutant {
        name: "it skips the checkpoints from outside",
        file: "log.rs",
        words: &[("if outside.checkpoint.root == root {", "if true {")],
        plain: true,
    },
    Mutant {
        name: "it does not mind that a checkpoint from outside has seen more",
        file: "log.rs",
        words: &[("filter(|lost| *lost > 0)?;", "filter(|lost| *lost == u64::MAX)?;")],
        plain: false,
    },
    Mutant {
        name: "it ignores unknown members of an opening",
        file: "side.rs",
        words: &[("(others == 0).then_some", "(others < 9).then_some")],
        plain: false,
    },
    Mutant {
        name: "it skips the commitments",
        file: "log.rs",
        words: &[(
            "if opening.commitment == pii =>",
            "if opening.commitment.len() == pii.len() =>",
        )],
        plain: false,
    },
    Mutant {
        name: "it does not mind entries after the end",
        file: "log.rs",
        words: &[("if lines.next()?.is_some() {", "if false {")],
        plain: false,
    },
    Mutant {
        name: "it does not mind removed entries",
        file: "log.rs",
        words: &[(
            "if let Some(Unexplained { first, count }) = self.unexplained {",
            "if let Some(Unexplained { first, count }) = self.unexplained.take().filter(|_| false) {",
        )],
        plain: false,
    },
];

/// An exported log that is attacked.
struct Log {
    folder: PathBuf,
    key: String,
}

impl Log {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn lines(&self, name: &str) -> Result<Vec<String>> {
        Ok(fs::read_to_string(self.file(name))?.lines().map(str::to_owned).collect())
    }

    fn put(&self, name: &str, lines: &[String]) -> Result<()> {
        Ok(fs::write(self.file(name), lines.join("\n") + "\n")?)
    }

    /// Another district, in one entry: what somebody edits who hides where something was seen.
    fn edit(&self) -> Result<()> {
        let mut lines = self.lines("entries.jsonl")?;
        let edited = lines[30].replacen("\"dist\":1", "\"dist\":9", 1);
        ensure!(edited != lines[30], "there is a district");
        lines[30] = edited;
        self.put("entries.jsonl", &lines)
    }

    /// Leaves and checkpoints computed anew from what stands there, and signed.
    fn sign_anew(&self) -> Result<()> {
        let signer = Signer::parse(self.key.trim())?;
        let (mut frontier, mut chain) = (Frontier::default(), Hash::default());
        let (mut leaves, mut history) = (Vec::new(), Vec::new());
        let sizes: Vec<u64> = self
            .lines("checkpoints.jsonl")?
            .iter()
            .map(|line| serde_json::from_str::<Value>(line)?["size"].as_u64().context("a size"))
            .collect::<Result<_>>()?;
        let mut note = String::new();
        for line in self.lines("entries.jsonl")? {
            let leaf = leaf_hash(line.as_bytes());
            leaves.extend(leaf.0);
            chain = chain_hash(&chain, &leaf);
            frontier.push(leaf, |_, _| {});
            if sizes.contains(&frontier.size()) {
                note = signer.sign(frontier.size(), frontier.root());
                let (chain, size) = (chain.to_string(), frontier.size());
                history
                    .push(json!({"at": 0, "chain": chain, "note": note, "size": size}).to_string());
            }
        }
        fs::write(self.file("leaves.bin"), leaves)?;
        fs::write(self.file("checkpoint"), note)?;
        self.put("checkpoints.jsonl", &history)
    }

    /// What the program says of it: its code.
    fn judged(&self, program: &Path, vkey: &str, outside: &Path) -> Result<Option<i32>> {
        let mut judge = Command::new(program);
        judge.arg(&self.folder).args(["--vkey", vkey]).arg("--outside").arg(outside);
        Ok(judge.stdout(Stdio::null()).stderr(Stdio::null()).status()?.code())
    }
}

const ATTACKS: [Attack; 9] = [
    ("an entry is edited, its stored leaf stays", Log::edit),
    ("an entry is edited, all is signed anew with the stolen key", |log| {
        log.edit()?;
        log.sign_anew()
    }),
    ("an entry is edited, all is computed anew, the signatures stay", |log| {
        let old = log.lines("checkpoint")?;
        log.edit()?;
        log.sign_anew()?;
        // The new roots under the old signatures.
        let mut both = log.lines("checkpoint")?;
        both.pop();
        both.push(old.last().context("a signature")?.clone());
        log.put("checkpoint", &both)?;
        let mut last: Value =
            serde_json::from_str(log.lines("checkpoints.jsonl")?.last().context("a line")?)?;
        last["note"] = json!(both.join("\n") + "\n");
        log.put("checkpoints.jsonl", &[last.to_string()])?;
        fs::write(log.folder.with_extension("outside"), both.join("\n") + "\n")?;
        Ok(())
    }),
    ("the chain of a checkpoint is changed", |log| {
        let mut lines = log.lines("checkpoints.jsonl")?;
        let mut line: Value = serde_json::from_str(&lines[0])?;
        line["chain"] = json!("00".repeat(32));
        lines[0] = line.to_string();
        log.put("checkpoints.jsonl", &lines)
    }),
    ("the end is cut off, with its checkpoints", |log| {
        let mut history = log.lines("checkpoints.jsonl")?;
        history.pop();
        let last: Value = serde_json::from_str(history.last().context("an earlier one")?)?;
        let size = usize::try_from(last["size"].as_u64().context("a size")?)?;
        let mut entries = log.lines("entries.jsonl")?;
        entries.truncate(size);
        log.put("entries.jsonl", &entries)?;
        log.put("checkpoints.jsonl", &history)?;
        fs::write(log.file("checkpoint"), last["note"].as_str().context("a note")?)?;
        let leaves = fs::read(log.file("leaves.bin"))?;
        fs::write(log.file("leaves.bin"), &leaves[..size * 32])?;
        let openings: Vec<String> = log.lines("openings.jsonl")?;
        let opens = |line: &String| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|line| line["index"].as_u64() < Some(size as u64))
        };
        log.put("openings.jsonl", &openings.into_iter().filter(opens).collect::<Vec<_>>())
    }),
    ("an opening has a member more", |log| {
        let mut lines = log.lines("openings.jsonl")?;
        lines[0] = lines[0].replacen(",\"salt\"", ",\"more\":1,\"salt\"", 1);
        log.put("openings.jsonl", &lines)
    }),
    ("an opening tells of another name", |log| {
        let mut lines = log.lines("openings.jsonl")?;
        lines[0] = lines[0].replacen("Ann Lee", "Bob Ray", 1);
        log.put("openings.jsonl", &lines)
    }),
    ("an entry stands after the end", |log| {
        let mut lines = log.lines("entries.jsonl")?;
        lines.push(lines[3].clone());
        log.put("entries.jsonl", &lines)
    }),
    ("an entry is removed, and nothing tells of it", |log| {
        use base64::Engine;
        let mut lines = log.lines("entries.jsonl")?;
        let leaf =
            base64::engine::general_purpose::STANDARD.encode(leaf_hash(lines[30].as_bytes()).0);
        lines[30] = json!({"leaf": leaf, "pruned_by": 40}).to_string();
        log.put("entries.jsonl", &lines)
    }),
];

/// Where the mutants are built, and by what.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let manifest =
            fs::read_to_string("Cargo.toml").context("run it from the root of the clone")?;
        let (before, rest) = manifest.split_once("members = [").context("the members")?;
        let (_, after) = rest.split_once(']').context("the end of the members")?;
        let manifest = format!("{before}members = [\"compliance/verify\"]{after}");
        fs::write(folder.path().join("Cargo.toml"), manifest)?;
        fs::copy("Cargo.lock", folder.path().join("Cargo.lock"))?;
        let own = folder.path().join("compliance/verify/src");
        fs::create_dir_all(&own)?;
        let verify = Path::new("compliance/verify");
        fs::copy(verify.join("Cargo.toml"), folder.path().join(verify).join("Cargo.toml"))?;
        let workshop = Self { folder };
        workshop.restore()?;
        Ok(workshop)
    }

    fn source(&self, file: &str) -> PathBuf {
        self.folder.path().join("compliance/verify/src").join(file)
    }

    fn restore(&self) -> Result<()> {
        for file in fs::read_dir("compliance/verify/src")? {
            let file = file?;
            fs::copy(file.path(), self.source(&file.file_name().to_string_lossy()))?;
        }
        Ok(())
    }

    /// The verifier with a mistake.
    fn build(&self, Mutant { name, file, words, .. }: &Mutant) -> Result<PathBuf> {
        self.restore()?;
        let mut source = fs::read_to_string(self.source(file))?;
        for (from, to) in *words {
            ensure!(source.matches(from).count() == 1, "{name}: {file} has not once: {from}");
            source = source.replacen(from, to, 1);
        }
        fs::write(self.source(file), source)?;
        // Kept between runs: the dependencies.
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let target = std::path::absolute(target)?.join("mutants");
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--offline", "-p", "belfry-verify"]);
        cargo.current_dir(self.folder.path()).env("CARGO_TARGET_DIR", &target);
        let built = cargo.output()?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let program = self.folder.path().join("belfry-verify");
        fs::copy(target.join("debug/belfry-verify"), &program)?;
        Ok(program)
    }
}

pub(crate) fn run(full: bool) -> Result<()> {
    let record = Record::of(ENTRIES)?;
    let (note, vkey) = record.checkpoint()?;
    let folder = tempfile::tempdir()?;
    let key = fs::read_to_string(record.key())?;
    let mut logs = Vec::new();
    let none: Attack = ("nothing", |_| Ok(()));
    for (at, (name, attack)) in std::iter::once(none).chain(ATTACKS).enumerate() {
        let log = Log { folder: folder.path().join(at.to_string()), key: key.clone() };
        export(&record.path(), 0, Openings::All, &log.folder)?;
        let outside = log.folder.with_extension("outside");
        fs::write(&outside, &note)?;
        attack(&log).with_context(|| name)?;
        // The verifier as it is finds all of them.
        let given = ("outside".to_owned(), fs::read(&outside)?);
        let vkeys = vec![Vkey::parse(&vkey).context("the key line")?];
        let options = Options { vkeys, outside: vec![given], ..Options::default() };
        let code = belfry_verify::verify(&log.folder, &options).code();
        ensure!((code == Code::Ok) == (at == 0), "{name}: {code:?}");
        logs.push((name, log, outside));
    }
    let workshop = Workshop::new()?;
    let (mut built, mut survive) = (0, Vec::new());
    for mutant in MUTANTS.iter().filter(|mutant| full || mutant.plain) {
        let program = workshop.build(mutant)?;
        let mut missed = Vec::new();
        for (name, log, outside) in &logs {
            match log.judged(&program, &vkey, outside)? {
                Some(0) if *name != "nothing" => missed.push(*name),
                Some(0) => {}
                code => ensure!(*name != "nothing", "{}: it takes nothing: {code:?}", mutant.name),
            }
        }
        println!("{}: it misses {}", mutant.name, missed.len());
        built += 1;
        if missed.is_empty() {
            survive.push(mutant.name);
        }
    }
    println!("figure ledger_mutants {built} of the verifier");
    ensure!(survive.is_empty(), "no attack is missed if {}", survive.join("; if "));
    Ok(())
}
