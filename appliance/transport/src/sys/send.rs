//! A batch of datagrams to a socket, runs of equal size as one message (UDP_SEGMENT).

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use arrayvec::ArrayVec;

use super::address::to_storage;

/// Messages of one system call.
pub(crate) const SEND_BATCH_MAX: usize = 64;
/// Segments of one system call.
pub(crate) const SEGMENTS_BATCH_MAX: usize = 512;
/// Segments of one message (`UDP_MAX_SEGMENTS` of older kernels).
pub(crate) const SEGMENTS_MAX: usize = 64;
/// Room for `in6_pktinfo` and the segment size with their headers, aligned.
const CONTROL_WORDS: usize = 10;

/// Datagrams of one size (the last may be shorter) to one address: so many of the segments that
/// come along, after those of the message before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) remote: SocketAddr,
    /// The address of ours to send from; `None` where the socket has only one.
    pub(crate) local: Option<IpAddr>,
    pub(crate) segment_bytes: u16,
    pub(crate) segment_count: usize,
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

/// What the header of a message points to, but for its segments.
struct Slot {
    name: libc::sockaddr_storage,
    name_len: libc::socklen_t,
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

    /// Sends messages and their segments in a row, of each at most a batch. Never waits: what the
    /// kernel does not take is lost and counted, as a full queue in the network would do.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        messages: &[Message],
        segments: &[&[u8]],
    ) -> Sent {
        let mut sent = Sent::default();
        let mut slots: ArrayVec<Slot, SEND_BATCH_MAX> = messages.iter().map(Slot::new).collect();
        let mut vectors: ArrayVec<_, SEGMENTS_BATCH_MAX> = segments.iter().map(vector).collect();
        let mut headers = headers(messages, &mut slots, &mut vectors);
        let (mut done, mut segments_done) = (0, 0);
        while let Some(message) = messages.get(done) {
            let rest = headers.get_mut(done..).unwrap_or_default();
            sent.system_calls += 1;
            // SAFETY: the headers point into `slots` and `vectors`, and those into the segments; all
            // outlive the call and stay where they are.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(count) = usize::try_from(count) {
                let taken = datagrams(messages, done, count);
                sent.taken += taken as u64;
                (done, segments_done) = (done + count, segments_done + taken);
                continue;
            }
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            if error.kind() == io::ErrorKind::WouldBlock {
                sent.failed += datagrams(messages, done, messages.len()) as u64;
                break;
            }
            let its = segments.get(segments_done..).unwrap_or_default();
            let its = its.get(..message.segment_count).unwrap_or_default();
            sent.add(self.send_one_by_one(socket, *message, its, &error));
            (done, segments_done) = (done + 1, segments_done + message.segment_count);
        }
        sent
    }

    /// The kernel refused this message. A device that cannot segment says EIO, a path with a small
    /// MTU EINVAL or EMSGSIZE: its datagrams are tried one at a time.
    fn send_one_by_one(
        &mut self,
        socket: &UdpSocket,
        message: Message,
        segments: &[&[u8]],
        error: &io::Error,
    ) -> Sent {
        let mut sent = Sent::default();
        if message.segment_count < 2 {
            sent.failed += 1;
            return sent;
        }
        if error.raw_os_error() == Some(libc::EIO) {
            tracing::info!("the network device does not segment, sending datagrams one at a time");
            self.segments = false;
        }
        let single = Message { segment_count: 1, ..message };
        for segment in segments {
            sent.add(self.send(socket, &[single], &[segment]));
        }
        sent
    }
}

fn datagrams(messages: &[Message], from: usize, count: usize) -> usize {
    messages.iter().skip(from).take(count).map(|message| message.segment_count).sum()
}

fn vector(segment: &&[u8]) -> libc::iovec {
    libc::iovec { iov_base: segment.as_ptr().cast_mut().cast(), iov_len: segment.len() }
}

/// A header for each message, which points to its slot and to its own of the vectors.
fn headers(
    messages: &[Message],
    slots: &mut [Slot],
    mut vectors: &mut [libc::iovec],
) -> ArrayVec<libc::mmsghdr, SEND_BATCH_MAX> {
    let mut headers = ArrayVec::new();
    for (message, slot) in messages.iter().zip(slots) {
        let count = message.segment_count.min(vectors.len());
        let (its, rest) = std::mem::take(&mut vectors).split_at_mut(count);
        vectors = rest;
        headers.push(slot.header(its));
    }
    headers
}

impl Slot {
    fn new(message: &Message) -> Self {
        let (name, name_len) = to_storage(message.remote);
        let mut slot = Self { name, name_len, control: [0; CONTROL_WORDS], control_len: 0 };
        if message.segment_count > 1 {
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

    fn header(&mut self, vectors: &mut [libc::iovec]) -> libc::mmsghdr {
        // SAFETY: all bytes zero is a valid `mmsghdr`.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_name = (&raw mut self.name).cast();
        header.msg_hdr.msg_namelen = self.name_len;
        header.msg_hdr.msg_iov = vectors.as_mut_ptr();
        header.msg_hdr.msg_iovlen = vectors.len() as _;
        if self.control_len > 0 {
            header.msg_hdr.msg_control = self.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = self.control_len as _;
        }
        header
    }
}
