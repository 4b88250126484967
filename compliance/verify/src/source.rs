//! Where the files come from: a folder or a ZIP file. Nothing is unpacked to the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::hash::Hash;
use crate::limits::{FOLDER_DEPTH_MAX, MEMBERS_MAX, SMALL_FILE_BYTES_MAX};
use crate::lines::{Lines, unreadable};
use crate::names::{check_folded, check_name};
use crate::report::{Code, Finding};
use crate::zip::Zip;

/// Files by their names.
#[derive(Debug)]
pub(crate) struct Source {
    names: BTreeMap<String, u64>,
    from: From,
}

#[derive(Debug)]
enum From {
    Folder(PathBuf),
    Zip(Zip),
}

/// A file's bytes as they come.
pub(crate) type Input = Box<dyn Read>;

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Finding> {
        let shown = path.display().to_string();
        let found = fs::metadata(path).map_err(|error| {
            Finding::incomplete(&shown, format!("it cannot be opened ({error})"))
        })?;
        if !found.is_dir() {
            let zip = Zip::open(path)?;
            let names =
                zip.members().iter().map(|member| (member.name.clone(), member.size)).collect();
            return Ok(Self { names, from: From::Zip(zip) });
        }
        let mut names = BTreeMap::new();
        walk(path, "", 0, &mut names)?;
        check_folded(names.keys().map(String::as_str), "the folder")?;
        Ok(Self { names, from: From::Folder(path.to_owned()) })
    }

    /// All names, sorted by their bytes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn reader(&self, name: &str) -> Result<Input, Finding> {
        let missing = || Finding::incomplete(name, "it is missing; ask for the whole bundle again");
        if !self.has(name) {
            return Err(missing());
        }
        let opened = match &self.from {
            From::Folder(root) => {
                fs::File::open(root.join(name)).map(|file| Box::new(file) as Input)
            }
            From::Zip(zip) => zip.reader(name).ok_or_else(missing)?,
        };
        opened.map_err(|error| unreadable(name, &error))
    }

    pub(crate) fn lines(&self, name: &str) -> Result<Lines<Input>, Finding> {
        Ok(Lines::new(name, self.reader(name)?))
    }

    /// A whole file of at most so many bytes.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Finding> {
        let mut bytes = Vec::new();
        let limit = bytes_max.min(SMALL_FILE_BYTES_MAX);
        let read = self.reader(name)?.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(name, &error))?;
        if bytes.len() as u64 > limit {
            return Err(Finding::tampered(name, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, Finding> {
        String::from_utf8(self.read(name, SMALL_FILE_BYTES_MAX)?)
            .map_err(|_| Finding::tampered(name, "it is not UTF-8"))
    }

    /// A whole file of JSON. Members that are unknown, missing or twice are refused.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Finding> {
        let bytes = self.read(name, SMALL_FILE_BYTES_MAX)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Finding::tampered(name, format!("it is not in its form ({error})")))
    }

    pub(crate) fn sha256(&self, name: &str) -> Result<Hash, Finding> {
        let (mut input, mut hash) = (self.reader(name)?, Sha256::new());
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(read) => hash.update(&buffer[..read]),
                Err(error) => return Err(unreadable(name, &error)),
            }
        }
    }
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    names: &mut BTreeMap<String, u64>,
) -> Result<(), Finding> {
    let here = || if prefix.is_empty() { "the folder" } else { prefix };
    let broken = |error: std::io::Error| unreadable(here(), &error);
    if depth > FOLDER_DEPTH_MAX {
        return Err(Finding::tampered(
            here(),
            format!("folders are more than {FOLDER_DEPTH_MAX} deep"),
        ));
    }
    for entry in fs::read_dir(folder).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let name = check_name(name.as_bytes()).map_err(|says| Finding::tampered(here(), says))?;
        // Of the entry itself: a link is not followed.
        let found = entry.metadata().map_err(broken)?;
        if found.is_dir() {
            walk(&entry.path(), &format!("{name}/"), depth + 1, names)?;
        } else if found.is_file() {
            names.insert(name, found.len());
        } else {
            return Err(Finding::tampered(&name, "it is a link or no plain file"));
        }
        if names.len() > MEMBERS_MAX {
            return Err(Finding::new(
                Code::Tampered,
                here(),
                format!("it has more than {MEMBERS_MAX} files"),
            ));
        }
    }
    Ok(())
}
