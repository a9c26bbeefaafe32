//! [`Chart`]: bars over time, stacked by list, as shapes for an SVG and as a table.

use jiff::Timestamp;

use super::words;
use crate::count::{Bucket, Sum};
use crate::policy::{Action, Surface};

/// Blocks of one surface over time, stacked by list.
#[derive(Debug, PartialEq)]
pub(super) struct Chart {
    /// What is counted: `DNS queries blocked`.
    pub(super) title: String,
    /// The sum over all bars.
    pub(super) total: u64,
    /// The lists, in the order in which they are stacked, each with its sum.
    pub(super) series: Vec<Series>,
    pub(super) shapes: Vec<Shape>,
    /// The width of the drawing; each bar has [`STEP`] of it.
    pub(super) width: usize,
    /// The numbers beside the lines at the top and half way up.
    pub(super) top: String,
    pub(super) middle: String,
    /// The times below the bars, at equal distances.
    pub(super) ticks: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One list of a chart.
#[derive(Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// The number of its colour.
    pub(super) colour: usize,
    pub(super) total: u64,
}

/// One piece of a bar. The drawing is 100 high.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) height: f64,
    pub(super) colour: usize,
    pub(super) label: String,
}

/// One row of the chart as a table.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) time: String,
    pub(super) values: Vec<String>,
}

/// The bars of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    /// When the first begins.
    pub(super) from: Bucket,
    /// How many.
    pub(super) count: usize,
    /// How many hours each lasts.
    pub(super) hours: i64,
}

impl Chart {
    /// The blocks of a surface among `sums`, which are by list; `lists` are those that have a
    /// colour of their own, in their order.
    pub(super) fn new(sums: &[Sum], surface: Surface, bars: Bars, lists: &[String]) -> Self {
        let mut names: Vec<&str> = lists
            .iter()
            .take(COLOURS)
            .map(String::as_str)
            .filter(|name| blocks(sums, surface).any(|sum| sum.list.as_deref() == Some(*name)))
            .collect();
        let is_other = |sum: &Sum| !names.iter().any(|name| sum.list.as_deref() == Some(*name));
        let has_others = blocks(sums, surface).any(is_other);
        if has_others {
            names.push(OTHERS);
        }
        let mut grid = vec![vec![0_u64; names.len()]; bars.count];
        for sum in blocks(sums, surface) {
            let name = sum.list.as_deref().unwrap_or_default();
            let column = names
                .iter()
                .position(|known| *known == name)
                .unwrap_or(names.len().saturating_sub(1));
            let bar = (sum.start.number() - bars.from.number()).div_euclid(bars.hours);
            let cell = usize::try_from(bar)
                .ok()
                .and_then(|bar| grid.get_mut(bar))
                .and_then(|row| row.get_mut(column));
            if let Some(cell) = cell {
                *cell += sum.hits;
            }
        }
        let series: Vec<Series> = names
            .iter()
            .enumerate()
            .map(|(column, name)| Series {
                name: (*name).to_owned(),
                colour: lists
                    .iter()
                    .take(COLOURS)
                    .position(|list| list == name)
                    .unwrap_or(COLOURS),
                total: grid.iter().filter_map(|row| row.get(column)).sum(),
            })
            .collect();
        let highest = grid.iter().map(|row| row.iter().sum()).max().unwrap_or(0);
        let top = round_up(highest);
        Self {
            title: format!("{} blocked", words::operations(surface)),
            total: series.iter().map(|series| series.total).sum(),
            shapes: shapes(&grid, &series, top, bars),
            width: bars.count * STEP,
            top: words::number(top),
            middle: words::number(top / 2),
            ticks: (0..bars.count)
                .step_by(TICK_EVERY)
                .map(|bar| bars.tick(bar))
                .collect(),
            rows: grid
                .iter()
                .enumerate()
                .map(|(bar, row)| Row {
                    time: bars.label(bar),
                    values: row.iter().map(|value| words::number(*value)).collect(),
                })
                .collect(),
            series,
        }
    }
}

impl Bars {
    fn start(self, bar: usize) -> Timestamp {
        let hours = i64::try_from(bar)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.hours);
        self.from.plus_hours(hours).start()
    }

    /// The time of a bar, in full.
    fn label(self, bar: usize) -> String {
        let pattern = if self.hours < 24 {
            "%-d %b, %H:00"
        } else {
            "%-d %b %Y"
        };
        self.start(bar).strftime(pattern).to_string()
    }

    /// The time of a bar, in short.
    fn tick(self, bar: usize) -> String {
        let pattern = if self.hours < 24 { "%H:00" } else { "%-d %b" };
        self.start(bar).strftime(pattern).to_string()
    }
}

