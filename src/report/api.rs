//! [`Inquiry`]: what the API is asked, from the parameters of the request.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::problem::Problem;
use crate::count::{Bucket, By, Per, Question};

/// What is asked, with everything that was left out filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Inquiry {
    pub(super) question: Question,
    pub(super) format: Option<Format>,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Json,
    Csv,
}

/// The parameters of a request, each at most once and each known.
#[derive(Debug)]
pub(super) struct Parameters<'a> {
    pairs: &'a [(String, String)],
}

impl<'a> Parameters<'a> {
    /// The parameters, if all are among `known`.
    pub(super) fn new(pairs: &'a [(String, String)], known: &[&str]) -> Result<Self, Problem> {
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::parameter(format!(
                    "There is a parameter that is not known here; known are {}.",
                    known.join(", ")
                )));
            }
            if pairs.iter().take(place).any(|(other, _)| other == name) {
                return Err(Problem::parameter(format!("{name} is given twice.")));
            }
        }
        Ok(Self { pairs })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// `format`.
    pub(super) fn format(&self) -> Result<Option<Format>, Problem> {
        match self.get("format") {
            None => Ok(None),
            Some("json") => Ok(Some(Format::Json)),
            Some("csv") => Ok(Some(Format::Csv)),
            Some(_) => Err(Problem::parameter("format is json or csv.")),
        }
    }
}

impl Inquiry {
    /// What `from`, `to`, `by`, `per`, `list` and `format` ask at `now`.
    ///
    /// `from` is inclusive, `to` exclusive; both are widened to whole hours, and by day or by
    /// entry to whole days, UTC. So the figure of an entry and day is the same whatever else
    /// is asked, and no two answers differ by an hour that could be worked out.
    pub(super) fn new(pairs: &[(String, String)], now: Timestamp) -> Result<Self, Problem> {
        let parameters = Parameters::new(pairs, &["from", "to", "by", "per", "list", "format"])?;
        let by = match parameters.get("by") {
            None => By::List,
            Some(word) => By::from_word(word).ok_or_else(|| {
                Problem::parameter("by is list, category, authority, surface or entry.")
            })?,
        };
        let per = match (parameters.get("per"), by) {
            (Some("hour"), By::Entry) => {
                return Err(Problem::parameter(
                    "Figures by entry are given per day alone, because those of an hour would \
                     let small counts be worked out; ask with per=day.",
                ));
            }
            (Some("hour"), _) => Per::Hour,
            (Some("day"), _) | (None, By::Entry) => Per::Day,
            (None, _) => Per::Hour,
            (Some(_), _) => return Err(Problem::parameter("per is hour or day.")),
        };
        let (default_days, max_days) = match per {
            Per::Hour => (1, HOURLY_DAYS_MAX),
            Per::Day | Per::Whole => (30, DAILY_DAYS_MAX),
        };
        let to = match parameters.get("to") {
            None => widen(after(now), per),
            Some(text) => widen(at_or_after(time("to", text)?), per),
        };
        let from = match parameters.get("from") {
            None => to.plus_days(-default_days),
            Some(text) => match (Bucket::of(time("from", text)?), per) {
                (from, Per::Hour) => from,
                (from, _) => from.day(),
            },
        };
        if from >= to {
            return Err(Problem::parameter("from is to lie before to."));
        }
        if from.plus_days(max_days) < to {
            let per = super::json::per_word(per);
            return Err(Problem::parameter(format!(
                "With per={per} at most {max_days} days are given at once; ask for less, or by day."
            )));
        }
        let list = parameters.get("list");
        Ok(Self {
            format: parameters.format()?,
            question: Question {
                from,
                to,
                by,
                per,
                lists: list.map(|list| vec![list.to_owned()]),
                top: None,
            },
        })
    }
}

/// The first hour that begins after `at`.
fn after(at: Timestamp) -> Bucket {
    Bucket::of(at).plus_hours(1)
}

/// The first hour that begins at `at` or after it.
fn at_or_after(at: Timestamp) -> Bucket {
    let bucket = Bucket::of(at);
    if bucket.start() == at {
        bucket
    } else {
        bucket.plus_hours(1)
    }
}

/// An end, moved to the end of its day where days are asked for.
fn widen(end: Bucket, per: Per) -> Bucket {
    match per {
        Per::Hour => end,
        Per::Day | Per::Whole => end.plus_hours(-1).day().plus_days(1),
    }
}

/// A time as RFC 3339, or a day as RFC 3339's full-date, which is its first moment, UTC.
fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse()
        .or_else(|_| {
            let day: Date = text.parse()?;
            day.to_zoned(TimeZone::UTC).map(|day| day.timestamp())
        })
        .map_err(|_: jiff::Error| {
            Problem::parameter(format!(
                "{name} is a day such as 2026-11-24, or a time such as 2026-11-24T06:00:00Z."
            ))
        })
}

/// The longest time that is given by hour, in days.
const HOURLY_DAYS_MAX: i64 = 31;
/// The longest time that is given by day, in days.
const DAILY_DAYS_MAX: i64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Question, String> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Inquiry::new(&pairs, "2026-11-24T08:30:00Z".parse().unwrap())
            .map(|inquiry| inquiry.question)
            .map_err(|problem| problem.sentence)
    }

    #[track_caller]
    fn check(query: &str, from: &str, to: &str) {
        let asked = ask(query).unwrap();
        let found = (asked.from.start().to_string(), asked.to.start().to_string());
        assert_eq!(found, (from.to_owned(), to.to_owned()), "{query}");
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        check("", "2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z");
        check("per=day", "2026-10-26T00:00:00Z", "2026-11-25T00:00:00Z");
        check("by=entry", "2026-10-26T00:00:00Z", "2026-11-25T00:00:00Z");
        check(
            "from=2026-11-24",
            "2026-11-24T00:00:00Z",
            "2026-11-24T09:00:00Z",
        );
        check(
            "from=2026-11-24T01:20:00Z&to=2026-11-24T03:20:00%2B00:00"
                .replace("%2B", "+")
                .as_str(),
            "2026-11-24T01:00:00Z",
            "2026-11-24T04:00:00Z",
        );
    }

    #[test]
    fn entries_are_told_by_whole_days() {
        check(
            "by=entry&from=2026-11-23T05:00:00Z&to=2026-11-23T06:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-24T00:00:00Z",
        );
        check(
            "per=day&from=2026-11-01&to=2026-11-02",
            "2026-11-01T00:00:00Z",
            "2026-11-02T00:00:00Z",
        );
    }

    #[track_caller]
    fn refused(query: &str, sentence: &str) {
        let error = ask(query).unwrap_err();
        assert!(error.contains(sentence), "{query}: {error}");
    }

    #[test]
    fn mistakes_get_a_sentence() {
        refused("by=client", "by is list");
        refused("per=minute", "per is hour or day");
        refused("by=entry&per=hour", "per=day");
        refused("from=yesterday", "from is a day");
        refused("to=2026-13-01", "to is a day");
        refused("from=2026-11-24&to=2026-11-24", "from is to lie before to");
        refused("from=2020-01-01", "at most 31 days");
        refused("from=2020-01-01&per=day", "at most 400 days");
        refused("format=xml", "json or csv");
        refused("from=2026-11-24&from=2026-11-23", "twice");
        refused("client=1", "known are from, to");
    }
}
