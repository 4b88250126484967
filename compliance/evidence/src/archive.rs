//! The ZIP file: the same inputs give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::Error;
use crate::sign::hex;

/// Larger archives would need ZIP64, which the verifiers do not read, in bytes.
const ARCHIVE_BYTES_MAX: u64 = u32::MAX as u64 - 1;
/// Fixed, so that a library's other default does not change the bytes.
const DEFLATE_LEVEL: i64 = 6;
/// Every file's mode.
const MODE: u32 = 0o644;
/// Copied at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file before it is packed.
pub(crate) enum Content {
    Memory(Vec<u8>),
    OnDisk(PathBuf),
}

impl Content {
    fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(bytes.as_slice()),
            Self::OnDisk(path) => Box::new(File::open(path)?),
        })
    }
}

/// The files of a bundle by their names.
#[derive(Default)]
pub(crate) struct Files(BTreeMap<String, Content>);

impl Files {
    pub(crate) fn add(&mut self, name: &str, content: Content) {
        self.0.insert(name.to_owned(), content);
    }

    pub(crate) fn add_text(&mut self, name: &str, text: impl Into<String>) {
        self.add(name, Content::Memory(text.into().into_bytes()));
    }

    /// Each file's hash in hex, sorted by name.
    pub(crate) fn sums(&self) -> Result<BTreeMap<String, String>, Error> {
        let sum = |content: &Content| copy(&mut content.reader()?, &mut io::sink());
        self.0.iter().map(|(name, content)| Ok((name.clone(), sum(content)?))).collect()
    }

    /// Packs all files; `sums`: what they were when they were signed.
    pub(crate) fn pack<W: Write + Seek>(
        &self,
        sums: &BTreeMap<String, String>,
        out: W,
    ) -> Result<u64, Error> {
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(DEFLATE_LEVEL))
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(MODE);
        let mut zip = ZipWriter::new(out);
        for (name, content) in &self.0 {
            zip.start_file(name.as_str(), options)?;
            let sum = copy(&mut content.reader()?, &mut zip)?;
            if sums.get(name).is_some_and(|signed| *signed != sum) {
                return Err(Error::Changed(name.clone()));
            }
        }
        let length = zip.finish()?.stream_position()?;
        if length > ARCHIVE_BYTES_MAX {
            Err(Error::TooLarge { max: ARCHIVE_BYTES_MAX })
        } else {
            Ok(length)
        }
    }
}

/// Copies, and says the hash of what went through.
fn copy(input: &mut dyn Read, out: &mut dyn Write) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read])?;
    }
}
