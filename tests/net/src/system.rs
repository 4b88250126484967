//! The few calls of Linux that the standard library has no words for.
#![allow(unsafe_code, reason = "TUN devices, network namespaces and ppoll are bare system calls")]

use std::fs::File;
use std::io::{self, Error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Moves the calling thread into a namespace that `ip netns add` has made. Threads that it starts later are there, too.
pub(crate) fn enter(namespace: &str) -> io::Result<()> {
    let file = File::open(format!("/run/netns/{namespace}"))?;
    // SAFETY: setns takes a descriptor that is open for the length of the call.
    checked(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Makes a TUN device in the namespace of the calling thread; it is gone when the descriptor is closed.
pub(crate) fn tun(name: &str) -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string.
    let fd = checked(unsafe {
        libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC)
    })?;
    // SAFETY: the descriptor was just opened and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: ifreq is plain old data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(Error::new(
            io::ErrorKind::InvalidInput,
            "a device's name has 1 to 15 characters",
        ));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is a valid ifreq that outlives the call.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(fd)
}

/// One packet from a TUN device; none when there is nothing to read.
pub(crate) fn read(fd: &OwnedFd, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the buffer is writable for its whole length.
    let count = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).ok().filter(|count| *count > 0)
}

/// Hands a packet to a TUN device. One that is down takes nothing, as a cable that is unplugged.
pub(crate) fn write(fd: &OwnedFd, packet: &[u8]) -> bool {
    // SAFETY: the buffer is readable for its whole length.
    unsafe { libc::write(fd.as_raw_fd(), packet.as_ptr().cast(), packet.len()) >= 0 }
}

/// Waits until one of the descriptors can be read, or for the time. Which of them can be read.
pub(crate) fn wait<const N: usize>(fds: [RawFd; N], timeout: Duration) -> io::Result<[bool; N]> {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: both pointers are to valid values that outlive the call, and the count is that of the array.
    match checked(unsafe {
        libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, &raw const timeout, std::ptr::null())
    }) {
        Ok(_) => Ok(polled.map(|one| one.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// Lets the calling thread run before all others, so that a loaded machine does not bend the link. False: not allowed.
pub(crate) fn run_first() -> bool {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a valid value; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) == 0 }
}

/// Room for what arrives while the reader does not run, in bytes.
pub(crate) fn set_receive_buffer(socket: &impl AsRawFd, bytes: i32) -> io::Result<()> {
    // SAFETY: the option's value is an int that outlives the call.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    })
    .map(drop)
}
