//! A strict reader of the ZIP files that bundles are (APPNOTE 6.3.10), so that every program sees the same files in them.
//!
//! Stored or deflated members, one after the other without gaps from the first byte, named in the central directory in
//! strictly rising order, sizes known before the data, no encryption, no extra fields, no comments, no ZIP64. Anything else
//! is refused: each of these freedoms has been used to show one file to one program and another to the next.
//! The CRC is not looked at: `SHA256SUMS` is what binds a file's bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::limits::{MEMBERS_MAX, RATIO_FROM_BYTES, RATIO_MAX, UNPACKED_BYTES_MAX, ZIP_BYTES_MAX};
use crate::names::check_name;
use crate::report::Finding;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: u64 = 22;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// General purpose bit 11: the name is UTF-8. The only flag that is taken.
const UTF8: u16 = 1 << 11;
/// The type of a regular file in the upper half of the external attributes, as Unix has it; 0 where none is given.
const MODE_TYPE: u32 = 0o170_000;
const MODE_REGULAR: u32 = 0o100_000;
/// Packed bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    pub size: u64,
    packed: u64,
    deflated: bool,
    /// Where its packed bytes begin.
    data: u64,
}

/// An archive whose directory was found in order.
#[derive(Clone, Debug)]
pub(crate) struct Zip {
    path: PathBuf,
    members: Vec<Member>,
}

fn bad(says: impl Into<String>) -> Finding {
    Finding::tampered("the ZIP file", says)
}

fn cut(says: impl Into<String>) -> Finding {
    Finding::incomplete("the ZIP file", says)
}

impl Zip {
    pub(crate) fn open(path: &Path) -> Result<Self, Finding> {
        let mut file =
            File::open(path).map_err(|error| cut(format!("it cannot be opened ({error})")))?;
        let mut bytes = |from: u64, count: usize| {
            let mut buffer = vec![0; count];
            file.seek(SeekFrom::Start(from))
                .and_then(|_| file.read_exact(&mut buffer))
                .map_err(|error| cut(format!("it ends early ({error}); get it again")))?;
            Ok(buffer)
        };
        let length = path.metadata().map_err(|error| cut(error.to_string()))?.len();
        Ok(Self { path: path.to_owned(), members: read_members(length, &mut bytes)? })
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn reader(&self, name: &str) -> Option<io::Result<Box<dyn Read>>> {
        let at = self.members.binary_search_by(|member| member.name.as_str().cmp(name)).ok()?;
        Some(self.unpack(&self.members[at]))
    }

    fn unpack(&self, member: &Member) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(member.data))?;
        Ok(unpack(member, file.take(member.packed)))
    }
}

/// All members of an archive of this length, of which `bytes` gives a part (from, how many).
pub(crate) fn read_members(
    length: u64,
    bytes: &mut impl FnMut(u64, usize) -> Result<Vec<u8>, Finding>,
) -> Result<Vec<Member>, Finding> {
    let directory = Directory::read(length, bytes)?;
    let mut members: Vec<Member> = Vec::new();
    let (mut at, mut next, mut unpacked) = (0, 0, 0);
    for _ in 0..directory.count {
        let (central, used) = Central::read(&directory.bytes[at..])?;
        at += used;
        if members.last().is_some_and(|last| last.name >= central.name) {
            return Err(bad(format!("{} stands twice or out of order", central.name)));
        }
        let member = central.locate(next, directory.start, bytes)?;
        next = member.data + member.packed;
        unpacked += member.size;
        if unpacked > UNPACKED_BYTES_MAX {
            return Err(bad("it unpacks to more than a bundle can be"));
        }
        members.push(member);
    }
    if at != directory.bytes.len() || next != directory.start {
        return Err(bad("it holds bytes that belong to no file"));
    }
    crate::names::check_folded(members.iter().map(|member| member.name.as_str()), "the ZIP file")?;
    Ok(members)
}

/// Unpacks a member from its packed bytes.
fn unpack(member: &Member, packed: impl Read + 'static) -> Box<dyn Read> {
    if member.deflated { Box::new(Inflate::new(packed, member.size)) } else { Box::new(packed) }
}

/// Every member of an archive in memory, unpacked; for fuzzing.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn read_all(archive: &[u8]) -> Result<u64, Finding> {
    let slice = |from: u64, count: u64| {
        let end = from.checked_add(count).and_then(|end| usize::try_from(end).ok());
        let found = end.and_then(|end| archive.get(usize::try_from(from).ok()?..end));
        found.map(<[u8]>::to_vec).ok_or_else(|| cut("it ends early"))
    };
    let members = read_members(archive.len() as u64, &mut |from, count| slice(from, count as u64))?;
    let mut all = 0;
    for member in &members {
        let mut input = unpack(member, io::Cursor::new(slice(member.data, member.packed)?));
        all += io::copy(&mut input, &mut io::sink()).map_err(|error| bad(error.to_string()))?;
    }
    Ok(all)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The central directory's bytes and where they begin (section 4.3.16).
struct Directory {
    bytes: Vec<u8>,
    start: u64,
    count: usize,
}

