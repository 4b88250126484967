//! A school year that never was, as a log folder: the same for the same number of entries.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belfry_audit::{
    Actor, Class, Detail, Event, Lesson, Masked, Participant, Person, PersonRole, RefusedBecause,
    Scope, Word,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::sign::{Party, hex};
use crate::tree::{Hash, Tree, chain, leaf};

pub(crate) const ORIGIN: &str = "district.example/audit/5eed5eed5eed5eed";
pub(crate) const CHECKPOINT_EVERY: usize = 1_000;
const STUDENTS: i64 = 1_200;
const TEACHERS: i64 = 60;
/// 2025-09-01 00:00 UTC.
const YEAR_BEGINS_MS: i64 = 1_756_684_800_000;
const DAYS: i64 = 290;
const DAY_MS: i64 = 86_400_000;
const WITNESS_AT: u64 = 1_782_000_000;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 63 bits, so that nothing is negative.
        ((z ^ (z >> 31)) >> 1).cast_signed() % limit
    }
}

/// One entry: what the tree holds, and the personal data beside it.
struct Made {
    line: String,
    opening: Option<(Hash, String)>,
}

fn detail(dice: &mut Dice, person: i64) -> (Detail, bool) {
    let (lesson, participant) =
        (Lesson(dice.below(9_000)), Participant::new(&format!("p{person}")));
    let person = Person(person);
    match dice.below(1_000) {
        0..250 => (Detail::SignedIn { person }, true),
        250..280 => (
            Detail::SignInRefused { person: Some(person), because: RefusedBecause::WrongPassword },
            true,
        ),
        280..440 => (Detail::SignedOut { person: Some(person) }, false),
        440..720 => (Detail::ParticipantJoined { lesson, participant }, false),
        720..930 => (Detail::ParticipantLeft { lesson, participant }, false),
        930..960 => (Detail::LessonStarted { lesson, class: Some(Class(dice.below(80))) }, false),
        960..970 => (Detail::ParticipantRemoved { lesson, participant, blocked: false }, true),
        970..980 => (Detail::PersonCreated { person, role: PersonRole::Student }, true),
        980..985 => (
            Detail::PersonRoleChanged {
                person,
                from: PersonRole::Student,
                to: PersonRole::Teacher,
            },
            false,
        ),
        985..990 => (
            Detail::SettingChanged {
                setting: Word::new("lesson.waiting_room"),
                from: Masked::Unset,
                to: Masked::Shown("Zoë's \"room\"\n=1+1".to_owned()),
            },
            false,
        ),
        990..995 => {
            (Detail::RecordRead { from_seq: dice.below(1_000).cast_unsigned(), count: 50 }, false)
        }
        _ => (Detail::ConnectionsRead { person: Some(person), count: 1 }, false),
    }
}

fn make(index: usize, entries: usize, dice: &mut Dice) -> Made {
    let person = dice.below(STUDENTS + TEACHERS) + 1;
    let (detail, personal) = detail(dice, person);
    let through = index.cast_signed() as i64 * (DAYS * DAY_MS) / entries.cast_signed() as i64;
    let actor =
        if index.is_multiple_of(97) { Actor::Appliance } else { Actor::Person(Person(person)) };
    let event = Event {
        at_ms: YEAR_BEGINS_MS + through,
        scope: Scope::school(1, person % 3 + 1),
        actor,
        detail,
    };
    let line = event.canonical();
    if !personal {
        return Made { line, opening: None };
    }
    let block = format!(
        r#"{{"ip":"10.{}.{}.{}","name":"Pupil {person} Ünïque"}}"#,
        person % 200,
        index % 250,
        person % 250
    );
    let salt: Hash = Sha256::digest(format!("salt {index}")).into();
    let commitment = Sha256::digest([&b"belfry/pii/v1\0"[..], &salt, block.as_bytes()].concat());
    // Members are in order: `pii` comes before `sch`.
    let at = line.rfind(",\"sch\":").expect("each entry has a school or null");
    let line = format!("{},\"pii\":\"{}\"{}", &line[..at], hex(&commitment), &line[at..]);
    Made { line, opening: Some((salt, block)) }
}

