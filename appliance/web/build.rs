//! Builds the classroom client into `$OUT_DIR/dist`, which the binary embeds. Nothing is written
//! in the source tree.
//!
//! `WEB_DIST` names a client that was built elsewhere; otherwise npm and Vite run on a copy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What of the client's folder its build reads.
const SOURCES: [&str; 8] = [
    "index.html",
    "locales",
    "package.json",
    "package-lock.json",
    "src",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
];

fn main() {
    println!("cargo::rerun-if-env-changed=WEB_DIST");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let dist = out.join("dist");
    let result = match env::var_os("WEB_DIST") {
        Some(built) => {
            println!("cargo::rerun-if-changed={}", Path::new(&built).display());
            take(Path::new(&built), &dist)
        }
        None => build(&out, &dist),
    };
    if let Err(sentence) = result {
        println!("cargo::error={sentence}");
        std::process::exit(1);
    }
}

/// Takes over a client that was built elsewhere.
fn take(built: &Path, dist: &Path) -> Result<(), String> {
    if !built.join("index.html").is_file() {
        return Err(format!("WEB_DIST names {}, which holds no index.html", built.display()));
    }
    replace(built, dist).map_err(|error| format!("cannot copy {}: {error}", built.display()))
}

fn build(out: &Path, dist: &Path) -> Result<(), String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let client = root.join("client");
    let tokens = root.join("../../admin-ui/static/tokens.css");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", client.join(source).display());
    }
    println!("cargo::rerun-if-changed={}", tokens.display());
    let copy = out.join("client");
    let failed = |error| format!("cannot copy the client's sources: {error}");
    // The installed packages stay from build to build; npm looks after them.
    for source in SOURCES {
        let from = client.join(source);
        if from.exists() {
            replace(&from, &copy.join(source)).map_err(failed)?;
        }
    }
    let lock = fs::read(copy.join("package-lock.json")).map_err(failed)?;
    let stamp = copy.join("node_modules/.installed-lock");
    if fs::read(&stamp).ok().as_ref() != Some(&lock) {
        run(&copy, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], &tokens)?;
        fs::write(&stamp, &lock).map_err(failed)?;
    }
    let arguments = ["vite", "build", "--emptyOutDir", "--outDir", &dist.to_string_lossy()];
    run(&copy, "npx", &arguments, &tokens)
}

fn run(place: &Path, program: &str, arguments: &[&str], tokens: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place).env("BELFRY_TOKENS", tokens);
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{program} is missing: install Node.js 20.19 or later with npm, or set WEB_DIST to a client that is already built"
        ),
        _ => format!("{program} does not start: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let said = said.trim().replace('\n', " | ");
    Err(format!("`{program} {}` failed for the classroom client: {said}", arguments.join(" ")))
}

/// Makes `to` an exact copy of `from`.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    if to.is_dir() {
        fs::remove_dir_all(to)?;
    }
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            replace(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(drop)
}
