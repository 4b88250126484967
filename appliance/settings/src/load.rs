//! Where values come from.

use std::fmt;

use crate::{DECLARED, Declaration, Settings};

/// What a value was taken from; a later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Origin {
    #[default]
    Default,
    /// The settings file.
    File,
    /// The admin pages.
    Stored,
    /// The environment; the admin pages cannot change it.
    Environment,
}

/// One thing that is wrong, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As the reader knows it: a key, or the name of a variable.
    pub place: String,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Problems(pub Vec<Problem>);

/// The environment variable of a setting: `BELFRY_HTTPS_PORT` for `https.port`.
pub fn env_name(key: &str) -> String {
    format!("BELFRY_{}", key.replace('.', "_").to_uppercase())
}

impl Settings {
    /// Takes the settings file (TOML), what the admin pages stored, and the environment. All
    /// problems are reported together.
    pub fn load(
        file: Option<&str>,
        stored: &[(String, String)],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut problems = Vec::new();
        if let Some(text) = file {
            // inside: the operator's own file, read once at start.
            match text.parse::<toml::Table>() {
                Ok(table) => settings.take_table("", &table, &mut problems),
                Err(error) => problems.push(Problem {
                    place: "settings file".to_owned(),
                    text: error.to_string().trim().replace('\n', " "),
                }),
            }
        }
        for (key, value) in stored {
            // What an older or a newer release stored must not keep the appliance from starting.
            if let Some(declaration) = Declaration::find(key) {
                settings.take(declaration, value, Origin::Stored, key, &mut problems);
            }
        }
        for declaration in DECLARED {
            let name = env_name(declaration.key);
            if let Some(value) = env(&name) {
                settings.take(declaration, &value, Origin::Environment, &name, &mut problems);
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }

    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).copied().unwrap_or_default()
    }

    fn take_table(&mut self, prefix: &str, table: &toml::Table, problems: &mut Vec<Problem>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if let toml::Value::Table(inner) = value {
                self.take_table(&key, inner, problems);
                continue;
            }
            let text = if let toml::Value::Array(parts) = value {
                parts.iter().map(plain).collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
            } else {
                plain(value)
            };
            match (Declaration::find(&key), text) {
                (Some(declaration), Some(text)) => {
                    self.take(declaration, &text, Origin::File, &key, problems);
                }
                (Some(_), None) => problems.push(Problem {
                    place: key,
                    text: "write a text, a number, true, false or a list".to_owned(),
                }),
                (None, _) => {
                    problems
                        .push(Problem { place: key, text: "there is no such setting".to_owned() });
                }
            }
        }
    }

    fn take(
        &mut self,
        declaration: &'static Declaration,
        text: &str,
        origin: Origin,
        place: &str,
        problems: &mut Vec<Problem>,
    ) {
        match self.set(declaration.key, text) {
            Ok(()) => drop(self.origins.insert(declaration.key, origin)),
            Err(text) => problems.push(Problem { place: place.to_owned(), text }),
        }
    }
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
