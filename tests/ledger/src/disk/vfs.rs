//! Between SQLite and its VFS for Unix: everything is passed on to that; what writes goes through [`Disk`].
#![allow(unsafe_code, reason = "SQLite calls a VFS through C function pointers")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::io::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::ffi::{
    self, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};

use super::{Change, Disk, ENOSPC};

/// SQLite's own, to which all is passed on.
struct Real(*mut sqlite3_vfs);

// SAFETY: a VFS that is registered is never changed, lives as long as the process, and is made to be called from
// any thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

/// What SQLite has allocated for a file: this, and then the real one.
#[repr(C)]
struct File {
    base: sqlite3_file,
    on: *mut On,
}

/// Where a file is.
struct On {
    disk: Arc<Disk>,
    file: usize,
    /// As SQLite's own does it: the first sync of a new log also syncs the folder.
    names: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// From now on it is the one that SQLite takes. Files in other folders are the real VFS's alone.
pub(super) fn register() {
    // SAFETY: without a name the default is found; with the bundled SQLite on Unix there is one.
    let real = unsafe {
        ffi::sqlite3_initialize();
        ffi::sqlite3_vfs_find(std::ptr::null())
    };
    assert!(!real.is_null(), "SQLite has a VFS");
    REAL.get_or_init(|| Real(real));
    let size = c_int::try_from(size_of::<File>()).expect("two words");
    // SAFETY: `real` points to a VFS for as long as the process lives. What is copied are functions that do not look
    // at the VFS they are called with but for `pAppData`, which is copied, too.
    let ours = unsafe {
        sqlite3_vfs {
            szOsFile: (*real).szOsFile + size,
            pNext: std::ptr::null_mut(),
            zName: c"forgets".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*real
        }
    };
    // SAFETY: the VFS is leaked: it stays where it is.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite takes the VFS");
}

fn real_vfs() -> *mut sqlite3_vfs {
    REAL.get().map_or(std::ptr::null_mut(), |real| real.0)
}

/// The real file behind ours.
fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<u8>().wrapping_add(size_of::<File>()).cast()
}

/// Calls a method of the real file.
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let real = real($file);
        // SAFETY: `open` has opened the real file there, so its methods are set, and all of version 2 are there;
        // the arguments are what SQLite gave to the same method of ours.
        unsafe {
            let method = (*(*real).pMethods).$method.expect("a method of version 2");
            method(real $(, $argument)*)
        }
    }};
}

fn on<'a>(file: *mut sqlite3_file) -> &'a mut On {
    // SAFETY: SQLite calls methods only between `open`, which put it there, and `close`, which takes it, and one at
    // a time for one file.
    unsafe { &mut *(*file.cast::<File>()).on }
}

/// A step that is a call of SQLite's VFS: its code is what SQLite gets to see unless the disk fails.
fn step(disk: &Disk, change: &Change<'_>, failed: c_int, mut act: impl FnMut() -> c_int) -> c_int {
    let mut code = ffi::SQLITE_OK;
    let stepped: Result<()> = disk.step(change, &mut || {
        code = act();
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(Error::other("the real VFS failed")) }
    });
    match stepped {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) if code != ffi::SQLITE_OK => code,
        // As SQLite's own: only a write says that the disk is full.
        Err(error) if error.raw_os_error() == Some(ENOSPC) && failed == ffi::SQLITE_IOERR_WRITE => {
            ffi::SQLITE_FULL
        }
        Err(_) => failed,
    }
}

fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite's names end with a zero and outlive the call.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(Path::new(OsStr::from_bytes(bytes)))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let vfs = real_vfs();
    // SAFETY: the VFS is the real one; `to` has room for a file of it, since `szOsFile` is the sum of both.
    let open = |to: *mut sqlite3_file| unsafe {
        (*vfs).xOpen.expect("a VFS opens")(vfs, name, to, flags, out)
    };
    let Some((disk, at)) = path(name).and_then(Disk::of) else {
        // Not on such a disk: it becomes a file of the real VFS alone.
        return open(file);
    };
    // SAFETY: SQLite has allocated `szOsFile` bytes. Until it is open it has no methods, so it is not closed.
    unsafe { (*file).pMethods = std::ptr::null() };
    let known = disk.file(at);
    let code = match known {
        None if flags & ffi::SQLITE_OPEN_CREATE != 0 => {
            let make = Change::Make { name: at, empty: false };
            step(&disk, &make, ffi::SQLITE_CANTOPEN, || open(real(file)))
        }
        _ if disk.is_dead() => ffi::SQLITE_CANTOPEN,
        _ => open(real(file)),
    };
    if code != ffi::SQLITE_OK {
        return code;
    }
    let Some(number) = disk.file(at) else { return ffi::SQLITE_CANTOPEN };
    let logs = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
    let names = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & logs != 0;
    let on = Box::into_raw(Box::new(On { disk, file: number, names }));
    // SAFETY: as above; the real file behind it is open.
    unsafe {
        (*file.cast::<File>()).on = on;
        (*file).pMethods = &raw const METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, folder: c_int) -> c_int {
    let vfs = real_vfs();
    // SAFETY: the real VFS's own method with SQLite's own arguments.
    let delete = || unsafe { (*vfs).xDelete.expect("a VFS deletes")(vfs, name, folder) };
    match path(name).and_then(Disk::of) {
        Some((disk, at)) if disk.file(at).is_some() => {
            let remove = Change::Remove { name: at, sync: folder & 1 != 0 };
            step(&disk, &remove, ffi::SQLITE_IOERR_DELETE, delete)
        }
        _ => delete(),
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = pass!(file, xClose);
    // SAFETY: it was made by `open`, and SQLite closes once.
    drop(unsafe { Box::from_raw((*file.cast::<File>()).on) });
    code
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    let on = on(file);
    // SAFETY: SQLite gives so many bytes.
    let slice = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize) };
    let change = Change::Write { file: on.file, at: at as usize, bytes: slice };
    step(&on.disk, &change, ffi::SQLITE_IOERR_WRITE, || pass!(file, xWrite, bytes, count, at))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    let on = on(file);
    let change = Change::Truncate { file: on.file, length: length as usize };
    step(&on.disk, &change, ffi::SQLITE_IOERR_TRUNCATE, || pass!(file, xTruncate, length))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let on = on(file);
    let change = Change::Sync { file: on.file, names: on.names, database: true };
    let code = step(&on.disk, &change, ffi::SQLITE_IOERR_FSYNC, || pass!(file, xSync, flags));
    on.names &= code != ffi::SQLITE_OK;
    code
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    pass!(file, xRead, to, count, at)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    pass!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, how: c_int) -> c_int {
    pass!(file, xLock, how)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, how: c_int) -> c_int {
    pass!(file, xUnlock, how)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    what: c_int,
    with: *mut c_void,
) -> c_int {
    pass!(file, xFileControl, what, with)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    pass!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    pass!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, at: c_int, n: c_int, how: c_int) -> c_int {
    pass!(file, xShmLock, at, n, how)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    pass!(file, xShmBarrier);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    pass!(file, xShmUnmap, delete)
}
