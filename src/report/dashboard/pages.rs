//! The pages' contents: what each shows, made of the summary and the figures.

use askama::Template;
use jiff::Timestamp;

use super::chart::{Bars, Chart, is_block};
use super::list_card::ListCard;
use super::self_test::SelfTestTile;
use super::words;
use crate::compile::Reject;
use crate::count::{Bucket, Sum};
use crate::policy::{Action, Surface};
use crate::report::summary::{Health, ListStatus, Summary};
use crate::report::timeline::{End, Period};

/// What all pages have in common.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The node's name.
    pub(crate) node: String,
    /// When the page was made.
    pub(crate) now: Timestamp,
    /// Who is logged in; nothing where nobody has to.
    pub(crate) user: Option<String>,
    /// Whether small counts of entries are hidden from them, and below which.
    pub(crate) hides_below: Option<u64>,
    /// The page asks for itself again every so many seconds.
    pub(crate) refresh: Option<u32>,
    /// What hinders the figures from being complete, as a sentence.
    pub(crate) notice: Option<String>,
}

/// The figures of a page.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    /// The last 24 hours, by list and hour.
    pub(crate) hours: Vec<Sum>,
    /// The last 30 days, by list and day.
    pub(crate) days: Vec<Sum>,
    /// The last 30 days, by category.
    pub(crate) categories: Vec<Sum>,
    /// The entries with the most hits.
    pub(crate) entries: TopEntries,
}

/// The entries with the most hits.
#[derive(Clone, Debug)]
pub(crate) enum TopEntries {
    /// As they are counted, the most first.
    Exact(Vec<Sum>),
    /// Made of the daily figures that may be published, the most first.
    Published(Vec<EntryFigure>),
    /// There are more than can be looked through.
    TooMany,
}

/// The hits of an entry as far as they may be published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EntryFigure {
    /// Its list.
    pub(crate) list: String,
    /// Its id.
    pub(crate) entry: String,
    /// Where.
    pub(crate) surface: Surface,
    /// What was done.
    pub(crate) action: Action,
    /// The hits of the days that may be shown.
    pub(crate) hits: u64,
    /// Whether there are days that may not.
    pub(crate) has_hidden_days: bool,
}

/// The time that a page looks back on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// From this hour on.
    pub(crate) from: Bucket,
    /// Before this hour.
    pub(crate) to: Bucket,
}

impl Window {
    /// The 24 hours that end with the one of `now`.
    #[must_use]
    pub(crate) fn hours(now: Timestamp) -> Self {
        let to = Bucket::of(now).plus_hours(1);
        Self {
            from: to.plus_days(-1),
            to,
        }
    }

    /// The 30 days, UTC, that end with the one of `now`.
    #[must_use]
    pub(crate) fn days(now: Timestamp) -> Self {
        let to = Bucket::of(now).day().plus_days(1);
        Self {
            from: to.plus_days(-30),
            to,
        }
    }
}

/// The overview of the node.
#[must_use]
pub(crate) fn overview(page: &Page, summary: &Summary, effect: &Effect) -> String {
    let colours: Vec<String> = summary.lists.iter().map(|list| list.name.clone()).collect();
    let totals = Totals::of(&effect.hours);
    let in_force = summary.lists.iter().filter(|list| list.compiled.is_some());
    render(&Overview {
        allowed: summary.allowed as u64,
        frame: Frame::new(page, "Overview"),
        health: Status::new(summary.health()),
        alarms: summary
            .alarms
            .iter()
            .map(|alarm| (alarm.severity.as_str(), alarm.sentence.clone()))
            .collect(),
        edition: summary.edition,
        since: When::new(summary.since),
        cards: cards(&totals),
        lists_in_force: in_force.count(),
        lists_configured: summary.lists.len(),
        entries: summary
            .lists
            .iter()
            .map(|list| list.entries() as u64)
            .sum::<u64>(),
        uncounted: uncounted(&effect.hours),
        self_test: summary.self_test.as_ref().map(SelfTestTile::new),
        hours: charts(&effect.hours, Window::hours(page.now), 1, &colours),
        days: charts(&effect.days, Window::days(page.now), 24, &colours),
        lists: summary
            .lists
            .iter()
            .enumerate()
            .map(|(place, list)| ListCard::new(list, place, page.now, &effect.hours))
            .collect(),
        categories: categories(&effect.categories),
        entry_rows: EntryRow::all(&effect.entries),
        too_many: matches!(effect.entries, TopEntries::TooMany),
    })
}

/// One list.
#[must_use]
pub(crate) fn list(page: &Page, list: &ListStatus, effect: &Effect) -> String {
    let colours = [list.name.clone()];
    let compiled = list.compiled.as_ref();
    render(&ListPage {
        frame: Frame::new(page, list.title()),
        hours: charts(&effect.hours, Window::hours(page.now), 1, &colours),
        days: charts(&effect.days, Window::days(page.now), 24, &colours),
        rejects: compiled.map_or(&[], |list| list.rejects.as_slice()),
        rejected: list.rejected() as u64,
        warnings: compiled.map_or(&[], |list| list.warnings.as_slice()),
        warned: list.warned() as u64,
        holes: compiled.map_or(&[], |list| list.holes.as_slice()),
        entry_rows: EntryRow::all(&effect.entries),
        too_many: matches!(effect.entries, TopEntries::TooMany),
        list: ListCard::new(list, 0, page.now, &effect.hours),
    })
}

