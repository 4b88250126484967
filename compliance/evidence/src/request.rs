//! What an export is asked to be.

use crate::Level;

/// Everything that goes into a bundle besides the log.
#[derive(Clone, Debug)]
pub struct Request {
    /// The district's domain: who signs, in `ssh-keygen`'s words the principal.
    pub district: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Program, version and commit.
    pub generator: String,
    pub level: Level,
    /// Makes pseudonyms; it stays with the district.
    pub pseudonym_key: [u8; 32],
    /// The log's keys, one of each epoch, oldest first.
    pub vkeys: Vec<String>,
    pub witnesses: Vec<String>,
    pub accounts: Vec<Account>,
    pub settings: Vec<Setting>,
    pub controls: Vec<Control>,
    pub sampling: Option<Sampling>,
    /// What this bundle does not show, in plain words.
    pub known_gaps: Vec<String>,
}

/// An account as it is now.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: i64,
    pub name: String,
    pub role: String,
    pub school: Option<i64>,
    pub enabled: bool,
}

/// A setting as it is now.
#[derive(Clone, Debug)]
pub struct Setting {
    pub key: String,
    pub value: String,
    /// Only a keyed hash of it is shown.
    pub secret: bool,
}

/// A control, and which entries of the record are about it.
#[derive(Clone, Debug)]
pub struct Control {
    /// Also the name of its file: letters, digits, `.`, `_` and `-`.
    pub id: String,
    pub title: String,
    /// Names of events; `auth.*` is all that begin with `auth.`.
    pub ops: Vec<String>,
}

impl Control {
    fn new(id: &str, title: &str, ops: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            ops: ops.iter().map(|&op| op.to_owned()).collect(),
        }
    }

    pub(crate) fn matches(&self, op: &str) -> bool {
        self.ops.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => op.starts_with(begin),
            None => op == pattern,
        })
    }
}

/// An auditor's nonce, and how many entries of each population it picks.
#[derive(Clone, Debug)]
pub struct Sampling {
    pub nonce: Vec<u8>,
    pub count: usize,
}

/// The controls that the record speaks to today.
pub fn controls() -> Vec<Control> {
    vec![
        Control::new(
            "sign-in",
            "Sign-in, refused sign-in, sign-out (SOC 2 CC6.1, NIST AC-7)",
            &["auth.*"],
        ),
        Control::new(
            "accounts",
            "Accounts and roles (SOC 2 CC6.2, CC6.3, NIST AC-2)",
            &["person.*"],
        ),
        Control::new("rosters", "Who may see which class (34 CFR 99.31(a)(1)(ii))", &["class.*"]),
        Control::new(
            "settings",
            "Changes of settings and schools (SOC 2 CC8.1, NIST CM-3)",
            &["setting.*", "school.*"],
        ),
        Control::new("keys", "Keys and certificates (NIST SC-12)", &["key.*", "certificate.*"]),
        Control::new(
            "disclosures",
            "Who looked at or took what is kept about people (34 CFR 99.32)",
            &["data.*", "connections.*"],
        ),
        Control::new(
            "record",
            "Looks at the record, exports, gaps (NIST AU-6, AU-9)",
            &["record.*", "evidence.*", "retention.*"],
        ),
        Control::new(
            "supervision",
            "Removed, refused, muted in lessons",
            &[
                "lesson.participant_removed",
                "lesson.participant_refused",
                "lesson.rule_refused",
                "lesson.chat_message_deleted",
            ],
        ),
    ]
}
