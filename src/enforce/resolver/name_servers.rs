//! The name servers of the zones above a name, looked up through the upstreams (rpz.md T9).

use std::net::IpAddr;

use super::wire::name_at;
use super::{Admission, Question, RecordType};
use crate::policy::{Name, NameServer};

impl Admission {
    /// The name servers of the zones at and above a name whose own names have at least
    /// `dots_min` dots, from the last to the first in DNSSEC's canonical order; with their
    /// addresses, where these are wanted. What cannot be found out is left out: who only
    /// forwards sees no delegation, and asks for what the zones say of themselves.
    ///
    /// At most `ZONES_MAX` zones, the closest to the name, and `SERVERS_MAX` servers.
    pub async fn name_servers(
        &self,
        name: &Name,
        dots_min: u8,
        with_addresses: bool,
    ) -> Vec<NameServer> {
        let mut found: Vec<NameServer> = Vec::new();
        for zone in name.and_parents().take(ZONES_MAX) {
            let Ok((zone, _)) = Name::from_wire(zone) else {
                break;
            };
            let dots = u8::try_from(zone.label_count().saturating_sub(1)).unwrap_or(u8::MAX);
            if dots < dots_min {
                break;
            }
            for server in self.servers_of(&zone).await {
                // From the closest zone up: the most dots were met first.
                let is_known = found.iter().any(|known| known.name == server);
                if !is_known && found.len() < SERVERS_MAX {
                    found.push(NameServer {
                        name: server,
                        zone_dots: dots,
                        addresses: Vec::new(),
                    });
                }
            }
        }
        if with_addresses {
            for server in &mut found {
                server.addresses = self.addresses_of_server(server.name).await;
            }
        }
        found.sort_by(|one, other| other.name.canonical_cmp(&one.name));
        found
    }

    /// What a zone says are its name servers; none where the name is no zone's. The root is
    /// none (rpz.md T4).
    async fn servers_of(&self, zone: &Name) -> Vec<Name> {
        let answer = self.resolve(&Question::new(*zone, RecordType::NS)).await;
        let servers = answer.answer_records().filter(|record| {
            record.rtype == RecordType::NS && name_at(answer.octets(), record.start) == Some(*zone)
        });
        servers
            .filter_map(|record| name_at(answer.octets(), record.data_at))
            .filter(|server| !server.is_root())
            .collect()
    }

    async fn addresses_of_server(&self, server: Name) -> Vec<IpAddr> {
        let of = |rtype| async move {
            let answer = self.resolve(&Question::new(server, rtype)).await;
            answer.addresses(server).1
        };
        let (mut v4, v6) = tokio::join!(of(RecordType::A), of(RecordType::AAAA));
        v4.extend(v6);
        v4
    }
}

/// The most zones that are asked for their name servers.
const ZONES_MAX: usize = 8;
/// The most name servers of one name that are looked at.
const SERVERS_MAX: usize = 32;