/// Which edition was in force from when to when.
#[must_use]
pub(crate) fn timeline(page: &Page, periods: &[Period]) -> String {
    let rows = periods.iter().map(|period| PeriodRow {
        edition: period.edition,
        from: When::new(period.from),
        end: match period.end {
            End::InForce => None,
            End::Replaced(at) | End::Stopped(at) | End::Lost(at) => Some(When::new(at)),
        },
        ended: match period.end {
            End::InForce => "in force",
            End::Replaced(_) => "replaced by the next",
            End::Stopped(_) => "the node was stopped",
            End::Lost(_) => "the node ended before this time, without a word",
        },
        lists: period
            .lists
            .iter()
            .map(|list| PeriodList {
                name: list.name.clone(),
                serial: list.serial,
                digest: words::short(&list.digest),
                entries: match list.entries {
                    1 => "1 entry".to_owned(),
                    many => format!("{} entries", words::number(many)),
                },
            })
            .collect(),
    });
    render(&TimelinePage {
        frame: Frame::new(page, "Timeline"),
        periods: rows.collect(),
    })
}

/// The form to log in with; `mistake` says why the last try failed.
#[must_use]
pub(crate) fn login(node: &str, mistake: Option<&str>) -> String {
    render(&LoginPage {
        node: node.to_owned(),
        mistake: mistake.map(str::to_owned),
    })
}

/// Why there is no page.
#[must_use]
pub(crate) fn problem(node: &str, title: &str, sentence: &str) -> String {
    render(&ProblemPage {
        node: node.to_owned(),
        title: title.to_owned(),
        sentence: sentence.to_owned(),
    })
}

fn render(page: &impl Template) -> String {
    // Writing to a string fails only where a part of the page does, and none of these can.
    page.render().unwrap_or_default()
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/report/dashboard/askama.toml")]
struct Overview {
    allowed: u64,
    frame: Frame,
    health: Status,
    alarms: Vec<(&'static str, String)>,
    edition: u64,
    since: When,
    cards: Vec<Card>,
    lists_in_force: usize,
    lists_configured: usize,
    entries: u64,
    uncounted: Vec<String>,
    self_test: Option<SelfTestTile>,
    hours: Vec<Chart>,
    days: Vec<Chart>,
    lists: Vec<ListCard>,
    categories: CategoryTable,
    entry_rows: Vec<EntryRow>,
    too_many: bool,
}

#[derive(Template)]
#[template(path = "list.html", config = "src/report/dashboard/askama.toml")]
struct ListPage<'a> {
    frame: Frame,
    list: ListCard,
    hours: Vec<Chart>,
    days: Vec<Chart>,
    rejects: &'a [Reject],
    rejected: u64,
    warnings: &'a [Reject],
    warned: u64,
    holes: &'a [(String, String)],
    entry_rows: Vec<EntryRow>,
    too_many: bool,
}

#[derive(Template)]
#[template(path = "timeline.html", config = "src/report/dashboard/askama.toml")]
struct TimelinePage {
    frame: Frame,
    periods: Vec<PeriodRow>,
}

#[derive(Template)]
#[template(path = "login.html", config = "src/report/dashboard/askama.toml")]
struct LoginPage {
    node: String,
    mistake: Option<String>,
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/report/dashboard/askama.toml")]
struct ProblemPage {
    node: String,
    title: String,
    sentence: String,
}

/// Filters of the templates.
#[expect(unreachable_pub, reason = "what the macro makes is public")]
mod filters {
    /// A number with its thousands apart.
    #[askama::filter_fn]
    pub(super) fn thousands(
        value: impl std::borrow::Borrow<u64>,
        _: &dyn askama::Values,
    ) -> askama::Result<String> {
        Ok(super::words::number(*value.borrow()))
    }
}

/// What stands around every page.
struct Frame {
    title: String,
    node: String,
    now: When,
    user: Option<String>,
    hides_below: Option<u64>,
    refresh: Option<u32>,
    notice: Option<String>,
    method: &'static str,
}

impl Frame {
    fn new(page: &Page, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            node: page.node.clone(),
            now: When::new(page.now),
            user: page.user.clone(),
            hides_below: page.hides_below,
            refresh: page.refresh,
            notice: page.notice.clone(),
            method: crate::report::json::METHOD,
        }
    }
}

/// A time for machines and for people.
pub(super) struct When {
    pub(super) iso: String,
    pub(super) text: String,
}

impl When {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            text: words::time(at),
        }
    }
}

/// A word with a colour that says how well something is.
pub(super) struct Status {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
}

impl Status {
    const fn new(health: Health) -> Self {
        match health {
            Health::Good => Self {
                class: "good",
                word: "Ready",
            },
            Health::Attention => Self {
                class: "attention",
                word: "Ready, needs attention",
            },
            Health::Missing => Self {
                class: "missing",
                word: "Not ready",
            },
        }
    }
}

