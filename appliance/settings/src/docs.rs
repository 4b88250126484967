//! The documentation of the settings, generated.

use std::fmt::Write;

use crate::{DECLARED, env_name};

/// `SETTINGS.md`: a test holds the file to this.
pub fn table() -> String {
    let mut out = String::from(
        "# Settings\n\nGenerated from the declarations in `src/declared.rs`; a test keeps it so. A value comes from the default, the settings\n\
         file (TOML; the dots of a key are its tables), the admin pages, or the environment; the later of these wins.\n\n\
         | key | environment | default | where | takes effect | what it is |\n|---|---|---|---|---|---|\n",
    );
    for declaration in DECLARED {
        let default = match (declaration.default, declaration.flags.masked) {
            ("", _) => "none".to_owned(),
            (_, true) => "(secret)".to_owned(),
            (default, false) => format!("`{default}`"),
        };
        let place = if declaration.flags.admin { "admin pages" } else { "file" };
        let effect = if declaration.flags.restart { "at start" } else { "at once" };
        writeln!(
            out,
            "| `{}` | `{}` | {default} | {place} | {effect} | {} |",
            declaration.key,
            env_name(declaration.key),
            declaration.doc
        )
        .expect("writing to a string does not fail");
    }
    out
}
