//! Bundles that are broken in one way each, with the exit code that every verifier must give.
//!
//! `signed`: the list of files was made anew and signed with the right key, so that only what lies deeper can find it: an
//! attacker who has the key of the bundles, but not that of the log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use belfry_evidence::Key;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::raw::{Member, pack};
use crate::sign::{Party, hex};
use crate::{bundle, year};

const TAMPERED: u8 = 1;
const INCOMPLETE: u8 = 2;
const UNKNOWN: u8 = 3;
const UNTRUSTED: u8 = 4;
/// Unpacks to a thousand times its size.
const BOMB_BYTES: usize = 64 * 1024 * 1024;

#[derive(Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read(path: &Path) -> Result<Self> {
        let mut archive = ZipArchive::new(File::open(path)?)?;
        let mut files = BTreeMap::new();
        for at in 0..archive.len() {
            let mut member = archive.by_index(at)?;
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes)?;
            files.insert(member.name()?.into_owned(), bytes);
        }
        Ok(Self(files))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.0[name]).into_owned()
    }

    fn set(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), bytes.into());
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.set(name, text.replacen(from, to, 1));
    }

    fn lines(&mut self, name: &str, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.text(name).lines().map(str::to_owned).collect();
        change(&mut lines);
        self.set(name, lines.into_iter().map(|line| line + "\n").collect::<Vec<_>>().concat());
    }

    fn json(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_str(&self.text(name)).expect("a bundle's JSON");
        change(&mut value);
        self.set(name, value.to_string());
    }

    fn sign(&mut self, key: &Key) {
        let kept = |name: &&String| !name.starts_with("SHA256SUMS");
        let sum = |name: &String| format!("{}  {name}\n", hex(&Sha256::digest(&self.0[name])));
        let list = self.0.keys().filter(kept).map(sum).collect::<Vec<_>>().concat();
        self.set("SHA256SUMS.sig", key.sign(list.as_bytes()));
        self.set("SHA256SUMS", list);
    }

    fn members(&self) -> Vec<Member> {
        self.0.iter().map(|(name, bytes)| Member::stored(name, bytes)).collect()
    }
}

/// The name of the first file that begins and ends so.
fn first(files: &Files, begin: &str) -> String {
    files.0.keys().find(|name| name.starts_with(begin)).expect("a good bundle has one").clone()
}

struct Cases {
    good: Files,
    folder: std::path::PathBuf,
    expected: Vec<Value>,
}

impl Cases {
    fn put(&mut self, code: u8, name: &str, bytes: &[u8]) -> Result<()> {
        let file = format!("{:02}-{}.zip", self.expected.len() + 1, name.replace(' ', "-"));
        fs::write(self.folder.join(&file), bytes)?;
        self.expected.push(json!({"code": code, "file": file}));
        Ok(())
    }

    /// Changed files; the list as it was.
    fn changed(&mut self, code: u8, name: &str, change: impl FnOnce(&mut Files)) -> Result<()> {
        let mut files = self.good.clone();
        change(&mut files);
        self.put(code, name, &pack(&files.members()))
    }

    /// Changed files, and the list made and signed anew.
    fn signed(&mut self, code: u8, name: &str, change: impl FnOnce(&mut Files)) -> Result<()> {
        self.changed(code, &format!("{name} signed"), |files| {
            change(files);
            files.sign(&bundle::key());
        })
    }

    /// The right files in a ZIP file that is not right.
    fn zipped(
        &mut self,
        code: u8,
        name: &str,
        change: impl FnOnce(&mut Vec<Member>),
    ) -> Result<()> {
        let mut members = self.good.members();
        change(&mut members);
        self.put(code, name, &pack(&members))
    }
}

/// Writes all cases, and `expected.json`.
pub(crate) fn write(bundle: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let good = Files::read(bundle)?;
    let mut cases = Cases { good, folder: folder.to_owned(), expected: Vec::new() };
    entries(&mut cases)?;
    checkpoints(&mut cases)?;
    beside(&mut cases)?;
    derived(&mut cases)?;
    lists(&mut cases)?;
    archives(&mut cases)?;
    ensure!(cases.expected.len() >= 40, "there are {} cases", cases.expected.len());
    fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&cases.expected)?)?;
    Ok(())
}

const ENTRIES: &str = "log/entries.jsonl";