/// Where things happen in a year of so many entries.
struct Plan {
    entries: usize,
    first: usize,
    /// The second epoch begins.
    fork: usize,
    /// Bodies of joins and leaves in this range are removed, as this entry tells.
    pruned: std::ops::Range<usize>,
    prune_event: usize,
    /// Whose openings were erased.
    erased: String,
}

impl Plan {
    fn new(entries: usize, first: usize) -> Self {
        let every = |part: usize| entries * part / 100;
        let pruned = every(20).max(first)..every(30).max(first);
        Self {
            entries,
            first,
            fork: every(40),
            pruned,
            prune_event: every(70),
            erased: "\"Pupil 7 ".to_owned(),
        }
    }
}

/// Writes `entries` entries, or those from `first` on, below `folder`.
pub(crate) fn write(folder: &Path, entries: usize, first: usize) -> Result<()> {
    ensure!(
        first.is_multiple_of(CHECKPOINT_EVERY) && first < entries * 2 / 3,
        "a range begins at an early checkpoint"
    );
    fs::create_dir_all(folder.join("witness"))?;
    let mut year = Year::create(folder, Plan::new(entries, first))?;
    let mut dice = Dice(7);
    for index in 0..entries {
        year.checkpoint(index)?;
        let made = make(index, entries, &mut dice);
        year.entry(index, made)?;
    }
    year.checkpoint(entries)?;
    for out in [&mut year.lines, &mut year.openings, &mut year.history, &mut year.stored] {
        out.flush()?;
    }
    ensure!(year.tree.size() == entries, "each entry is a leaf");
    side_files(folder, &year)
}

type Out = BufWriter<fs::File>;

/// The log folder while it is written.
struct Year {
    plan: Plan,
    epochs: [Party; 2],
    witness_folder: PathBuf,
    lines: Out,
    openings: Out,
    history: Out,
    stored: Out,
    tree: Tree,
    running: Hash,
    /// What the running chain was where the range begins.
    first_chain: Hash,
    /// Leaves of the removed bodies.
    removed: Tree,
    newest: String,
}

impl Year {
    fn create(folder: &Path, plan: Plan) -> Result<Self> {
        let file =
            |name: &str| -> Result<_> { Ok(BufWriter::new(fs::File::create(folder.join(name))?)) };
        Ok(Self {
            plan,
            epochs: [
                Party::log(&format!("{ORIGIN}/e1"), 1),
                Party::log(&format!("{ORIGIN}/e2"), 2),
            ],
            witness_folder: folder.join("witness"),
            lines: file("entries.jsonl")?,
            openings: file("openings.jsonl")?,
            history: file("checkpoints.jsonl")?,
            stored: file("leaves.bin")?,
            tree: Tree::default(),
            running: [0; 32],
            first_chain: [0; 32],
            removed: Tree::default(),
            newest: String::new(),
        })
    }

    /// Signs a checkpoint where one is due.
    fn checkpoint(&mut self, size: usize) -> Result<()> {
        let Plan { first, entries, fork, .. } = self.plan;
        if size == first {
            self.first_chain = self.running;
        }
        let due = size.is_multiple_of(CHECKPOINT_EVERY) || size == entries || size == fork;
        if size < first || !due {
            return Ok(());
        }
        let note = self.epochs[usize::from(size > fork)].checkpoint(size, &self.tree.root(0, size));
        let line = json!({"at": 0, "chain": hex(&self.running), "note": note, "size": size});
        writeln!(self.history, "{line}")?;
        if size == first + CHECKPOINT_EVERY {
            fs::write(self.witness_folder.join("mail.note"), &note)?;
        }
        self.newest = note;
        Ok(())
    }