/// A figure of the last 24 hours.
struct Card {
    surface: &'static str,
    label: String,
    value: u64,
    text: String,
}

/// Blocks of the last 24 hours by surface; never added up over surfaces.
pub(super) struct Totals([u64; 3]);

impl Totals {
    pub(super) fn of(sums: &[Sum]) -> Self {
        let mut totals = [0; 3];
        for sum in sums.iter().filter(|sum| is_block(sum.action)) {
            if let Some(total) = totals.get_mut(sum.surface.index()) {
                *total += sum.hits;
            }
        }
        Self(totals)
    }

    /// The surfaces that are shown: TLS only where something was counted.
    pub(super) fn shown(&self) -> impl Iterator<Item = (Surface, u64)> + '_ {
        Surface::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(surface, total)| *surface != Surface::Tls || *total > 0)
    }
}

fn cards(totals: &Totals) -> Vec<Card> {
    totals
        .shown()
        .map(|(surface, value)| Card {
            surface: surface.as_str(),
            label: format!("{} blocked", words::operations(surface)),
            value,
            text: words::number(value),
        })
        .collect()
}

/// What was counted in the last 24 hours without a block, as sentences.
fn uncounted(sums: &[Sum]) -> Vec<String> {
    let mut sentences = Vec::new();
    for (action, what) in [
        (Action::Monitor, "matched entries that only watch"),
        (Action::PassThru, "were let through by exceptions"),
    ] {
        for surface in Surface::ALL {
            let of = |sum: &&Sum| sum.action == action && sum.surface == surface;
            let hits: u64 = sums.iter().filter(of).map(|sum| sum.hits).sum();
            if hits > 0 {
                let operations = words::operations(surface);
                sentences.push(format!("{} {operations} {what}.", words::number(hits)));
            }
        }
    }
    sentences
}

fn charts(sums: &[Sum], window: Window, hours: i64, colours: &[String]) -> Vec<Chart> {
    let span = window.to.number() - window.from.number();
    let bars = Bars {
        from: window.from,
        count: usize::try_from(span / hours).unwrap_or(0),
        hours,
    };
    Totals::of(sums)
        .shown()
        .map(|(surface, _)| Chart::new(sums, surface, bars, colours))
        .collect()
}

/// Blocks by category, a column a surface.
struct CategoryTable {
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

fn categories(sums: &[Sum]) -> CategoryTable {
    let surfaces: Vec<Surface> = Totals::of(sums)
        .shown()
        .map(|(surface, _)| surface)
        .collect();
    let mut rows: Vec<(&str, [u64; 3])> = Vec::new();
    for sum in sums.iter().filter(|sum| is_block(sum.action)) {
        let code = sum.category.as_deref().unwrap_or_default();
        if !rows.iter().any(|(known, _)| *known == code) {
            rows.push((code, [0; 3]));
        }
        let row = rows.iter_mut().find(|(known, _)| *known == code);
        if let Some(value) = row.and_then(|(_, values)| values.get_mut(sum.surface.index())) {
            *value += sum.hits;
        }
    }
    let shown = |values: [u64; 3]| {
        let of = |surface: &Surface| values.get(surface.index()).copied().unwrap_or(0);
        surfaces
            .iter()
            .map(|surface| words::number(of(surface)))
            .collect()
    };
    CategoryTable {
        columns: surfaces
            .iter()
            .map(|surface| words::operations(*surface))
            .collect(),
        rows: rows
            .into_iter()
            .map(|(code, values)| (words::category(code).to_owned(), shown(values)))
            .collect(),
    }
}

/// An entry with many hits.
struct EntryRow {
    entry: String,
    list: String,
    surface: &'static str,
    action: &'static str,
    hits: String,
}

impl EntryRow {
    fn all(entries: &TopEntries) -> Vec<Self> {
        match entries {
            TopEntries::Exact(sums) => sums
                .iter()
                .map(|sum| Self {
                    entry: sum.entry.clone().unwrap_or_default(),
                    list: sum.list.clone().unwrap_or_default(),
                    surface: words::operations(sum.surface),
                    action: sum.action.as_str(),
                    hits: words::number(sum.hits),
                })
                .collect(),
            TopEntries::Published(figures) => figures
                .iter()
                .map(|figure| Self {
                    entry: figure.entry.clone(),
                    list: figure.list.clone(),
                    surface: words::operations(figure.surface),
                    action: figure.action.as_str(),
                    hits: match (figure.hits, figure.has_hidden_days) {
                        (0, _) => "suppressed".to_owned(),
                        (hits, true) => format!("at least {}", words::number(hits)),
                        (hits, false) => words::number(hits),
                    },
                })
                .collect(),
            TopEntries::TooMany => Vec::new(),
        }
    }
}

/// A period as a row.
struct PeriodRow {
    edition: u64,
    from: When,
    end: Option<When>,
    ended: &'static str,
    lists: Vec<PeriodList>,
}

/// A list of a period.
struct PeriodList {
    name: String,
    serial: Option<u64>,
    digest: String,
    entries: String,
}
