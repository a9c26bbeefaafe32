//! What `cordon hold` and `cordon allow` show: what is held with the difference it would
//! make, and which names pass.

use std::fmt::Write;

use serde_json::json;

use crate::config::Config;
use crate::control::clock;
use crate::control::levers::allowed::Allowed;
use crate::control::rulings::stored::stored;
use crate::control::rulings::versions::peek;
use crate::control::shown::Shown;
use crate::control::terminal::minute;

/// What guards hold back, with what it would change, for who decides on it.
///
/// # Errors
/// None that can be met: everything in it can be written as JSON.
pub(crate) fn shown_held(config: &Config) -> Result<Shown, String> {
    let (mut text, mut rows) = (String::new(), Vec::new());
    for settings in &config.lists {
        let standing = peek(config, settings);
        let list = &settings.name;
        if let Some(held) = &standing.held {
            let in_force = standing.in_force.as_ref().map_or_else(
                || "nothing is in force".to_owned(),
                |version| match stored(&config.state, settings).contains(&version.stored()) {
                    true => format!("{version} stays in force"),
                    false => format!("{version} is to be in force, and is not on disk"),
                },
            );
            let name = held.version.serial().map_or_else(
                || held.version.digest().chars().take(12).collect(),
                |serial| serial.to_string(),
            );
            let _ = writeln!(
                text,
                "{list}: {} is held since {}; {in_force}",
                held.version,
                minute(held.since)
            );
            for trip in &held.trips {
                let _ = writeln!(text, "  {}: {}", trip.guard.as_str(), trip.sentence);
            }
            if let Some(reason) = &held.accepted {
                let _ = writeln!(text, "  the authority knew, and says: {reason}");
            }
            for line in held.difference.to_text(true).lines() {
                let _ = writeln!(text, "  {line}");
            }
            let _ = writeln!(
                text,
                "  to decide: cordon hold accept {list} {name} --by NAME --reason TEXT, or cordon hold reject …\n"
            );
            rows.push(json!({
                "list": list,
                "version": held.version,
                "in_force": standing.in_force,
                "since": held.since,
                "trips": held.trips,
                "difference": held.difference,
                "accepted": held.accepted,
            }));
        }
    }
    if rows.is_empty() {
        text += "Nothing is held.\n";
    }
    let json = json!({ "held": rows });
    Ok(Shown { text, json })
}

/// Which names a person lets through, and until when.
///
/// # Errors
/// None that can be met: everything in it can be written as JSON.
pub(crate) fn shown_allowed(config: &Config) -> Result<Shown, String> {
    let allowed = Allowed::peek(&config.state);
    let names: Vec<_> = allowed.at(clock::timestamp()).collect();
    let mut text = String::new();
    for name in &names {
        let _ = writeln!(
            text,
            "{} and all below it pass until {}\n  by {}, {}: {}",
            name.name,
            minute(name.until),
            name.by,
            minute(name.since),
            name.reason
        );
    }
    if names.is_empty() {
        text += "No name is let through.\n";
    }
    let json = json!({ "allowed": names });
    Ok(Shown { text, json })
}
