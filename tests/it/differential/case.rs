//! [`Case`]: one world, the policy about it, and questions; [`Difference`]: where two servers
//! said something else, made as small as it can be.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::asking::ask;
use super::bind::Bind;
use super::deviations::{DEVIATIONS, How};
use super::node::Node;
use super::policy::{Policy, network};
use super::question::{Question, Said};
use super::world::World;
use crate::random::Random;

pub(super) struct Case {
    pub(super) number: usize,
    pub(super) world: World,
    pub(super) policy: Policy,
    questions: Vec<Question>,
}

/// Where two servers differ, and no known deviation is why.
pub(super) struct Difference {
    world: World,
    policy: Policy,
    question: Question,
    ours: Said,
    bind: Said,
}

/// What came of a case.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) differences: Vec<Difference>,
    /// The rule of each deviation that was excused.
    pub(super) excused: Vec<&'static str>,
    /// What both said, in a word, of each question.
    pub(super) said: Vec<&'static str>,
}

impl Case {
    pub(super) fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let mut world = World::new(number, random);
        let policy = Policy::new(number, &world, random);
        if policy.spares_clients() {
            world.leave_aliases_unsigned();
        }
        let questions = (0..QUESTIONS)
            .map(|_| Question::new(&world, random))
            .collect();
        Self {
            number,
            world,
            policy,
            questions,
        }
    }

    /// Asks both everything.
    pub(super) fn run(&self, node: &Node, bind: SocketAddr) -> Outcome {
        let mut outcome = Outcome::default();
        // What is asked for all there is must find nothing remembered: an answer would be that.
        let (first, then): (Vec<&Question>, Vec<&Question>) = self
            .questions
            .iter()
            .partition(|question| question.rtype == RecordType::ANY);
        for questions in [first, then] {
            node.put(&self.policy);
            let (mut ours, mut theirs) = std::thread::scope(|scope| {
                let ours = scope.spawn(|| self.ask(node.address, &questions, PATIENCE));
                let theirs = self.ask(bind, &questions, PATIENCE);
                (ours.join().unwrap(), theirs)
            });
            self.ask_again(node.address, &questions, &mut ours, &theirs);
            self.ask_again(bind, &questions, &mut theirs, &ours);
            for ((question, ours), theirs) in questions.into_iter().zip(ours).zip(theirs) {
                self.compare(node, question, ours, theirs, &mut outcome);
            }
        }
        outcome
    }

    fn ask(&self, server: SocketAddr, questions: &[&Question], patience: Duration) -> Vec<Said> {
        ask(server, network(self.number), questions, patience)
    }

    fn one(&self, server: SocketAddr, question: &Question) -> Said {
        let said = self.ask(server, &[question], LONG_PATIENCE);
        said.into_iter().next().unwrap()
    }

    /// What is said to a question where another said that: silence is waited for the longer
    /// where it would differ.
    fn once_more(&self, server: SocketAddr, question: &Question, other: &Said) -> Said {
        let patience = match other {
            Said::Nothing => PATIENCE,
            Said::Answer { .. } => LONG_PATIENCE,
        };
        let said = self.ask(server, &[question], patience);
        said.into_iter().next().unwrap()
    }

    /// Asks again, and waits for longer, where nothing was said and the other one said something
    /// or no rule is to say nothing.
    fn ask_again(
        &self,
        server: SocketAddr,
        questions: &[&Question],
        said: &mut [Said],
        others: &[Said],
    ) {
        let may_drop = self.policy.may_drop();
        let places: Vec<usize> = (0..said.len())
            .filter(|place| said[*place] == Said::Nothing)
            .filter(|place| others[*place] != Said::Nothing || !may_drop)
            .collect();
        if places.is_empty() {
            return;
        }
        let again: Vec<&Question> = places.iter().map(|place| questions[*place]).collect();
        let answers = self.ask(server, &again, LONG_PATIENCE);
        for (place, answer) in places.into_iter().zip(answers) {
            said[place] = answer;
        }
    }

    fn compare(
        &self,
        node: &Node,
        question: &Question,
        ours: Said,
        theirs: Said,
        outcome: &mut Outcome,
    ) {
        if ours == theirs {
            outcome.said.push(self.word(question, &ours));
            return;
        }
        let excused = self.excuse(node, question, &ours, &theirs);
        node.put(&self.policy);
        if excused.is_empty() {
            outcome.differences.push(Difference {
                world: self.world.clone(),
                policy: self.policy.clone(),
                question: question.clone(),
                ours,
                bind: theirs,
            });
        }
        outcome.excused.extend(excused);
    }

    /// The rules of the deviations that explain a difference; none where it is not explained.
    fn excuse(
        &self,
        node: &Node,
        question: &Question,
        ours: &Said,
        theirs: &Said,
    ) -> Vec<&'static str> {
        if let Some(rule) = self.excused(question, ours, theirs) {
            return vec![rule];
        }
        // Read as one deviation says, and, as it may take more than one, as all of them say.
        let mut readings = Vec::new();
        let (mut read, mut rules) = (self.with(self.policy.clone()), Vec::new());
        for deviation in DEVIATIONS {
            let How::Reading(reading) = deviation.how else {
                continue;
            };
            if let Some(policy) = reading(self, question) {
                readings.push((policy, vec![deviation.rule]));
            }
            if let Some(policy) = reading(&read, question) {
                read = self.with(policy);
                rules.push(deviation.rule);
            }
        }
        readings.push((read.policy, rules));
        for (policy, mut rules) in readings {
            node.put(&policy);
            let ours = self.once_more(node.address, question, theirs);
            if ours == *theirs {
                return rules;
            }
            if let Some(rule) = self.excused(question, &ours, theirs) {
                rules.push(rule);
                return rules;
            }
        }
        Vec::new()
    }

    /// The rule of the deviation that both answers show.
    fn excused(&self, question: &Question, ours: &Said, theirs: &Said) -> Option<&'static str> {
        let found = DEVIATIONS.iter().find(|deviation| match deviation.how {
            How::Excuse(is_it) => is_it(self, question, ours, theirs),
            _ => false,
        });
        found.map(|deviation| deviation.rule)
    }

    fn with(&self, policy: Policy) -> Self {
        Self {
            number: self.number,
            world: self.world.clone(),
            policy,
            questions: Vec::new(),
        }
    }

    /// What was said, compared with the truth.
    fn word(&self, question: &Question, said: &Said) -> &'static str {
        let Said::Answer {
            rcode,
            truncated,
            records,
        } = said
        else {
            return "nothing";
        };
        let name = super::world::wire(&question.name);
        let (true_rcode, truth) = self.world.answer(&name, question.rtype, question.dnssec_ok);
        if *truncated {
            "truncated"
        } else if *rcode == true_rcode.to_string() && records.len() == truth.len() {
            "as many records as are there"
        } else if records.is_empty() {
            match rcode.as_str() {
                "No Error" => "rewritten to NODATA",
                _ => "rewritten to an rcode",
            }
        } else {
            "rewritten to records"
        }
    }
}

