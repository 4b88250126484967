//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// A key file, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Makes the directory if there is none; refuses one that others may look into.
pub(crate) fn private_dir(dir: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::writing(dir)(error)),
    }
    let metadata = fs::metadata(dir).map_err(Error::reading(dir))?;
    refuse_exposed(dir, &metadata, DIR_MODE)
}

/// `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::reading(path)(error)),
    };
    let metadata = file.metadata().map_err(Error::reading(path))?;
    refuse_exposed(path, &metadata, FILE_MODE)?;
    // Room for all of it at once: growing would leave copies behind that nobody wipes.
    let size = metadata.len().min(FILE_BYTES_MAX) as usize;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(Error::reading(path))?;
    Ok(Some(bytes))
}

/// Writes a file that must not be there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = write_partial(path, bytes)?;
    // A hard link fails if the name is taken; a rename would replace a key that another process
    // has just made and may already be using.
    let linked = fs::hard_link(&partial, path).map_err(Error::writing(path));
    fs::remove_file(&partial).map_err(Error::writing(&partial))?;
    linked?;
    sync_dir(path)
}

/// Writes a file in place of the one that is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = write_partial(path, bytes)?;
    fs::rename(&partial, path).map_err(Error::writing(path))?;
    sync_dir(path)
}

fn write_partial(path: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&partial)?;
        // The mode above holds only for a file that was not there.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::writing(path))?;
    Ok(partial)
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let dir = path.parent().expect("a key's path has a directory");
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::writing(path))
}

fn refuse_exposed(path: &Path, metadata: &fs::Metadata, wanted: u32) -> Result<(), Error> {
    let mode = metadata.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode, wanted });
    }
    // `/proc/self` belongs to whoever this process runs as.
    let this_user = fs::metadata("/proc/self").map_or(metadata.uid(), |own| own.uid());
    if metadata.uid() != this_user {
        return Err(Error::Foreign { path: path.to_owned(), owner: metadata.uid() });
    }
    Ok(())
}
