//! [`Desk`]: puts together what a page or an answer shows, from what is in force, counted and
//! noted.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::access::{Access, Viewer};
use super::dashboard::{self, Effect, EntryFigure, Page, TopEntries, Window};
use super::problem::Problem;
use super::summary::{Summary, waiting};
use super::suppression::{Figure, Shown, exact, suppress};
use super::users::Role;
use super::{AlarmKind, Period, Sources};
use crate::count::{Bucket, By, CountError, Per, Question, Sum};

/// What a page or an answer shows. Everything that reads a file does so on a thread of its
/// own, a few at a time.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) node: String,
    pub(super) below: u64,
    pub(super) sources: Sources,
    pub(super) access: Access,
    questions: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(node: String, below: u64, sources: Sources, access: Access) -> Self {
        Self {
            node,
            below,
            sources,
            access,
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.sources.clock)()
    }

    /// Why the node is not ready; nothing when it is.
    pub(super) fn waiting(&self) -> Vec<String> {
        let edition = self.sources.in_force.load();
        waiting(&edition.blocklist, &self.sources.updates.lists())
    }

    pub(super) fn summary(&self, viewer: &Viewer) -> Summary {
        let edition = self.sources.in_force.load_full();
        let mut updates = self.sources.updates.lists();
        let is_visible = |name: &str| viewer.sees(name);
        let mut alarms = self.sources.updates.alarms.all();
        if viewer.lists.is_some() {
            // A sentence may name what they may not see.
            for alarm in &mut alarms {
                alarm.sentence = "The operator sees what it is about.".to_owned();
            }
            let held = updates.iter_mut().filter_map(|known| known.held.as_mut());
            for (guard, sentence) in held.flat_map(|held| &mut held.guards) {
                if *guard == AlarmKind::SelfTest.as_str() {
                    *sentence = "the self-test failed once it was in force".to_owned();
                }
            }
        }
        Summary::new(&self.node, &edition, &updates, self.now(), &is_visible)
            .with_alarms(alarms)
            .with_self_test(self.sources.self_tests.last(), &is_visible)
    }

    /// Sums of hits as they may leave the house: by entry, small counts are hidden from
    /// everyone.
    pub(super) async fn export(
        self: &Arc<Self>,
        viewer: &Viewer,
        question: Question,
    ) -> Result<Vec<Figure>, Problem> {
        let by_entry = question.by == By::Entry;
        let question = limit(question, viewer);
        let sums = self.ask(move |desk| desk.sums(&question)).await?;
        Ok(if by_entry {
            suppress(sums, self.below)
        } else {
            exact(sums)
        })
    }

    /// The figures of a page; of one list, or of all.
    pub(super) async fn effect(
        self: &Arc<Self>,
        viewer: &Viewer,
        list: Option<&str>,
    ) -> Result<Effect, Problem> {
        let lists = list.map(|list| vec![list.to_owned()]);
        let viewer = viewer.clone();
        self.ask(move |desk| {
            let now = desk.now();
            let ask = |window: Window, by, per| {
                let question = Question {
                    from: window.from,
                    to: window.to,
                    by,
                    per,
                    lists: lists.clone(),
                    top: None,
                };
                desk.sums(&limit(question, &viewer))
            };
            Ok(Effect {
                hours: ask(Window::hours(now), By::List, Per::Hour)?,
                days: ask(Window::days(now), By::List, Per::Day)?,
                categories: ask(Window::days(now), By::Category, Per::Whole)?,
                entries: desk.top_entries(&viewer, lists.clone(), now)?,
            })
        })
        .await
    }

    /// Which editions were in force, as far as they may be seen.
    pub(super) async fn periods(self: &Arc<Self>, viewer: &Viewer) -> Result<Vec<Period>, Problem> {
        let viewer = viewer.clone();
        let read = self.on_a_thread(move |desk| desk.sources.timeline.periods(PERIODS_MAX));
        let mut periods = read.await?.map_err(|error| {
            tracing::warn!(%error, "the timeline cannot be shown");
            Problem::busy()
        })?;
        for period in &mut periods {
            period.lists.retain(|list| viewer.sees(&list.name));
        }
        Ok(periods)
    }

    /// All metrics as text.
    pub(super) async fn metrics(self: &Arc<Self>) -> Result<String, Problem> {
        self.ask(|desk| {
            let viewer = Viewer {
                name: None,
                role: Role::Operator,
                lists: None,
            };
            let totals = Question {
                from: Bucket::from_number(0),
                to: Bucket::of(desk.now()).plus_hours(1),
                by: By::List,
                per: Per::Whole,
                lists: None,
                top: None,
            };
            // A ledger that cannot be read must not hide the state of the lists.
            let sums = desk.sources.ledger.sums(&totals).unwrap_or_default();
            Ok(desk.sources.metrics.render(&desk.summary(&viewer), &sums))
        })
        .await
    }

    /// What all pages have in common.
    pub(super) fn page(&self, viewer: &Viewer, refresh: Option<u32>) -> Page {
        Page {
            node: self.node.clone(),
            now: self.now(),
            user: viewer.name.clone(),
            hides_below: hides(viewer).then_some(self.below),
            refresh,
            notice: None,
        }
    }

    /// Settles what was counted, on a thread; nothing, or why hits wait.
    pub(super) async fn settle(self: &Arc<Self>) -> Option<String> {
        let settled = self
            .on_a_thread(|desk| desk.sources.ledger.settle(desk.now()))
            .await;
        match settled {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "hits cannot be settled");
                Some(
                    "The latest hits are missing here: they are counted, but cannot be written \
                     to the ledger at the moment."
                        .to_owned(),
                )
            }
            Err(problem) => Some(problem.sentence),
        }
    }

    fn sums(&self, question: &Question) -> Result<Vec<Sum>, CountError> {
        self.sources.ledger.sums(question)
    }

    /// Who may see exact figures gets them; others what follows from the daily figures that
    /// may be published, so that a page says nothing that the API does not.
    fn top_entries(
        &self,
        viewer: &Viewer,
        lists: Option<Vec<String>>,
        now: Timestamp,
    ) -> Result<TopEntries, CountError> {
        let window = Window::days(now);
        let hidden = hides(viewer);
        let question = Question {
            from: window.from,
            to: window.to,
            by: By::Entry,
            per: if hidden { Per::Day } else { Per::Whole },
            lists,
            top: (!hidden).then_some(TOP),
        };
        match self.sums(&limit(question, viewer)) {
            Ok(sums) if hidden => Ok(TopEntries::Published(published(suppress(sums, self.below)))),
            Ok(sums) => Ok(TopEntries::Exact(sums)),
            Err(CountError::Rows { .. }) => Ok(TopEntries::TooMany),
            Err(error) => Err(error),
        }
    }

    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Self) -> Result<T, CountError> + Send + 'static,
    ) -> Result<T, Problem> {
        // A report is about all that was counted before it was asked for.
        let _ = self.settle().await;
        self.on_a_thread(ask).await?.map_err(Problem::from)
    }

    async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.questions.clone().acquire_owned().await;
        let desk = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&desk)
        });
        done.await.map_err(|_| Problem::busy())
    }
}

