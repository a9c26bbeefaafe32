//! [`Datagrams`]: receives and sends UDP packets in batches, one system call each.
//!
//! The only file of this folder with `unsafe`: `recvmmsg`, `sendmmsg` and `sendmsg` are not
//! offered by any safe interface with the packets' destination addresses.

#![expect(unsafe_code, reason = "batched socket calls take pointers")]

use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use socket2::Socket;

/// Buffers for [`BATCH`] packets, each with its sender and, on a wildcard address, the local
/// address that it was sent to. Made once, used for ever.
pub(super) struct Datagrams {
    slots: Box<[Slot]>,
    headers: Box<[libc::mmsghdr]>,
    received: usize,
    /// Where in `slots` the replies are, in the order of sending.
    replies: [usize; BATCH],
    reply_count: usize,
}

/// One packet and its buffers.
struct Slot {
    octets: [u8; PACKET_OCTETS],
    peer: libc::sockaddr_storage,
    control: Control,
    vector: libc::iovec,
}

impl Slot {
    /// A header that points at this slot's own buffers.
    fn header(&mut self, peer_octets: libc::socklen_t, control_octets: usize) -> libc::msghdr {
        self.vector.iov_base = self.octets.as_mut_ptr().cast();
        // SAFETY: zero is a valid `msghdr`.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = (&raw mut self.peer).cast();
        header.msg_namelen = peer_octets.min(PEER_OCTETS);
        header.msg_iov = &raw mut self.vector;
        header.msg_iovlen = 1;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = control_octets.min(CONTROL_OCTETS);
        header
    }
}

/// Room for the one control message that says a packet's destination.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

/// One received packet, to be read and written over.
pub(super) struct Datagram<'a> {
    /// The buffer; the packet is its first `len` octets.
    pub(super) buffer: &'a mut [u8; PACKET_OCTETS],
    /// The length of the packet.
    pub(super) len: usize,
    /// Who sent it.
    pub(super) peer: SocketAddr,
}

/// Where a reply goes that is sent later: the sender of a packet, and the local address that
/// it was sent to.
#[derive(Clone, Copy)]
pub(super) struct ReturnPath {
    peer: libc::sockaddr_storage,
    peer_octets: libc::socklen_t,
    control: Control,
    control_octets: usize,
}

impl Datagrams {
    /// Buffers for one socket.
    pub(super) fn new() -> Self {
        // SAFETY: all of these are plain C structures, for which zero is a valid value
        // (null pointers, no address).
        let (peer, header) = unsafe { (zeroed(), zeroed::<libc::mmsghdr>()) };
        let slot = || Slot {
            octets: [0; PACKET_OCTETS],
            peer,
            control: Control([0; CONTROL_OCTETS]),
            vector: libc::iovec {
                iov_base: null_mut(),
                iov_len: 0,
            },
        };
        Self {
            slots: (0..BATCH).map(|_| slot()).collect(),
            headers: vec![header; BATCH].into(),
            received: 0,
            replies: [0; BATCH],
            reply_count: 0,
        }
    }

    /// Waits for a packet, takes what else is there, and returns how many there are.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when nothing came within the socket's timeout.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        self.received = 0;
        self.reply_count = 0;
        for (slot, header) in self.slots.iter_mut().zip(&mut self.headers) {
            slot.vector.iov_len = PACKET_OCTETS;
            *header = libc::mmsghdr {
                msg_len: 0,
                msg_hdr: slot.header(PEER_OCTETS, CONTROL_OCTETS),
            };
        }
        let flags = if wait {
            libc::MSG_WAITFORONE
        } else {
            libc::MSG_DONTWAIT
        };
        // SAFETY: `headers` has BATCH elements, and each points at a name, a vector, a buffer
        // and a control buffer of its own slot with their true lengths; all of them live in
        // boxes that `self` owns and that nobody else touches during the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH_LEN,
                flags,
                null_mut(),
            )
        };
        self.received = usize::try_from(received)
            .map_err(|_| io::Error::last_os_error())?
            .min(BATCH);
        Ok(self.received)
    }

    /// The packet at `index` of those received; nothing for one without a usable sender.
    pub(super) fn datagram(&mut self, index: usize) -> Option<Datagram<'_>> {
        if index >= self.received {
            return None;
        }
        let header = self.headers.get(index)?;
        let slot = self.slots.get_mut(index)?;
        let len = usize::try_from(header.msg_len).ok()?.min(PACKET_OCTETS);
        let peer = socket_address(&slot.peer, header.msg_hdr.msg_namelen)?;
        // Nobody can be answered at port 0.
        (peer.port() != 0).then_some(Datagram {
            buffer: &mut slot.octets,
            len,
            peer,
        })
    }

    /// Where an answer to the packet at `index` goes that is not ready yet.
    pub(super) fn return_path(&self, index: usize) -> Option<ReturnPath> {
        let (slot, header) = (self.slots.get(index)?, self.headers.get(index)?);
        Some(ReturnPath {
            peer: slot.peer,
            peer_octets: header.msg_hdr.msg_namelen,
            control: slot.control,
            control_octets: header.msg_hdr.msg_controllen.min(CONTROL_OCTETS),
        })
    }

    /// Takes the first `len` octets of the packet's buffer as the answer to it, to be sent
    /// by [`Self::flush`].
    pub(super) fn reply(&mut self, index: usize, len: usize) {
        if let (Some(slot), Some(place)) = (
            self.slots.get_mut(index),
            self.replies.get_mut(self.reply_count),
        ) {
            slot.vector.iov_len = len.min(PACKET_OCTETS);
            *place = index;
            self.reply_count += 1;
        }
    }

    /// Sends the replies. One that the kernel refuses is left out: its client is gone, or
    /// asks again.
    pub(super) fn flush(&mut self, socket: &UdpSocket) {
        // Replies are in the order of their packets, so that headers only move down, to
        // places whose packets have none or have moved already.
        for (place, index) in self.replies.iter().take(self.reply_count).enumerate() {
            if let (Some(header), Some(slot)) = (
                self.headers.get(*index).copied(),
                self.slots.get_mut(*index),
            ) {
                let header = header.msg_hdr;
                let header = slot.header(header.msg_namelen, header.msg_controllen);
                forget_interface(&header);
                if let Some(at) = self.headers.get_mut(place) {
                    at.msg_hdr = header;
                }
            }
        }
        let mut sent = 0;
        while let Some(rest) = self.headers.get_mut(sent..self.reply_count) {
            let Ok(len @ 1..) = libc::c_uint::try_from(rest.len()) else {
                break;
            };
            // SAFETY: `rest` has `len` headers, each of which points at the name, vector and
            // control buffer of a slot of `self`, with lengths that the kernel gave or that
            // `reply` bounded by the buffer.
            let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), len, 0) };
            match usize::try_from(done) {
                Ok(done @ 1..) => sent += done,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The first of the rest is refused.
                _ => sent += 1,
            }
        }
        self.reply_count = 0;
    }
}

