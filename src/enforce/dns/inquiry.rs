//! [`Inquiry`]: a query whose answer needs something to be found out first.

use super::Query;
use super::chain::{Chain, Found};
use super::exchange::Aged;
use crate::compile::Policing;
use crate::enforce::resolver::Question;
use crate::policy::{Action, Decision, Name, NameServer, RuleId};

/// A query that waits, and what policy said of it so far.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// The query.
    pub query: Query,
    /// What is to be found out.
    pub need: Need,
    /// What the answer is for.
    pub(super) wanted: Wanted,
    pub(super) policing: Policing,
    /// Whether policy may say something about the truth.
    pub(super) must_know: bool,
    /// The truth, once policy rewrites it.
    pub(super) truth: Option<Aged>,
    /// How many aliases of it lead to where policy rewrites it.
    pub(super) aliases: usize,
    /// The name servers of the stages, as far as they were found out.
    pub(super) servers: Vec<(Name, Vec<NameServer>)>,
}

/// What is to be found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// The answer to a question.
    Answer(Question),
    /// The name servers of the zones at and above a name, of those whose names have so many
    /// dots at least; and whether with their addresses.
    NameServers(Name, u8, bool),
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// It is the truth about the question.
    Truth,
    /// It is what an alias of a rule leads to, and is not judged (rpz.md A13).
    Target { rule: RuleId, action: Action },
}

impl Inquiry {
    pub(super) fn of(query: Query, policing: Policing, must_know: bool) -> Self {
        Self {
            need: Need::Answer(Question::from(&query)),
            query,
            wanted: Wanted::Truth,
            policing,
            must_know,
            truth: None,
            aliases: 0,
            servers: Vec::new(),
        }
    }

    /// What policy said.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        self.policing.decision()
    }

    /// The aliases before the name where policy rewrites, and that name.
    pub(super) fn chain(&self) -> (Chain, Name) {
        let (mut chain, mut name) = (Chain::new(), self.query.name);
        let Some(truth) = &self.truth else {
            return (chain, name);
        };
        while chain.len() < self.aliases
            && let Some(alias) = Found::at(&truth.answer, &name, self.query.rtype).alias
        {
            name = alias.target;
            chain.push(alias);
        }
        (chain, name)
    }
}
