//! The system calls that the standard library does not offer: sockets that share a port,
//! batches of datagrams with segmentation offload, waiting for several descriptors.
//!
//! **Invariant:** all `unsafe` of this crate is here; every function is safe to call with any
//! arguments.
#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, UDP_SEGMENT, eventfd and getifaddrs have no safe interface in the standard library"
)]

mod address;
mod receive;
mod send;
mod wait;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

pub(crate) use self::{
    address::interface_addresses,
    receive::{Datagrams, RECEIVE_BATCH_MAX},
    send::{Message, SEGMENTS_BATCH_MAX, SEND_BATCH_MAX, Sender, Sent},
    wait::{Waker, wait},
};

/// What the kernel may hold for one socket: at 100 Mbit/s half a second. Best effort: the kernel
/// has its own limit (`net.core.rmem_max`).
const SOCKET_BUFFER_BYTES: libc::c_int = 8 * 1024 * 1024;

/// Opens a UDP socket that does not block and tells where datagrams came in.
/// `shared`: other shards open the same port, too.
pub(crate) fn open_udp(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if shared {
        set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if address.is_ipv4() {
        set_option(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    } else {
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    }
    for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        // Best effort, see above.
        let _smaller = set_option(&fd, libc::SOL_SOCKET, option, SOCKET_BUFFER_BYTES);
    }
    let (storage, len) = address::to_storage(address);
    // SAFETY: `storage` is a socket address of `len` bytes and outlives the call.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const storage).cast(), len) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(UdpSocket::from(fd))
}

/// Keeps the kernel from holding more than `bytes` of a TCP stream that it has not sent yet.
pub(crate) fn set_unsent_max(fd: &impl AsRawFd, bytes: u32) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes.cast_signed())
}

fn set_option(
    fd: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option's value is an int that outlives the call.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
