//! `belfry-verify`: see `--help`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use belfry_verify::limits::{NONCE_BYTES_MAX, NOTE_BYTES_MAX, SAMPLE_MAX};
use belfry_verify::{Options, Vkey, unhex_any, verify};

const HELP: &str = "\
belfry-verify PATH [--root FINGERPRINT]... [--vkey KEY]... [--witness KEY]... [--outside NOTE]... [--need-outside]
              [--nonce HEX --sample N] [--json]

PATH            an evidence bundle (ZIP file or folder), or a log folder
--root          the fingerprint (SHA256:...) of the key that signs bundles, from the printed page
--vkey          the log's key, from the printed page (a log folder needs it)
--witness       a witness's key
--outside       a file with a checkpoint that somebody outside has kept: an e-mail, a printed page, a syslog line
--need-outside  fail (4) unless a checkpoint from outside covers the range
--nonce, --sample  pick N entries of every population, the same for everybody who gives this nonce
--json          the report as JSON

Exit codes: 0 verified, 1 tampered, 2 incomplete, 3 unknown version, 4 trust not established, 64 wrong arguments
";

/// sysexits.h: EX_USAGE.
const USAGE: u8 = 64;

struct Arguments {
    path: PathBuf,
    options: Options,
    json: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return print(HELP, 0);
    }
    match arguments(words) {
        Ok(Arguments { path, options, json }) => {
            let report = verify(&path, &options);
            print(
                &if json { report.json() + "\n" } else { report.to_string() },
                report.code() as u8,
            )
        }
        Err(says) => {
            let _ = writeln!(std::io::stderr(), "belfry-verify: {says}; see --help");
            ExitCode::from(USAGE)
        }
    }
}

/// A reader that went away changes nothing of the verdict.
fn print(text: &str, code: u8) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn arguments(words: Vec<String>) -> Result<Arguments, String> {
    let (mut path, mut options, mut json) = (None, Options::default(), false);
    let (mut nonce, mut sample) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--root" => options.roots.push(value()?),
            "--vkey" => options.vkeys.push(key(&value()?, false)?),
            "--witness" => options.witnesses.push(key(&value()?, true)?),
            "--outside" => options.outside.push(outside(value()?)?),
            "--need-outside" => options.need_outside = true,
            "--nonce" => nonce = Some(read_nonce(&value()?)?),
            "--sample" => sample = Some(read_sample(&value()?)?),
            "--json" => json = true,
            _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
            _ if path.is_none() => path = Some(PathBuf::from(word)),
            _ => return Err("one path at a time".to_owned()),
        }
    }
    options.sample = match (nonce, sample) {
        (Some(nonce), Some(count)) => Some((nonce, count)),
        (None, None) => None,
        _ => return Err("--nonce and --sample go together".to_owned()),
    };
    Ok(Arguments { path: path.ok_or("no path was given")?, options, json })
}

fn key(text: &str, witness: bool) -> Result<Vkey, String> {
    let kind = if witness { "a witness's key (name+id+key)" } else { "a log's key (name+id+key)" };
    Vkey::parse(text.trim())
        .filter(|key| key.is_witness() == witness)
        .ok_or(format!("\"{text}\" is not {kind}"))
}

fn outside(path: String) -> Result<(String, Vec<u8>), String> {
    let bytes = std::fs::read(&path).map_err(|error| format!("{path} cannot be read ({error})"))?;
    if bytes.len() > NOTE_BYTES_MAX {
        return Err(format!("{path} is longer than {NOTE_BYTES_MAX} bytes, so no checkpoint"));
    }
    Ok((path, bytes))
}

fn read_nonce(text: &str) -> Result<Vec<u8>, String> {
    unhex_any(text)
        .filter(|nonce| !nonce.is_empty() && nonce.len() <= NONCE_BYTES_MAX)
        .ok_or(format!("--nonce takes 1 to {NONCE_BYTES_MAX} bytes in lower-case hex"))
}

fn read_sample(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=SAMPLE_MAX).contains(count))
        .ok_or(format!("--sample takes 1 to {SAMPLE_MAX}"))
}
