//! The demo's upstream resolver: every name there is has the address of the demo's origin.

use std::net::{Ipv4Addr, UdpSocket};

use crate::enforce::dns::{Data, Query, Response};
use crate::enforce::resolver::wire::{Rcode, RecordType};

/// Answers queries on `socket` for as long as the process lives.
pub(super) fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 1232];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
            // It is bound to loopback: there is nothing to wait for but the next query.
            continue;
        };
        let Ok(query) = Query::parse(buffer.get(..length).unwrap_or_default()) else {
            continue;
        };
        let data = if query.rtype == RecordType::A {
            Data::V4(Ipv4Addr::LOCALHOST)
        } else {
            Data::None
        };
        let response = Response {
            data,
            ttl_max: 60,
            ..Response::empty(Rcode::NOERROR, None)
        };
        let octets_max = query.udp_octets_max();
        let length = response.write(&query, &mut buffer, octets_max);
        let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), peer);
    }
}
