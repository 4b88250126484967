//! A batch of datagrams from a socket.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use super::address::from_storage;

pub(crate) const RECEIVE_BATCH_MAX: usize = 64;
/// More than any datagram of a WebRTC client; a longer one is cut by the kernel and dropped here.
const DATAGRAM_BYTES_MAX: usize = 2048;
/// Room for one `in6_pktinfo` with its header, aligned.
const CONTROL_WORDS: usize = 8;

/// One received datagram.
#[derive(Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) source: SocketAddr,
    /// The address of ours to which it was sent.
    pub(crate) local: Option<IpAddr>,
    pub(crate) bytes: &'a mut [u8],
}

/// Buffers for a batch, allocated once.
pub(crate) struct Datagrams {
    bytes: Box<[[u8; DATAGRAM_BYTES_MAX]]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[[u64; CONTROL_WORDS]]>,
    headers: Box<[libc::mmsghdr]>,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Datagrams")
    }
}

impl Datagrams {
    pub(crate) fn new() -> Self {
        // SAFETY: all bytes zero is a valid `sockaddr_storage` and a valid `mmsghdr`.
        let (name, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            bytes: vec![[0; DATAGRAM_BYTES_MAX]; RECEIVE_BATCH_MAX].into(),
            names: vec![name; RECEIVE_BATCH_MAX].into(),
            controls: vec![[0; CONTROL_WORDS]; RECEIVE_BATCH_MAX].into(),
            headers: vec![header; RECEIVE_BATCH_MAX].into(),
        }
    }

    /// Takes what waits at the socket, at most a batch, and hands each whole datagram to `take`.
    /// Returns how many datagrams there were.
    pub(crate) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut take: impl FnMut(Datagram<'_>),
    ) -> usize {
        let mut vectors: [libc::iovec; RECEIVE_BATCH_MAX] = std::array::from_fn(|index| {
            let bytes = self.bytes.get_mut(index).map_or(&mut [][..], |bytes| &mut bytes[..]);
            libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
        });
        let parts = self.headers.iter_mut().zip(&mut self.names).zip(&mut self.controls);
        for (((header, name), control), vector) in parts.zip(&mut vectors) {
            header.msg_len = 0;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of_val(control) as _;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: every header points to a name, a vector and a control buffer that outlive the
        // call, and each vector to its own part of `bytes`.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVE_BATCH_MAX as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        let parts = self.headers.iter().zip(&self.names).zip(&mut self.bytes);
        for ((header, name), bytes) in parts.take(count) {
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let bytes = bytes.get_mut(..header.msg_len as usize);
            if let (Some(source), Some(bytes), true) = (from_storage(name), bytes, whole) {
                take(Datagram { source, local: local_address(&header.msg_hdr), bytes });
            }
        }
        count
    }
}

/// Reads IP_PKTINFO or IPV6_PKTINFO.
fn local_address(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled the control buffer of this header, which is still there.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: `control` points to a whole header in the buffer.
        let found = unsafe { control.read_unaligned() };
        // SAFETY: the data of a control message follow its header.
        let data = unsafe { libc::CMSG_DATA(control) };
        match (found.cmsg_level, found.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: this kind carries an `in_pktinfo`.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                return Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: this kind carries an `in6_pktinfo`.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            _ => {}
        }
        // SAFETY: `control` is a message of this header.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}
