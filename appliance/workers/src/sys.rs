//! The system calls that the standard library has no safe form of.

use std::ffi::c_ulong;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;

/// Descriptors from here on are never the number of one that a child is given.
const HIGH: RawFd = 16;

/// Lets the child of `command` have `end` as descriptor `number`.
#[allow(unsafe_code, reason = "the hook runs between fork and exec")]
pub(crate) fn inherit(
    command: &mut std::process::Command,
    end: &impl AsRawFd,
    number: RawFd,
) -> io::Result<()> {
    // Where no other descriptor that the child is given can overwrite it.
    // SAFETY: no pointers; it fails on a descriptor that is not open.
    let copy = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `copy` was just opened and nobody else has it.
    let end = unsafe { OwnedFd::from_raw_fd(copy) };
    let hook = move || {
        let fd = end.as_raw_fd();
        // SAFETY: dup2 is async-signal-safe and touches no memory; `fd` is open, because the hook
        // owns `end`, and not `number`, because it is high.
        let done = unsafe { libc::dup2(fd, number) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the hook makes async-signal-safe calls only and allocates nothing (an `io::Error` of
    // an OS code does not).
    unsafe { command.pre_exec(hook) };
    Ok(())
}

/// Takes over an inherited descriptor, if it is a socket. To be called once per number.
#[allow(unsafe_code, reason = "a descriptor's number becomes its owner")]
pub(crate) fn take_socket(number: RawFd) -> Option<UnixStream> {
    // SAFETY: fcntl on any number is sound; it fails with EBADF on one that is not open. Closing on
    // exec keeps the link out of grandchildren, so that this process's death closes it.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    if option(number, libc::SO_DOMAIN)? != libc::AF_UNIX {
        return None;
    }
    // SAFETY: the descriptor is open (checked above) and inherited, so nothing else in this process
    // owns it; the caller takes each number once.
    Some(UnixStream::from(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// The same for a socket that is listened on.
pub(crate) fn take_listener(number: RawFd) -> Option<UnixListener> {
    if option(number, libc::SO_ACCEPTCONN)? == 0 {
        return None;
    }
    Some(UnixListener::from(OwnedFd::from(take_socket(number)?)))
}

#[allow(unsafe_code, reason = "the standard library asks for no options of a bare descriptor")]
fn option(number: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: both pointers are to live locals of the sizes that the call is told.
    let asked = unsafe {
        libc::getsockopt(number, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    (asked >= 0).then_some(value)
}

/// Asks the kernel to kill this process when the thread that started it ends.
#[allow(unsafe_code, reason = "prctl has no safe form")]
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
    let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0, 0, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Neither this process nor what it starts can gain rights by exec.
#[allow(unsafe_code, reason = "prctl has no safe form")]
pub(crate) fn no_new_privileges() -> io::Result<()> {
    let (on, none): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers only.
    let done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, none, none, none) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many files this process may have open: now, and at most.
#[allow(unsafe_code, reason = "getrlimit has no safe form")]
pub(crate) fn open_files() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live local.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok((limit.rlim_cur, limit.rlim_max)) }
}

#[allow(unsafe_code, reason = "setrlimit has no safe form")]
pub(crate) fn set_open_files(now: u64, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: now, rlim_max: most };
    // SAFETY: the pointer is to a live local.
    let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// No memory image with keys in it is ever written.
#[allow(unsafe_code, reason = "setrlimit has no safe form")]
pub(crate) fn no_core_dump() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live local.
    let done = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