    fn entry(&mut self, index: usize, made: Made) -> Result<()> {
        let prunes = index == self.plan.prune_event && self.removed.size() > 0;
        let made = if prunes { self.prune() } else { made };
        let hash = leaf(made.line.as_bytes());
        self.tree.push(hash);
        self.running = chain(&self.running, &hash);
        if index < self.plan.first {
            return Ok(());
        }
        self.stored.write_all(&hash)?;
        let about_lessons = made.line.contains("lesson.participant_") && made.opening.is_none();
        if self.plan.pruned.contains(&index) && about_lessons {
            self.removed.push(hash);
            let leaf = STANDARD.encode(hash);
            writeln!(self.lines, r#"{{"leaf":"{leaf}","pruned_by":{}}}"#, self.plan.prune_event)?;
        } else {
            writeln!(self.lines, "{}", made.line)?;
        }
        if let Some((salt, block)) =
            made.opening.filter(|(_, block)| !block.contains(&self.plan.erased))
        {
            let salt = STANDARD.encode(salt);
            writeln!(self.openings, r#"{{"block":{block},"index":{index},"salt":"{salt}"}}"#)?;
        }
        Ok(())
    }

    /// The event that tells of the removed bodies.
    fn prune(&self) -> Made {
        let (count, pruned) = (self.removed.size(), &self.plan.pruned);
        let root = hex(&self.removed.root(0, count));
        let line = format!(
            r#"{{"act":{{"id":null,"kind":"appliance"}},"at":{YEAR_BEGINS_MS},"d":{{"count":{count},"first":{},"last":{},"root":"{root}"}},"dist":1,"op":"retention.prune","out":"done","sch":null,"v":1}}"#,
            pruned.start,
            pruned.end - 1
        );
        Made { line, opening: None }
    }
}

fn side_files(folder: &Path, year: &Year) -> Result<()> {
    let Year { plan, epochs, tree, first_chain: chain, newest, .. } = year;
    let frontier: Vec<_> =
        tree.frontier(plan.first).iter().map(|hash| STANDARD.encode(hash)).collect();
    let prefix = json!({"chain": hex(chain), "first": plan.first, "frontier": frontier});
    fs::write(folder.join("prefix.json"), prefix.to_string())?;
    let lost = epochs[0].checkpoint(plan.fork, &tree.root(0, plan.fork));
    let previous = json!({"lost_at_least": 2, "note": lost, "reason": "restored from a snapshot", "witnessed": lost});
    let lines = [
        json!({"epoch": 1, "first": 0, "previous": null, "vkey": epochs[0].vkey()}),
        json!({"epoch": 2, "first": plan.fork, "previous": previous, "vkey": epochs[1].vkey()}),
    ];
    fs::write(folder.join("epochs.jsonl"), lines.map(|line| format!("{line}\n")).concat())?;
    fs::write(folder.join("checkpoint"), newest)?;
    let witness = witness();
    fs::write(folder.join("witness/library.note"), witness.cosign(newest, WITNESS_AT))?;
    // What an auditor brings along.
    let trust = format!(
        "VKEY='{}'\nWITNESS='{}'\nFIRST={}\nSIZE={}\nPRUNED={}\n",
        epochs[1].vkey(),
        witness.vkey(),
        plan.first,
        plan.entries,
        plan.pruned.start
    );
    let beside = folder.parent().unwrap_or(folder);
    fs::write(beside.join("trust.env"), trust)?;
    let kept = plan.first + CHECKPOINT_EVERY;
    let outside = epochs[usize::from(kept > plan.fork)].checkpoint(kept, &tree.root(0, kept));
    fs::write(beside.join("outside.note"), outside)?;
    Ok(())
}

pub(crate) fn witness() -> Party {
    Party::witness("library.example/witness", 3)
}

/// The log's keys, oldest first.
pub(crate) fn vkeys() -> Vec<String> {
    vec![
        Party::log(&format!("{ORIGIN}/e1"), 1).vkey(),
        Party::log(&format!("{ORIGIN}/e2"), 2).vkey(),
    ]
}