fn entries(cases: &mut Cases) -> Result<()> {
    cases.changed(TAMPERED, "entry edited", |files| {
        files.replace(ENTRIES, "auth.signed_in", "auth.signed_up");
    })?;
    cases.signed(TAMPERED, "entry edited", |files| {
        files.replace(ENTRIES, "auth.signed_in", "auth.signed_up");
    })?;
    cases.signed(TAMPERED, "entry removed", |files| {
        files.lines(ENTRIES, |lines| {
            lines.remove(1_500);
        });
    })?;
    cases.signed(TAMPERED, "entry doubled", |files| {
        files.lines(ENTRIES, |lines| lines.insert(9, lines[8].clone()));
    })?;
    cases.signed(TAMPERED, "entries swapped", |files| {
        files.lines(ENTRIES, |lines| lines.swap(2_100, 2_101));
    })?;
    cases.signed(INCOMPLETE, "tail cut", |files| {
        files.lines(ENTRIES, |lines| lines.truncate(lines.len() - 300));
    })?;
    cases.signed(INCOMPLETE, "last line cut", |files| {
        let bytes = &files.0[ENTRIES];
        let cut = bytes[..bytes.len() - 9].to_vec();
        files.set(ENTRIES, cut);
    })?;
    cases.signed(TAMPERED, "tail added", |files| {
        files.lines(ENTRIES, |lines| lines.push(lines[0].clone()));
    })?;
    cases.signed(UNKNOWN, "entry of version 9", |files| {
        files.replace(ENTRIES, "\"v\":1}", "\"v\":9}");
    })?;
    cases.signed(TAMPERED, "white space in an entry", |files| {
        files.replace(ENTRIES, "{\"act\":", "{\"act\": ");
    })?;
    cases.signed(TAMPERED, "member twice", |files| {
        files.replace(ENTRIES, ",\"v\":1}", ",\"v\":1,\"v\":1}");
    })?;
    cases.signed(TAMPERED, "number in another form", |files| {
        files.replace(ENTRIES, "\"dist\":1,", "\"dist\":1.0,");
    })?;
    cases.signed(TAMPERED, "line too long", |files| {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
        files.lines(ENTRIES, |lines| lines[3] = long);
    })?;
    cases.signed(TAMPERED, "line that is no text", |files| {
        let mut bytes = files.0[ENTRIES].clone();
        bytes[40] = 0xff;
        files.set(ENTRIES, bytes);
    })?;
    cases.signed(TAMPERED, "body removed silently", |files| {
        files.lines(ENTRIES, |lines| {
            let leaf = crate::tree::leaf(lines[100].as_bytes());
            let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, leaf);
            lines[100] = format!("{{\"leaf\":\"{base64}\",\"pruned_by\":200}}");
        });
    })?;
    cases.signed(TAMPERED, "removal blamed on another", |files| {
        files.replace(ENTRIES, "\"pruned_by\":", "\"pruned_by\":1");
    })
}

