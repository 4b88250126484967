//! A batch of datagrams to a socket, runs of equal size as one message (UDP_SEGMENT).

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use super::address::to_storage;

pub(crate) const SEND_BATCH_MAX: usize = 64;
/// Segments of one message (`UDP_MAX_SEGMENTS` of older kernels).
pub(crate) const SEGMENTS_MAX: usize = 64;
/// Room for `in6_pktinfo` and the segment size with their headers, aligned.
const CONTROL_WORDS: usize = 10;

/// Datagrams of one size (the last may be shorter) to one address.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) remote: SocketAddr,
    /// The address of ours to send from; `None` where the socket has only one.
    pub(crate) local: Option<IpAddr>,
    pub(crate) segment_bytes: u16,
    pub(crate) segments: Vec<&'a [u8]>,
}

/// What became of a batch, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) taken: u64,
    pub(crate) failed: u64,
    pub(crate) system_calls: u64,
}

impl Sent {
    pub(crate) fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.failed += other.failed;
        self.system_calls += other.system_calls;
    }
}

/// Sends; remembers whether the kernel and the device segment.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(super) segments: bool,
}

struct Slot {
    name: libc::sockaddr_storage,
    name_len: libc::socklen_t,
    vectors: Vec<libc::iovec>,
    control: [u64; CONTROL_WORDS],
    control_len: usize,
}

impl Sender {
    /// Finds out whether the kernel knows `UDP_SEGMENT`.
    pub(crate) fn new(socket: &UdpSocket) -> Self {
        let segments = super::set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        Self { segments }
    }

    /// How many datagrams one message may carry now.
    pub(crate) fn segments_max(&self) -> usize {
        if self.segments { SEGMENTS_MAX } else { 1 }
    }

    /// Sends up to a batch. Never waits: what the kernel does not take is lost and counted, as a
    /// full queue in the network would do.
    pub(crate) fn send(&mut self, socket: &UdpSocket, messages: &[Message<'_>]) -> Sent {
        let mut sent = Sent::default();
        for batch in messages.chunks(SEND_BATCH_MAX) {
            self.send_batch(socket, batch, &mut sent);
        }
        sent
    }

    fn send_batch(&mut self, socket: &UdpSocket, batch: &[Message<'_>], sent: &mut Sent) {
        let mut slots: Vec<Slot> = batch.iter().map(Slot::new).collect();
        let mut headers: Vec<libc::mmsghdr> = slots.iter_mut().map(Slot::header).collect();
        let mut done = 0;
        while done < batch.len() {
            let rest = headers.get_mut(done..).unwrap_or_default();
            sent.system_calls += 1;
            // SAFETY: the headers point into `slots` and those into the messages' bytes; all
            // outlive the call.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(count) = usize::try_from(count) {
                sent.taken += datagrams(batch, done, count);
                done += count;
                continue;
            }
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            if error.kind() == io::ErrorKind::WouldBlock {
                sent.failed += datagrams(batch, done, batch.len() - done);
                return;
            }
            self.send_one_by_one(socket, batch.get(done), &error, sent);
            done += 1;
        }
    }

    /// The kernel refused this message. A device that cannot segment says EIO, a path with a small
    /// MTU EINVAL or EMSGSIZE: its datagrams are tried one at a time.
    fn send_one_by_one(
        &mut self,
        socket: &UdpSocket,
        message: Option<&Message<'_>>,
        error: &io::Error,
        sent: &mut Sent,
    ) {
        let Some(message) = message else { return };
        if message.segments.len() < 2 {
            sent.failed += 1;
            return;
        }
        if error.raw_os_error() == Some(libc::EIO) {
            tracing::info!("the network device does not segment, sending datagrams one at a time");
            self.segments = false;
        }
        for segment in &message.segments {
            let single = Message { segments: vec![segment], ..message.clone() };
            self.send_batch(socket, &[single], sent);
        }
    }
}

fn datagrams(batch: &[Message<'_>], from: usize, count: usize) -> u64 {
    batch.iter().skip(from).take(count).map(|message| message.segments.len() as u64).sum()
}

impl Slot {
    fn new(message: &Message<'_>) -> Self {
        let (name, name_len) = to_storage(message.remote);
        let vector = |segment: &&[u8]| libc::iovec {
            iov_base: segment.as_ptr().cast_mut().cast(),
            iov_len: segment.len(),
        };
        let mut slot = Self {
            name,
            name_len,
            vectors: message.segments.iter().map(vector).collect(),
            control: [0; CONTROL_WORDS],
            control_len: 0,
        };
        if message.segments.len() > 1 {
            slot.add_control(libc::SOL_UDP, libc::UDP_SEGMENT, message.segment_bytes);
        }
        match message.local {
            Some(IpAddr::V4(ip)) => {
                let any = libc::in_addr { s_addr: 0 };
                let spec = libc::in_addr { s_addr: u32::from(ip).to_be() };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec, ipi_addr: any };
                slot.add_control(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            Some(IpAddr::V6(ip)) => {
                let address = libc::in6_addr { s6_addr: ip.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                slot.add_control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
            None => {}
        }
        slot
    }

    /// Appends a control message.
    fn add_control<T>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        let len = size_of::<T>() as libc::c_uint;
        // SAFETY: these only calculate.
        let (space, filled) = unsafe { (libc::CMSG_SPACE(len), libc::CMSG_LEN(len)) };
        let space = space as usize;
        assert!(self.control_len + space <= size_of_val(&self.control), "room for both kinds");
        // SAFETY: the buffer of words has `space` bytes left from here; `control_len` is a multiple
        // of a word because `CMSG_SPACE` is.
        unsafe {
            let place = self.control.as_mut_ptr().add(self.control_len / size_of::<u64>());
            let header = place.cast::<libc::cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = filled as _;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.control_len += space;
    }

    fn header(&mut self) -> libc::mmsghdr {
        // SAFETY: all bytes zero is a valid `mmsghdr`.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_name = (&raw mut self.name).cast();
        header.msg_hdr.msg_namelen = self.name_len;
        header.msg_hdr.msg_iov = self.vectors.as_mut_ptr();
        header.msg_hdr.msg_iovlen = self.vectors.len() as _;
        if self.control_len > 0 {
            header.msg_hdr.msg_control = self.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = self.control_len as _;
        }
        header
    }
}
