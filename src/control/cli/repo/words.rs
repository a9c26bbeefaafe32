//! What the authority's commands say, for people and for programs.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::command::Place;
use super::withdraw::{lapsed_lines, running_json, running_lines};
use crate::publish::{PublicKey, Published, Status};

/// What was staged of a list.
pub(super) fn staged_text(published: &Published) -> String {
    let Published { list, seq, .. } = published;
    format!(
        "Staged list {list}, serial {seq}: {} entries ({} added, {} removed){}.",
        grouped(published.entries),
        grouped(published.added),
        grouped(published.removed),
        match published.rejected {
            0 => String::new(),
            rows => format!(", {} left out", counted(rows, "row", "rows")),
        }
    )
}

/// What was published, and what to do next.
pub(super) fn published_text(place: &Place, published: &Published) -> String {
    let Published { list, seq, .. } = published;
    let mut lines = Vec::new();
    let entries = grouped(published.entries);
    let step = match published.step_octets {
        Some(octets) => format!(", {} from the version before", grouped(octets)),
        None => String::new(),
    };
    if published.is_new {
        lines.push(format!(
            "Published list {list}, serial {seq}: {entries} entries ({} added, {} removed), {} octets{step}.",
            grouped(published.added),
            grouped(published.removed),
            grouped(published.octets),
        ));
    } else {
        lines.push(format!(
            "List {list} stays at serial {seq}: the {entries} entries are those already published.",
        ));
    }
    if published.duplicates > 0 {
        lines.push(format!(
            "{} what another row says.",
            counted(published.duplicates, "row says", "rows say")
        ));
    }
    if published.rejected > 0 {
        lines.push(format!(
            "{} left out:",
            counted(published.rejected, "row was", "rows were")
        ));
        for reject in published.rejects.iter().take(REJECTS_SHOWN_MAX) {
            lines.push(format!("  line {}: {}", reject.line, reject.reason));
        }
        let more = published.rejected.saturating_sub(REJECTS_SHOWN_MAX as u64);
        if more > 0 {
            lines.push(format!("  and {} more", grouped(more)));
        }
    }
    if published.is_new && published.verdict.is_held {
        lines.push(format!(
            "Nodes hold this version until their operators decide: {}.",
            published.verdict.sentence()
        ));
    }
    lines.push(format!(
        "It expires {}: have `cordon repo refresh {} --keys {}` run every few minutes.",
        published.expires,
        place.repo.display(),
        place.keys.display(),
    ));
    lines.join("\n")
}

/// The same for programs.
pub(super) fn published_json(published: &Published) -> serde_json::Value {
    let quarantined: Vec<_> = published
        .rejects
        .iter()
        .map(|reject| json!({"line": reject.line, "reason": reject.reason}))
        .collect();
    json!({
        "list": published.list,
        "guards": published.verdict.trips,
        "held_by_nodes": published.verdict.is_held,
        "seq": published.seq,
        "new": published.is_new,
        "entries": published.entries,
        "added": published.added,
        "removed": published.removed,
        "duplicates": published.duplicates,
        "quarantined": published.rejected,
        "quarantined_rows": quarantined,
        "octets": published.octets,
        "step_octets": published.step_octets,
        "expires": published.expires,
        "warnings": published.warnings,
    })
}

/// How a repository stands.
pub(super) fn status_text(repo: &Path, status: &Status, now: Timestamp) -> String {
    let mut lines = vec![format!("Repository {}", repo.display()), String::new()];
    for list in &status.lists {
        let version = match list.seq {
            Some(seq) => format!(
                "serial {seq}, {} entries, issued {}",
                grouped(list.entries),
                list.issued_at.as_deref().unwrap_or("at an unknown time"),
            ),
            None => "nothing published yet".to_owned(),
        };
        lines.push(format!("list {} ({}): {version}", list.list, list.title));
    }
    if status.lists.is_empty() {
        lines.push("no lists; `cordon repo delegate` makes one".to_owned());
    }
    for withdrawn in &status.withdrawn {
        match withdrawn {
            Ok(running) => {
                lines.push(format!("withdrawn of list {}:", running.list));
                lines.extend(running_lines(running));
                lines.extend(lapsed_lines(running));
            }
            Err(error) => lines.push(format!("withdrawals cannot be read: {error}")),
        }
    }
    lines.push(String::new());
    for role in &status.roles {
        let names: Vec<&str> = role
            .keys
            .iter()
            .filter_map(|(_, name)| name.as_deref())
            .collect();
        let at_hand = match names.as_slice() {
            [] => String::new(),
            names => format!("; at hand: {}", names.join(", ")),
        };
        let expires = match role.expires > now {
            true => format!("expires {}, renewed from {} on", role.expires, role.due),
            false => format!("EXPIRED {}: renew it", role.expires),
        };
        lines.push(format!(
            "{:<20} version {}, {expires}; signed by {} of {} keys{at_hand}",
            role.role,
            role.version,
            role.threshold,
            role.keys.len(),
        ));
    }
    lines.join("\n")
}

/// The same for programs.
pub(super) fn status_json(status: &Status) -> serde_json::Value {
    let roles: Vec<_> = status
        .roles
        .iter()
        .map(|role| {
            let keys: Vec<_> = role
                .keys
                .iter()
                .map(|(id, name)| json!({"id": id, "name": name}))
                .collect();
            json!({
                "role": role.role, "version": role.version, "expires": role.expires,
                "due": role.due, "threshold": role.threshold, "keys": keys,
            })
        })
        .collect();
    let lists: Vec<_> = status
        .lists
        .iter()
        .map(|list| {
            json!({
                "list": list.list, "title": list.title, "seq": list.seq,
                "entries": list.entries, "issued_at": list.issued_at,
            })
        })
        .collect();
    let withdrawn: Vec<_> = status
        .withdrawn
        .iter()
        .map(|withdrawn| match withdrawn {
            Ok(running) => running_json(running),
            Err(error) => json!({"error": error}),
        })
        .collect();
    json!({"roles": roles, "lists": lists, "withdrawn": withdrawn})
}

/// Keys, a line each.
pub(super) fn keys_text(keys: &[PublicKey]) -> String {
    keys.iter()
        .map(|key| format!("  {:<20} {}\n", key.name, key.id))
        .collect()
}

/// The same for programs.
pub(super) fn keys_json(keys: &[PublicKey]) -> serde_json::Value {
    keys.iter()
        .map(|key| json!({"name": key.name, "id": key.id, "public": key.public}))
        .collect()
}

/// A number and its noun.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How many rows that were left out are shown.
const REJECTS_SHOWN_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::RoleStatus;

    #[test]
    fn a_role_that_expired_says_so() {
        let role = RoleStatus {
            role: "timestamp".to_owned(),
            version: 1,
            expires: "2026-11-24T12:00:00Z".parse().unwrap(),
            due: "2026-11-24T09:00:00Z".parse().unwrap(),
            threshold: 1,
            keys: Vec::new(),
        };
        let status = Status {
            roles: vec![role],
            lists: Vec::new(),
            withdrawn: Vec::new(),
        };
        let check = |now: &str, expected: &str| {
            let text = status_text(Path::new("repo"), &status, now.parse().unwrap());
            assert!(text.contains(expected), "{text}");
        };
        check(
            "2026-11-24T11:59:59Z",
            "expires 2026-11-24T12:00:00Z, renewed from",
        );
        check("2026-11-24T12:00:00Z", "EXPIRED 2026-11-24T12:00:00Z");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