impl Directory {
    fn read(
        length: u64,
        bytes: &mut impl FnMut(u64, usize) -> Result<Vec<u8>, Finding>,
    ) -> Result<Self, Finding> {
        if length > ZIP_BYTES_MAX {
            return Err(bad("it is larger than a bundle can be"));
        }
        let Some(end_at) = length.checked_sub(END_BYTES) else {
            return Err(cut("it is too short to be a ZIP file; get it again"));
        };
        let end = bytes(end_at, END_BYTES as usize)?;
        if u32_at(&end, 0) != END || u16_at(&end, 20) != 0 {
            return Err(cut(
                "its end is missing: it was cut, or something was added to it; get it again",
            ));
        }
        let (disk, disk_of, here, count) =
            (u16_at(&end, 4), u16_at(&end, 6), u16_at(&end, 8), u16_at(&end, 10));
        let (size, start) = (u64::from(u32_at(&end, 12)), u64::from(u32_at(&end, 16)));
        if disk != 0 || disk_of != 0 || here != count || usize::from(count) > MEMBERS_MAX {
            return Err(bad("it has more files than a bundle can have, or is in parts"));
        }
        if start + size != end_at {
            return Err(bad("its directory does not stand at its end"));
        }
        Ok(Self { bytes: bytes(start, size as usize)?, start, count: usize::from(count) })
    }
}

/// A file's header in the central directory (section 4.3.12).
struct Central {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    local: u32,
}

impl Central {
    /// The header and its length.
    fn read(bytes: &[u8]) -> Result<(Self, usize), Finding> {
        if bytes.len() < CENTRAL_BYTES || u32_at(bytes, 0) != CENTRAL {
            return Err(bad("its directory is damaged"));
        }
        let (name_length, extra, comment) =
            (usize::from(u16_at(bytes, 28)), u16_at(bytes, 30), u16_at(bytes, 32));
        let end = CENTRAL_BYTES + name_length;
        let name = bytes.get(CENTRAL_BYTES..end).ok_or_else(|| bad("its directory is damaged"))?;
        let name = check_name(name).map_err(bad)?;
        let mode = u32_at(bytes, 38) >> 16;
        if mode & MODE_TYPE != 0 && mode & MODE_TYPE != MODE_REGULAR {
            return Err(bad(format!("{name} is a link or no plain file")));
        }
        let central = Self {
            flags: u16_at(bytes, 8),
            method: u16_at(bytes, 10),
            crc: u32_at(bytes, 16),
            packed: u32_at(bytes, 20),
            size: u32_at(bytes, 24),
            local: u32_at(bytes, 42),
            name,
        };
        if extra != 0 || comment != 0 || central.flags & !UTF8 != 0 || u16_at(bytes, 34) != 0 {
            return Err(bad(format!(
                "{} is encrypted or carries fields that a bundle has not",
                central.name
            )));
        }
        central.check_sizes()?;
        Ok((central, end))
    }

    fn check_sizes(&self) -> Result<(), Finding> {
        let (packed, size) = (u64::from(self.packed), u64::from(self.size));
        match self.method {
            STORED if packed == size => Ok(()),
            DEFLATED if size <= RATIO_FROM_BYTES.max(packed * RATIO_MAX) => Ok(()),
            DEFLATED => {
                Err(bad(format!("{} unpacks to more than {RATIO_MAX} times its size", self.name)))
            }
            _ => Err(bad(format!("{} is packed in a way that a bundle is not", self.name))),
        }
    }

    /// Checks the header before the data (section 4.3.7): it must say the same, and stand where the last file ended.
    fn locate(
        self,
        next: u64,
        directory: u64,
        bytes: &mut impl FnMut(u64, usize) -> Result<Vec<u8>, Finding>,
    ) -> Result<Member, Finding> {
        let data = next + LOCAL_BYTES + self.name.len() as u64;
        let packed = u64::from(self.packed);
        if u64::from(self.local) != next || data + packed > directory {
            return Err(bad(format!("{} overlaps another file or stands elsewhere", self.name)));
        }
        let local = bytes(next, LOCAL_BYTES as usize + self.name.len())?;
        let same = u32_at(&local, 0) == LOCAL
            && u16_at(&local, 6) == self.flags
            && u16_at(&local, 8) == self.method
            && u32_at(&local, 14) == self.crc
            && u32_at(&local, 18) == self.packed
            && u32_at(&local, 22) == self.size
            && usize::from(u16_at(&local, 26)) == self.name.len()
            && u16_at(&local, 28) == 0
            && &local[LOCAL_BYTES as usize..] == self.name.as_bytes();
        if !same {
            return Err(bad(format!("{} has two headers that differ", self.name)));
        }
        let (size, deflated) = (u64::from(self.size), self.method == DEFLATED);
        Ok(Member { name: self.name, size, packed, deflated, data })
    }
}

/// RFC 1951, unpacked as it is read, and never to more than was said.
struct Inflate<R> {
    input: R,
    state: Box<InflateState>,
    packed: Vec<u8>,
    at: usize,
    left: u64,
    done: bool,
}

impl<R: Read> Inflate<R> {
    fn new(input: R, size: u64) -> Self {
        let state = InflateState::new_boxed(DataFormat::Raw);
        Self { input, state, packed: Vec::new(), at: 0, left: size, done: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.at == self.packed.len() {
            self.packed.resize(CHUNK_BYTES, 0);
            let read = self.input.read(&mut self.packed)?;
            self.packed.truncate(read);
            self.at = 0;
        }
        Ok(())
    }
}

fn damaged(says: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, says)
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while !self.done {
            self.fill()?;
            let result = inflate(&mut self.state, &self.packed[self.at..], out, MZFlush::None);
            self.at += result.bytes_consumed;
            let written = result.bytes_written;
            self.left = self
                .left
                .checked_sub(written as u64)
                .ok_or_else(|| damaged("it unpacks to more than its header says"))?;
            match result.status {
                Ok(MZStatus::StreamEnd) => self.done = true,
                Ok(_) | Err(MZError::Buf) if written > 0 || result.bytes_consumed > 0 => {}
                _ => return Err(damaged("its packed bytes are damaged")),
            }
            if self.done {
                self.fill()?;
                if self.left > 0 || self.at < self.packed.len() {
                    return Err(damaged("it unpacks to another size than its header says"));
                }
            }
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}
