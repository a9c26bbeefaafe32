//! The self-test: after every swap and every minute the node asks itself, as its clients do,
//! whether what must be blocked is blocked and what must pass passes.

mod asking;
mod dns_question;
mod plan;
mod route;
mod tester;
mod verdict;

pub(super) use asking::Listening;
pub(super) use tester::SelfTester;
