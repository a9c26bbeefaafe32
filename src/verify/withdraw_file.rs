//! [`WithdrawFile`]: the target `withdraw/LIST`, entries to let through now.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json;
use crate::policy::{EntryId, Withdrawal, WithdrawalReason, Withdrawn};

/// What a duty officer signs about one list (trust.md section 7.12).
///
/// ```text
/// {"format":1,"issued_at":"2026-11-24T06:00:00Z","items":[
///  {"id":"EX-1","reason":"error","until":"2026-11-27T06:00:00Z"},
///  {"reason":"appeal","until":"2026-11-25T06:00:00Z","value":"shared.example"}],"list":"csam"}
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WithdrawFile {
    /// The list's name in the repository.
    pub list: String,
    /// When it was made; no item lasts longer than 72 hours from then.
    pub issued_at: Timestamp,
    /// What is withdrawn.
    pub items: Vec<Withdrawal>,
}

impl WithdrawFile {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with its name.
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let value = json::read(file).map_err(|error| error.to_string())?;
        match value.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(format) => return Err(format!("is of format {format}; a newer cordon is needed")),
            None => return Err("does not say its format".to_owned()),
        }
        let list = text(&value, "list")?;
        let issued_at = time(&value, "issued_at")?;
        let items = value.get("items").and_then(Value::as_array);
        let items = items.ok_or("has no list `items`")?;
        if items.len() > WITHDRAWALS_MAX {
            return Err(format!("withdraws more than {WITHDRAWALS_MAX} entries"));
        }
        let longest = issued_at
            .checked_add(UNTIL_MAX)
            .map_err(|_| "has an impossible `issued_at`".to_owned())?;
        let item = |item: &Value| {
            let what = match (item.get("id"), item.get("value")) {
                (Some(Value::String(id)), None) => Withdrawn::Id(EntryId::new(id)),
                (None, Some(Value::String(value))) => Withdrawn::Value(value.clone()),
                _ => return Err("has an item with neither an id nor a value alone".to_owned()),
            };
            let reason = text(item, "reason")?;
            let until = time(item, "until")?;
            if until > longest {
                return Err(format!(
                    "withdraws until {until}, more than 72 hours after it was made"
                ));
            }
            Ok(Withdrawal {
                what,
                reason: WithdrawalReason::from_word(&reason)
                    .ok_or_else(|| format!("has the reason {reason}, which is none"))?,
                until,
            })
        };
        Ok(Self {
            list,
            issued_at,
            items: items.iter().map(item).collect::<Result<_, _>>()?,
        })
    }

    /// The file as a JSON value.
    #[must_use]
    pub fn file(&self) -> Value {
        let item = |item: &Withdrawal| {
            let (member, what) = match &item.what {
                Withdrawn::Id(id) => ("id", id.as_str()),
                Withdrawn::Value(value) => ("value", value.as_str()),
            };
            json!({member: what, "reason": item.reason.as_str(), "until": item.until.to_string()})
        };
        json!({
            "format": FORMAT,
            "issued_at": self.issued_at.to_string(),
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
            "list": self.list,
        })
    }
}

/// A member that is a text.
fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| format!("has no text `{name}`"))
}

/// A member that is a time.
fn time(value: &Value, name: &str) -> Result<Timestamp, String> {
    let text = text(value, name)?;
    text.parse()
        .map_err(|_| format!("has the time {text}, which is none"))
}

/// The most entries of one list that can be withdrawn at a time.
pub const WITHDRAWALS_MAX: usize = 1000;
/// The most octets of the file.
pub const WITHDRAW_OCTETS_MAX: u64 = 4 << 20;
/// How long a withdrawal lasts at most.
pub const UNTIL_MAX: jiff::SignedDuration = jiff::SignedDuration::from_hours(72);
/// The format of the file.
const FORMAT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Value), complaint: Option<&str>) {
        let mut file = json!({
            "format": 1, "issued_at": "2026-11-24T06:00:00Z", "list": "csam",
            "items": [
                {"id": "EX-1", "reason": "error", "until": "2026-11-27T06:00:00Z"},
                {"value": "shared.example", "reason": "appeal", "until": "2026-11-25T06:00:00Z"},
            ],
        });
        change(&mut file);
        match (WithdrawFile::read(file.to_string().as_bytes()), complaint) {
            (Ok(read), None) => assert_eq!(read.file(), file),
            (Err(error), Some(complaint)) => assert!(error.contains(complaint), "{error}"),
            (found, _) => panic!("{file}: {found:?}"),
        }
    }

    #[test]
    fn what_is_no_withdrawal_says_why() {
        check(|_| {}, None);
        check(|file| file["format"] = json!(2), Some("newer"));
        check(
            |file| file["items"][0]["until"] = json!("2026-11-27T06:00:01Z"),
            Some("72 hours"),
        );
        check(
            |file| file["items"][0]["reason"] = json!("money"),
            Some("money"),
        );
        check(
            |file| file["items"][0]["value"] = json!("x"),
            Some("neither"),
        );
        check(|file| file["items"] = json!(vec![0; 1001]), Some("1000"));
        check(|file| file["issued_at"] = json!("soon"), Some("soon"));
    }
}