/// Whether small counts are hidden from somebody on the pages.
fn hides(viewer: &Viewer) -> bool {
    viewer.role == Role::Regulator
}

/// A question about nothing but what somebody may see.
fn limit(question: Question, viewer: &Viewer) -> Question {
    let lists = match (question.lists, &viewer.lists) {
        (asked, None) => asked,
        (None, seen) => seen.clone(),
        (Some(asked), Some(_)) => {
            Some(asked.into_iter().filter(|list| viewer.sees(list)).collect())
        }
    };
    Question { lists, ..question }
}

/// Adds up what may be published of each entry, the most first.
fn published(figures: Vec<Figure>) -> Vec<EntryFigure> {
    let mut sums: std::collections::BTreeMap<_, EntryFigure> = std::collections::BTreeMap::new();
    for figure in figures {
        let (Some(list), Some(entry)) = (figure.of.list, figure.of.entry) else {
            continue;
        };
        let action = figure.of.action;
        let key = (
            list.clone(),
            entry.clone(),
            figure.of.surface,
            action.as_str(),
        );
        let sum = sums.entry(key).or_insert_with(|| EntryFigure {
            list,
            entry,
            surface: figure.of.surface,
            action,
            hits: 0,
            has_hidden_days: false,
        });
        match figure.shown {
            Shown::Hits(hits) => sum.hits += hits,
            _ => sum.has_hidden_days = true,
        }
    }
    let mut sums: Vec<EntryFigure> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.hits));
    sums.truncate(TOP);
    sums
}

/// How an answer of the pages is made: the overview, one list, the timeline.
impl Desk {
    pub(super) async fn overview(
        self: &Arc<Self>,
        viewer: &Viewer,
        refresh: Option<u32>,
    ) -> Result<String, Problem> {
        let mut page = self.page(viewer, refresh);
        page.notice = self.settle().await;
        let effect = self.effect(viewer, None).await?;
        Ok(dashboard::overview(&page, &self.summary(viewer), &effect))
    }

    pub(super) async fn list(
        self: &Arc<Self>,
        viewer: &Viewer,
        name: &str,
    ) -> Result<String, Problem> {
        let summary = self.summary(viewer);
        let list = summary.list(name).ok_or_else(Problem::nothing_here)?;
        let mut page = self.page(viewer, None);
        page.notice = self.settle().await;
        let effect = self.effect(viewer, Some(name)).await?;
        Ok(dashboard::list(&page, list, &effect))
    }

    pub(super) async fn timeline(self: &Arc<Self>, viewer: &Viewer) -> Result<String, Problem> {
        let periods = self.periods(viewer).await?;
        Ok(dashboard::timeline(&self.page(viewer, None), &periods))
    }
}

/// How many questions are answered at once; each takes a thread.
const QUESTIONS_AT_ONCE: usize = 4;
/// How many periods of the timeline are shown.
const PERIODS_MAX: usize = 500;
/// How many entries are ranked.
const TOP: usize = 20;