/// Whether an action blocks; watching and exceptions do not.
pub(super) const fn is_block(action: Action) -> bool {
    !matches!(action, Action::Monitor | Action::PassThru)
}

fn blocks(sums: &[Sum], surface: Surface) -> impl Iterator<Item = &Sum> {
    sums.iter()
        .filter(move |sum| sum.surface == surface && is_block(sum.action))
}

fn shapes(grid: &[Vec<u64>], series: &[Series], top: u64, bars: Bars) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (bar, row) in grid.iter().enumerate() {
        let mut below = 0_u64;
        for (value, series) in row.iter().zip(series) {
            if *value == 0 {
                continue;
            }
            let height = percent(*value, top);
            shapes.push(Shape {
                x: (bar * STEP) as f64 + GAP / 2.0,
                y: 100.0 - percent(below, top) - height,
                height,
                colour: series.colour,
                label: format!(
                    "{}: {} by {}",
                    bars.label(bar),
                    words::number(*value),
                    series.name
                ),
            });
            below += value;
        }
    }
    shapes
}

/// A share in hundredths, to two places.
fn percent(part: u64, whole: u64) -> f64 {
    let share = part as f64 / whole.max(1) as f64;
    (share * 10_000.0).round() / 100.0
}

/// The next even number that reads well: 2, 10, 20, 50, 100 …
fn round_up(value: u64) -> u64 {
    let mut step: u64 = 1;
    loop {
        for factor in [2, 4, 6, 10] {
            let round = step.saturating_mul(factor);
            if round >= value {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// The width of a bar with its gap, in units of the drawing.
pub(super) const STEP: usize = 10;
/// The gap between two bars.
const GAP: f64 = 2.0;
/// A time is written below every so many bars.
const TICK_EVERY: usize = 6;
/// How many lists have a colour of their own.
pub(super) const COLOURS: usize = 6;
/// What the others are called together.
const OTHERS: &str = "other lists";

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(list: &str, hour: i64, action: Action, hits: u64) -> Sum {
        Sum {
            start: Bucket::from_number(hour),
            list: Some(list.into()),
            category: None,
            authority: None,
            entry: None,
            surface: Surface::Dns,
            action,
            hits,
        }
    }

    const BARS: Bars = Bars {
        from: Bucket::from_number(480_000),
        count: 24,
        hours: 1,
    };

    #[test]
    fn bars_are_stacked_by_list() {
        let sums = [
            sum("a", 480_000, Action::Block, 30),
            sum("b", 480_000, Action::NxDomain, 20),
            sum("b", 480_023, Action::Block, 5),
            sum("gone", 480_001, Action::Block, 1),
            sum("a", 480_001, Action::Monitor, 99),
            sum("a", 480_001, Action::PassThru, 99),
        ];
        let chart = Chart::new(&sums, Surface::Dns, BARS, &["a".into(), "b".into()]);
        assert_eq!((chart.total, chart.top.as_str()), (56, "60"));
        let series: Vec<_> = chart
            .series
            .iter()
            .map(|series| (series.name.as_str(), series.colour, series.total))
            .collect();
        assert_eq!(
            series,
            [("a", 0, 30), ("b", 1, 25), ("other lists", COLOURS, 1)]
        );
        let shapes: Vec<_> = chart
            .shapes
            .iter()
            .map(|shape| (shape.x, shape.y, shape.height, shape.colour))
            .collect();
        assert_eq!(
            shapes,
            [
                (1.0, 50.0, 50.0, 0),
                (1.0, 16.67, 33.33, 1),
                (11.0, 98.33, 1.67, COLOURS),
                (231.0, 91.67, 8.33, 1),
            ]
        );
        assert_eq!(chart.ticks.len(), 4);
        assert_eq!(chart.rows[0].values, ["30", "20", "0"]);
    }

    #[test]
    fn no_blocks_make_an_empty_chart() {
        let chart = Chart::new(&[], Surface::Http, BARS, &["a".into()]);
        assert_eq!(
            (chart.total, chart.shapes.len(), chart.series.len()),
            (0, 0, 0)
        );
        assert_eq!(chart.title, "HTTP requests blocked");
    }

    #[test]
    fn the_top_reads_well() {
        for (value, top) in [
            (0, 2),
            (1, 2),
            (3, 4),
            (7, 10),
            (11, 20),
            (41, 60),
            (990, 1000),
        ] {
            assert_eq!(round_up(value), top, "{value}");
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