impl Difference {
    /// The same, with as few rules as show some difference.
    pub(super) fn shrunk(mut self, number: usize, upstream: SocketAddr) -> Self {
        let node = Node::start(upstream);
        let mut place = 0;
        loop {
            let mut smaller = self.policy.clone();
            let mut at = place;
            // Rules first, then zones.
            let holder = smaller.zones.iter().position(|zone| {
                let is_here = at < zone.rules.len();
                at -= if is_here { 0 } else { zone.rules.len() };
                is_here
            });
            match holder {
                Some(zone) => {
                    smaller.zones[zone].rules.remove(at);
                }
                None if at < smaller.zones.len() => {
                    smaller.zones.remove(at);
                }
                None => return self,
            }
            let case = Case {
                number,
                world: self.world.clone(),
                policy: smaller,
                questions: Vec::new(),
            };
            let bind = Bind::start([(number, &case.policy)], upstream);
            node.put(&case.policy);
            let ours = case.one(node.address, &self.question);
            let theirs = case.one(bind.address, &self.question);
            let is_known = ours == theirs
                || !case
                    .excuse(&node, &self.question, &ours, &theirs)
                    .is_empty();
            if is_known {
                place += 1;
            } else {
                self.policy = case.policy;
                self.ours = ours;
                self.bind = theirs;
            }
        }
    }

    pub(super) fn number(&self) -> usize {
        self.world.top.trim_start_matches('w').parse().unwrap()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Policy {
            zones,
            break_dnssec,
            qname_wait_recurse,
        } = &self.policy;
        writeln!(f, "question: {}", self.question)?;
        writeln!(f, "  ours: {}", self.ours)?;
        writeln!(f, "  BIND: {}", self.bind)?;
        writeln!(
            f,
            "policy: break-dnssec {break_dnssec}, qname-wait-recurse {qname_wait_recurse}"
        )?;
        for zone in zones {
            let only = if zone.recursive_only {
                ", recursive-only"
            } else {
                ""
            };
            writeln!(f, "  zone, policy {}{only}", zone.policy)?;
            for rule in &zone.rules {
                writeln!(f, "    {} {}", rule.owner, rule.records.join(" | "))?;
            }
        }
        let name = self.question.name.to_ascii_lowercase();
        write!(f, "data:\n{}", self.world.describe(&name))
    }
}

/// How many questions are asked of one policy.
const QUESTIONS: usize = 100;
/// How long nothing must come before it is taken for silence; where the other one answers, or
/// no rule is to say nothing, longer.
const PATIENCE: Duration = Duration::from_millis(300);
const LONG_PATIENCE: Duration = Duration::from_millis(1500);
