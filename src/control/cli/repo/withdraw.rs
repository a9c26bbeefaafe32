//! `cordon repo withdraw`: lets entries through at once, before their list drops them.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, free_text, say, say_json};
use crate::control::ExitError;
use crate::control::clock;
use crate::policy::{EntryId, Withdrawal, WithdrawalReason, Withdrawn};
use crate::publish::{UNTIL_DEFAULT, Withdraw, Withdrawing};

/// What is asked of `cordon repo withdraw`.
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawArguments {
    #[command(flatten)]
    place: Place,
    /// The list.
    #[arg(long)]
    list: String,
    /// The id of an entry; may be given more than once.
    #[arg(long = "entry", value_name = "ID", value_parser = free_text, required_unless_present = "values")]
    entries: Vec<String>,
    /// The value of entries, such as a name or a URL; may be given more than once.
    #[arg(long = "value", value_name = "VALUE", value_parser = free_text)]
    values: Vec<String>,
    /// Why: error, appeal, content_gone, replaced or expired.
    #[arg(long, value_parser = reason, required_unless_present = "undo", default_value_if("undo", "true", "error"))]
    reason: Option<WithdrawalReason>,
    /// Until when: a duration such as 24h, or a time; 72h at most. By then the list itself must
    /// have dropped the entries, or they are enforced again.
    #[arg(long, value_parser = until, default_value = "72h")]
    until: Until,
    /// Withdraw even what the list as it is published here has not: nodes may enforce it, as
    /// after the theft of the list's key.
    #[arg(long)]
    unlisted: bool,
    /// Take the withdrawal back: the entries are enforced again.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    stage: Stage,
    #[command(flatten)]
    output: Output,
}

/// When a withdrawal ends.
#[derive(Clone, Copy, Debug)]
enum Until {
    After(SignedDuration),
    At(Timestamp),
}

impl WithdrawArguments {
    /// Withdraws, and says what runs now.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let now = clock::timestamp();
        let ids = self
            .entries
            .iter()
            .map(|id| Withdrawn::Id(EntryId::new(id)));
        let values = self.values.iter().cloned().map(Withdrawn::Value);
        let withdraw = Withdraw {
            list: self.list.clone(),
            what: ids.chain(values).collect(),
            reason: self.reason.unwrap_or(WithdrawalReason::Error),
            until: match self.until {
                Until::After(time) => now.checked_add(time).unwrap_or(Timestamp::MAX),
                Until::At(time) => time,
            },
            undo: self.undo,
            unlisted: self.unlisted,
        };
        let keys = keys(&self.place)?;
        let mut repository = repository(&self.place, self.stage)?;
        let running = repository.withdraw(&keys, &withdraw, now).map_err(exit)?;
        drop(repository);
        if self.output.json {
            return say_json(&running_json(&running));
        }
        if let Some(next) = self.stage.next(&self.place, &keys)? {
            return say(&next);
        }
        let list = &self.list;
        if running.running.is_empty() {
            return say(&format!("Nothing of list {list} is withdrawn any more."));
        }
        say(&format!(
            "Withdrawn of list {list}, from each node's next poll on:\n{}\n\
             Publish the list without them before that: else they are enforced again.",
            running_lines(&running).join("\n"),
        ))
    }
}

/// What is withdrawn, a line for each.
pub(super) fn running_lines(running: &Withdrawing) -> Vec<String> {
    let line = |(item, entries): &(Withdrawal, Vec<String>)| {
        let what = match &item.what {
            Withdrawn::Id(id) => format!("entry {id}"),
            Withdrawn::Value(value) => value.clone(),
        };
        let stands = match entries.as_slice() {
            [] => "not on the list".to_owned(),
            entries => format!("still on the list: {}", entries.join(", ")),
        };
        format!(
            "  {what}, {}, until {}; {stands}",
            item.reason.as_str(),
            item.until
        )
    };
    running.running.iter().map(line).collect()
}

/// What ended and the list never confirmed, a line for each.
pub(super) fn lapsed_lines(withdrawing: &Withdrawing) -> Vec<String> {
    let line = |(item, entries): &(Withdrawal, Vec<String>)| {
        format!(
            "  LAPSED {}, and enforced again: {}; publish the list without it, or withdraw it anew",
            item.until,
            entries.join(", ")
        )
    };
    withdrawing.lapsed.iter().map(line).collect()
}

/// The same for programs.
pub(super) fn running_json(running: &Withdrawing) -> serde_json::Value {
    let items = |items: &[(Withdrawal, Vec<String>)]| -> Vec<_> {
        let item = |(item, entries): &(Withdrawal, Vec<String>)| {
            let (id, value) = match &item.what {
                Withdrawn::Id(id) => (Some(id.as_str()), None),
                Withdrawn::Value(value) => (None, Some(value.as_str())),
            };
            json!({
                "entry": id, "value": value, "reason": item.reason.as_str(),
                "until": item.until, "on_list": entries,
            })
        };
        items.iter().map(item).collect()
    };
    json!({
        "list": running.list,
        "withdrawn": items(&running.running), "lapsed": items(&running.lapsed),
    })
}

fn reason(word: &str) -> Result<WithdrawalReason, String> {
    let known = WithdrawalReason::ALL.map(WithdrawalReason::as_str);
    WithdrawalReason::from_word(word).ok_or_else(|| format!("is none of {}", known.join(", ")))
}

fn until(word: &str) -> Result<Until, String> {
    if let Ok(time) = word.parse() {
        return Ok(Until::At(time));
    }
    let hours = |number: &str, unit: i64| {
        let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
        number.checked_mul(unit).map(SignedDuration::from_secs)
    };
    let time = match word.chars().last() {
        Some('m') => word.strip_suffix('m').and_then(|number| hours(number, 60)),
        Some('h') => word
            .strip_suffix('h')
            .and_then(|number| hours(number, 3600)),
        Some('d') => word
            .strip_suffix('d')
            .and_then(|number| hours(number, 86_400)),
        _ => None,
    };
    match time {
        Some(time) if time <= UNTIL_DEFAULT => Ok(Until::After(time)),
        Some(_) => Err(
            "is longer than 72h; the list itself must drop what is to stay withdrawn".to_owned(),
        ),
        None => Err(
            "is neither a duration such as 24h nor a time such as 2026-11-27T06:00:00Z".to_owned(),
        ),
    }
}