fn checkpoints(cases: &mut Cases) -> Result<()> {
    let (history, newest) = ("log/checkpoints.jsonl", "log/checkpoint");
    let origin = format!("{}/e2", year::ORIGIN);
    cases.signed(TAMPERED, "checkpoint edited", |files| {
        files.replace(newest, "\n4200\n", "\n4201\n");
    })?;
    cases.signed(TAMPERED, "older checkpoint", |files| {
        let text = files.text(history);
        let line = text.lines().rev().nth(1).expect("a history has many");
        let older: Value = serde_json::from_str(line).expect("a history's line");
        files.set(newest, older["note"].as_str().expect("a note"));
    })?;
    cases.signed(TAMPERED, "checkpoint of another key", |files| {
        let text = files.text(newest);
        let root = text.lines().nth(2).expect("a checkpoint's root").to_owned();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, root)
            .expect("base64");
        let thief = Party::log(&origin, 66);
        files.set(newest, thief.checkpoint(4_200, &bytes.try_into().expect("a hash")));
    })?;
    cases.signed(INCOMPLETE, "newest missing in history", |files| {
        files.lines(history, |lines| drop(lines.pop()));
    })?;
    cases.signed(TAMPERED, "history out of order", |files| {
        files.lines(history, |lines| lines.swap(1, 2));
    })?;
    cases.signed(TAMPERED, "chain edited", |files| {
        files.lines(history, |lines| {
            let mut line: Value = serde_json::from_str(&lines[2]).expect("a history's line");
            line["chain"] = json!("00".repeat(32));
            lines[2] = line.to_string();
        });
    })?;
    cases.signed(TAMPERED, "epochs out of order", |files| {
        files.lines("log/epochs.jsonl", |lines| lines.swap(0, 1));
    })?;
    cases.signed(TAMPERED, "cosignature edited", |files| {
        let name = "log/witness/library.note";
        let note = Party::witness("library.example/witness", 3).cosign(&files.text(newest), 1);
        let (genuine, forged) = (files.text(name), note);
        // A time of one, with the signature for another.
        let tail =
            |text: &str| text.rsplit_once(' ').expect("a signature's line").1.trim_end().to_owned();
        let (a, b) = (tail(&genuine), tail(&forged));
        files.set(name, genuine.replace(&a, &format!("{}{}", &b[..24], &a[24..])));
    })?;
    cases.signed(TAMPERED, "witness saw more", |files| {
        files.set("log/witness/mail.note", Party::log(&origin, 2).checkpoint(4_300, &[7; 32]));
    })?;
    cases.signed(TAMPERED, "witness saw another", |files| {
        files.set("log/witness/mail.note", Party::log(&origin, 2).checkpoint(2_000, &[7; 32]));
    })?;
    cases.signed(TAMPERED, "witness of another log", |files| {
        files.set(
            "log/witness/mail.note",
            Party::log("elsewhere/e1", 2).checkpoint(2_000, &[7; 32]),
        );
    })?;
    cases.signed(TAMPERED, "prefix that does not fit", |files| {
        files.json("log/prefix.json", |prefix| prefix["first"] = json!(5));
    })
}

fn beside(cases: &mut Cases) -> Result<()> {
    let openings = "log/openings.jsonl";
    cases.signed(TAMPERED, "name edited", |files| files.replace(openings, "Pupil", "Papil"))?;
    cases.signed(TAMPERED, "opening twice", |files| {
        files.lines(openings, |lines| lines.insert(1, lines[0].clone()));
    })?;
    cases.signed(TAMPERED, "opening of another entry", |files| {
        files.replace(openings, "\"index\":", "\"index\":9");
    })?;
    cases.signed(TAMPERED, "stored leaf edited", |files| {
        let mut bytes = files.0["log/leaves.bin"].clone();
        bytes[32 * 777] ^= 1;
        files.set("log/leaves.bin", bytes);
    })
}

fn derived(cases: &mut Cases) -> Result<()> {
    let population = "population/sign-in.json";
    cases.signed(INCOMPLETE, "population hides an entry", |files| {
        files.json(population, |file| {
            drop(file["indices"].as_array_mut().expect("a list").remove(3));
        });
    })?;
    cases.signed(TAMPERED, "population with a foreign entry", |files| {
        files.json(population, |file| {
            let list = file["indices"].as_array_mut().expect("a list");
            let gap =
                list.windows(2).position(|pair| pair[0].as_u64().map(|n| n + 1) < pair[1].as_u64());
            let at = gap.expect("not all entries are sign-ins");
            let foreign = list[at].as_u64().expect("an index") + 1;
            list.insert(at + 1, json!(foreign));
        });
    })?;
    cases.signed(TAMPERED, "population miscounts", |files| {
        files.json(population, |file| file["counts"]["auth.signed_in"] = json!(1));
    })?;
    cases.signed(INCOMPLETE, "proof missing", |files| {
        let name = first(files, "log/proofs/");
        files.0.remove(&name);
    })?;
    cases.signed(TAMPERED, "proof edited", |files| {
        let name = first(files, "log/proofs/");
        let other = files.text("log/checkpoint").lines().nth(2).expect("a root").to_owned();
        files.lines(&name, |lines| lines[3] = other);
    })?;
    cases.signed(TAMPERED, "proofs swapped", |files| {
        let names: Vec<_> = files
            .0
            .keys()
            .filter(|name| name.starts_with("log/proofs/"))
            .take(2)
            .cloned()
            .collect();
        let (a, b) = (files.0[&names[0]].clone(), files.0[&names[1]].clone());
        files.set(&names[0], b);
        files.set(&names[1], a);
    })?;
    cases.signed(TAMPERED, "manifest of another root", |files| {
        files.json("manifest.json", |manifest| manifest["log"]["root"] = json!("00".repeat(32)));
    })?;
    cases.signed(UNKNOWN, "bundle of version 2", |files| {
        files.json("manifest.json", |manifest| {
            *manifest = json!({"format": "belfry-evidence", "version": 2});
        });
    })?;
    cases.signed(TAMPERED, "manifest that is no JSON", |files| files.set("manifest.json", "{"))?;
    cases.signed(TAMPERED, "key swapped in TRUST", |files| {
        files.set("TRUST/vkeys", Party::log("thief", 66).vkey() + "\n");
    })
}