impl ReturnPath {
    /// Sends one answer without waiting.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the socket's buffer is full.
    pub(super) fn send(&mut self, socket: &UdpSocket, octets: &[u8]) -> io::Result<()> {
        let mut vector = libc::iovec {
            iov_base: octets.as_ptr().cast_mut().cast(),
            iov_len: octets.len(),
        };
        // SAFETY: zero is a valid `msghdr`.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = (&raw mut self.peer).cast();
        header.msg_namelen = self.peer_octets;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = self.control_octets;
        forget_interface(&header);
        // SAFETY: the header points at `self`'s address and control buffer and at `octets`,
        // with their true lengths; the kernel only reads them.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

// SAFETY: the pointers in `slots` and `headers` point into boxes that `self` owns alone, and
// are written anew before each use; nothing about them belongs to a thread.
unsafe impl Send for Datagrams {}

/// Asks the kernel to say each packet's destination, for a socket at a wildcard address.
pub(super) fn ask_for_destinations(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let (level, option) = if address.is_ipv4() {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    let on: libc::c_int = 1;
    let octets = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: both options take one `int`, which `on` is, of that length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            octets,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes the interface out of a control message that the kernel gave, so that a reply takes
/// the route to its receiver; a link-local address needs it.
fn forget_interface(header: &libc::msghdr) {
    // SAFETY: `header` has a control buffer of `msg_controllen` octets, aligned as control
    // messages need, which the kernel filled with whole messages; CMSG_FIRSTHDR gives null
    // unless one is there. The data of the two kinds are those structures.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null() {
            return;
        }
        match ((*message).cmsg_level, (*message).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>();
                (*info).ipi_ifindex = 0;
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>();
                let is_link_local = matches!((*info).ipi6_addr.s6_addr, [0xfe, 0x80..=0xbf, ..]);
                if !is_link_local {
                    (*info).ipi6_ifindex = 0;
                }
            }
            _ => {}
        }
    }
}

/// The address in a structure of which the kernel filled so many octets.
fn socket_address(storage: &libc::sockaddr_storage, octets: libc::socklen_t) -> Option<SocketAddr> {
    let octets = usize::try_from(octets).ok()?;
    let storage = &raw const *storage;
    // SAFETY: `sockaddr_storage` is large enough and aligned for every address, and its
    // family says which one the kernel wrote; that it wrote all of it is checked.
    unsafe {
        match libc::c_int::from((*storage).ss_family) {
            libc::AF_INET if octets >= size_of::<libc::sockaddr_in>() => {
                let address = &*storage.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                Some(SocketAddr::from((ip, u16::from_be(address.sin_port))))
            }
            libc::AF_INET6 if octets >= size_of::<libc::sockaddr_in6>() => {
                let address = &*storage.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Some(SocketAddr::from((ip, u16::from_be(address.sin6_port))))
            }
            _ => None,
        }
    }
}

/// The most packets that one system call takes.
pub(super) const BATCH: usize = 32;
const BATCH_LEN: libc::c_uint = 32;
/// The longest packet that is taken, in octets; of a longer one the rest is lost, and so it
/// is malformed.
pub(super) const PACKET_OCTETS: usize = 4096;
/// Room for a control message with a destination address.
const CONTROL_OCTETS: usize = 64;
/// The length of the structure for addresses.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the structure has 128 octets"
)]
const PEER_OCTETS: libc::socklen_t = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
