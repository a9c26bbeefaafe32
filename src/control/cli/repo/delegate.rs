//! `cordon repo delegate`: gives a list to keys of its own, or withdrawals to duty officers.

use std::path::PathBuf;

use serde_json::json;

use super::at_hand::{keys, public_keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, free_text, say, say_json};
use super::words::{keys_json, keys_text};
use crate::control::ExitError;
use crate::control::clock;
use crate::policy::Category;
use crate::publish::{Delegation, PublicKey};

/// What is asked of `cordon repo delegate`.
#[derive(Debug, clap::Args)]
pub(crate) struct DelegateArguments {
    #[command(flatten)]
    place: Place,
    /// The list's name: a-z, 0-9 and -.
    #[arg(long, required_unless_present = "withdraw")]
    list: Option<String>,
    /// Its title, in English.
    #[arg(long, value_parser = free_text, required_unless_present = "withdraw")]
    title: Option<String>,
    /// The class of its content.
    #[arg(long, value_parser = category, required_unless_present = "withdraw")]
    category: Option<Category>,
    /// How many keys must sign the list; as many are made where none are given.
    #[arg(long, default_value_t = 1)]
    threshold: usize,
    /// A keeper's public key; repeat it.
    #[arg(long, value_name = "FILE.pub")]
    key: Vec<PathBuf>,
    /// Delegate withdrawals instead: each of the keys alone may let entries of any list
    /// through for a time, with `cordon repo withdraw`.
    #[arg(long, conflicts_with_all = ["list", "title", "category", "threshold"])]
    withdraw: bool,
    #[command(flatten)]
    stage: Stage,
    #[command(flatten)]
    output: Output,
}

impl DelegateArguments {
    /// Delegates, and says to whom.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let now = clock::timestamp();
        let mut keys = keys(&self.place)?;
        let keepers = public_keys(&self.key)?;
        let mut repository = repository(&self.place, self.stage)?;
        let made = match self.delegation() {
            Some(delegation) => repository.delegate_to(&mut keys, &delegation, &keepers, now),
            None => repository.delegate_withdraw(&mut keys, &keepers, now),
        };
        let made = made.map_err(exit)?;
        drop(repository);
        if self.output.json {
            let signers = if made.is_empty() { &keepers } else { &made };
            return say_json(&json!({
                "list": self.list, "role": self.role(),
                "keys": keys_json(signers), "staged": self.stage.stage,
            }));
        }
        let whose = self.whose(&keepers, &made);
        let what = match &self.list {
            Some(list) => format!("list {list}"),
            None => "withdrawals".to_owned(),
        };
        match self.stage.next(&self.place, &keys)? {
            Some(next) => say(&format!("Staged the delegation of {what} {whose}\n{next}")),
            None => say(&format!("Delegated {what} {whose}\n{}", self.next())),
        }
    }

    /// The list that is to be delegated; nothing for withdrawals.
    fn delegation(&self) -> Option<Delegation> {
        Some(Delegation {
            list: self.list.clone()?,
            title: self.title.clone()?,
            category: self.category?,
            threshold: self.threshold,
        })
    }

    /// The role of it.
    fn role(&self) -> String {
        match &self.list {
            Some(list) => format!("list-{list}"),
            None => "withdraw".to_owned(),
        }
    }

    /// Whose it is now.
    fn whose(&self, keepers: &[PublicKey], made: &[PublicKey]) -> String {
        let (whose, shown) = match (made, &self.list) {
            ([], Some(_)) => {
                let whose = format!("to {} of these keys of its keepers", self.threshold);
                (whose, keepers)
            }
            ([], None) => ("to these keys, each of which is enough".to_owned(), keepers),
            (made, _) => (format!("to keys in {}", self.place.keys.display()), made),
        };
        format!("{whose}:\n\n{}", keys_text(shown))
    }

    /// What is to be done next.
    fn next(&self) -> String {
        let (repo, keys) = (self.place.repo.display(), self.place.keys.display());
        match &self.list {
            Some(list) => format!(
                "Next: cordon repo publish {repo} --keys {keys} --list {list} --from FILE --format FORMAT --legal legal.yaml"
            ),
            None => format!(
                "In an emergency: cordon repo withdraw {repo} --keys {keys} --list LIST --value NAME --reason error\n\
                 The role ends after a week: have `cordon repo refresh {repo} --keys {keys}` run every few minutes."
            ),
        }
    }
}

fn category(word: &str) -> Result<Category, String> {
    let published = Category::ALL
        .into_iter()
        .filter(|category| *category != Category::Local);
    let words: Vec<&str> = published.map(Category::as_str).collect();
    Category::from_word(word)
        .filter(|category| *category != Category::Local)
        .ok_or_else(|| format!("is none of {}", words.join(", ")))
}