fn lists(cases: &mut Cases) -> Result<()> {
    cases.changed(TAMPERED, "file added", |files| files.set("report/extra.html", "hello"))?;
    cases
        .changed(INCOMPLETE, "file missing", |files| drop(files.0.remove("access/accounts.csv")))?;
    cases.changed(INCOMPLETE, "manifest missing", |files| drop(files.0.remove("manifest.json")))?;
    cases.changed(INCOMPLETE, "list missing", |files| drop(files.0.remove("SHA256SUMS")))?;
    cases
        .changed(INCOMPLETE, "signature missing", |files| drop(files.0.remove("SHA256SUMS.sig")))?;
    cases.changed(TAMPERED, "list edited", |files| {
        files.replace("SHA256SUMS", "README", "README2");
    })?;
    cases.changed(TAMPERED, "signature edited", |files| {
        files.lines("SHA256SUMS.sig", |lines| lines[4] = lines[4].chars().rev().collect());
    })?;
    cases.changed(TAMPERED, "signed by a key not named", |files| {
        files.sign(&Key::from_seed(&[66; 32]));
    })?;
    cases.changed(UNTRUSTED, "made whole by another key", |files| {
        let thief = Key::from_seed(&[66; 32]);
        files.set("TRUST/allowed_signers", thief.allowed_signers("district.example"));
        files.sign(&thief);
    })
}

fn archives(cases: &mut Cases) -> Result<()> {
    let whole = pack(&cases.good.members());
    cases.put(INCOMPLETE, "cut in the middle", &whole[..whole.len() / 2])?;
    cases.put(INCOMPLETE, "bytes after the end", &[&whole[..], b"more"].concat())?;
    cases.put(INCOMPLETE, "empty", b"")?;
    cases.put(INCOMPLETE, "no archive", "This is not a bundle.\n".repeat(9).as_bytes())?;
    cases.zipped(TAMPERED, "name twice", |members| {
        let last = members.last().expect("members");
        members.push(Member::stored(&String::from_utf8_lossy(&last.name), b"other"));
    })?;
    for (name, path) in [
        ("zip slip", "zz/../../etc/cron.d/x"),
        ("absolute path", "/etc/passwd"),
        ("windows path", "zz\\..\\x"),
        ("hidden file", "zz/.ssh"),
    ] {
        cases.zipped(TAMPERED, name, |members| {
            members.push(Member::stored(path, b"x"));
            members.sort_by(|a, b| a.name.cmp(&b.name));
        })?;
    }
    cases.zipped(TAMPERED, "name in another case", |members| {
        members.push(Member::stored("readme.html", b"x"));
        members.sort_by(|a, b| a.name.cmp(&b.name));
    })?;
    cases.zipped(TAMPERED, "symbolic link", |members| members[0].mode = 0o120_777)?;
    cases.zipped(TAMPERED, "two headers that differ", |members| members[1].local_size += 1)?;
    cases.zipped(TAMPERED, "overlapping files", |members| members[2].back = 40)?;
    cases.zipped(TAMPERED, "encrypted", |members| members[0].flags = 1)?;
    cases.zipped(TAMPERED, "unknown packing", |members| members[0].method = 12)?;
    cases.zipped(TAMPERED, "packed bytes damaged", |members| {
        members[3].method = 8;
        members[3].bytes = vec![0xff; 64];
    })?;
    let bomb = bomb(&cases.good)?;
    cases.put(TAMPERED, "bomb", &bomb)
}

fn bomb(good: &Files) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let zeros = vec![0; BOMB_BYTES];
    let bomb = ("zz-bomb".to_owned(), zeros);
    for (name, bytes) in good.0.iter().chain([(&bomb.0, &bomb.1)]) {
        zip.start_file(name.as_str(), SimpleFileOptions::DEFAULT)?;
        zip.write_all(bytes).context("into memory")?;
    }
    Ok(zip.finish()?.into_inner())
}
