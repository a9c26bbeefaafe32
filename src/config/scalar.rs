//! [`Scalar`]: how one kind of value is written, read and described; one function each.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::policy::{Name, Prefix, nearest};
use crate::verify::is_list_name;

/// One kind of value.
pub(super) struct Scalar<T> {
    /// What is expected, after "takes": "a duration from 1s to 1d".
    pub(super) expected: String,
    /// The JSON Schema of it.
    pub(super) schema: Json,
    /// Whether it has to stand bare, as numbers and `true` do.
    pub(super) bare: bool,
    /// Reads the text, or says why not.
    read: Box<ReadText<T>>,
}

/// Reads a text, or says why not.
type ReadText<T> = dyn Fn(&str) -> Result<T, String>;

impl<T: 'static> Scalar<T> {
    /// A value that is written as a text.
    pub(super) fn new(
        expected: impl Into<String>,
        read: impl Fn(&str) -> Result<T, String> + 'static,
    ) -> Self {
        Self {
            expected: expected.into(),
            schema: json!({"type": "string"}),
            bare: false,
            read: Box::new(read),
        }
    }

    /// The value of that text, or how to mend it.
    pub(super) fn read(&self, text: &str) -> Result<T, String> {
        (self.read)(text)
    }

    /// The same, described by `schema`.
    fn described(mut self, schema: Json) -> Self {
        self.schema = schema;
        self
    }

    /// The same, without quotes.
    fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// One of some words.
pub(super) fn word<T: Clone + 'static>(words: &[(&'static str, T)]) -> Scalar<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = format!("one of `{}`", names.join("`, `"));
    let schema = json!({"enum": names});
    let words = words.to_vec();
    Scalar::new(expected, move |text| {
        let found = words.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            match nearest(text, words.iter().map(|(name, _)| *name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write one of these words".to_owned(),
            }
        })
    })
    .described(schema)
}

/// The version of the format: 1, a number.
pub(super) fn version() -> Scalar<()> {
    Scalar::new("`1`", |text| match text {
        "1" => Ok(()),
        _ => Err("this program reads version 1 of the format".to_owned()),
    })
    .described(json!({"const": 1}))
    .bare()
}

/// `true` or `false`.
pub(super) fn flag() -> Scalar<bool> {
    Scalar::new("`true` or `false`", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" => Err("write `true`".to_owned()),
        "no" | "off" => Err("write `false`".to_owned()),
        _ => Err("write `true` or `false`".to_owned()),
    })
    .described(json!({"type": "boolean"}))
    .bare()
}

/// A whole number.
pub(super) fn count<N>(range: RangeInclusive<N>) -> Scalar<N>
where
    N: FromStr + PartialOrd + Display + Copy + 'static,
    Json: From<N>,
{
    let (least, most) = (*range.start(), *range.end());
    Scalar::new(
        format!("a whole number from {least} to {most}"),
        move |text| match text.parse::<N>() {
            Ok(number) if range.contains(&number) && digits(text) => Ok(number),
            _ => Err(format!(
                "write a number from {least} to {most}, without a unit"
            )),
        },
    )
    .described(json!({
        "type": "integer", "minimum": Json::from(least), "maximum": Json::from(most)
    }))
    .bare()
}

/// A share in per cent: a whole number and `%`.
pub(super) fn share(most: u32) -> Scalar<u32> {
    let range = format!("from 0% to {most}%");
    Scalar::new(format!("a share {range}"), move |text| {
        let percent = quantity(text, &[("%", 1)]).ok_or("write a whole number and `%`: `20%`")?;
        u32::try_from(percent)
            .ok()
            .filter(|percent| *percent <= most)
            .ok_or_else(|| format!("write a share {range}"))
    })
    .described(json!({"type": "string", "pattern": "^[0-9]+%$"}))
}

/// A duration: a whole number and `s`, `m`, `h` or `d`.
pub(super) fn duration(least: Duration, most: Duration) -> Scalar<Duration> {
    let range = format!("from {} to {}", duration_text(least), duration_text(most));
    Scalar::new(format!("a duration {range}"), move |text| {
        let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
        let seconds = quantity(text, &units)
            .ok_or("write a whole number and a unit: `30s`, `5m`, `2h`, `1d`")?;
        let duration = Duration::from_secs(seconds);
        if (least..=most).contains(&duration) {
            Ok(duration)
        } else {
            Err(format!("write a duration {range}"))
        }
    })
    .described(json!({"type": "string", "pattern": "^[0-9]+[smhd]$"}))
}

/// A size in octets: a whole number and `KiB`, `MiB` or `GiB`.
pub(super) fn size(range: RangeInclusive<u64>) -> Scalar<u64> {
    let bounds = format!(
        "from {}MiB to {}GiB",
        range.start() >> 20,
        range.end() >> 30
    );
    Scalar::new(format!("a size {bounds}"), move |text| {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let octets = quantity(text, &units)
            .ok_or("write a whole number and a unit: `512KiB`, `64MiB`, `1GiB`")?;
        if range.contains(&octets) {
            Ok(octets)
        } else {
            Err(format!("write a size {bounds}"))
        }
    })
    .described(json!({"type": "string", "pattern": "^[0-9]+[KMG]iB$"}))
}

/// Any text on one line, not empty.
pub(super) fn text(expected: &'static str) -> Scalar<String> {
    Scalar::new(expected, |text| {
        let fits = text.chars().count() <= TEXT_CHARACTERS_MAX;
        if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "write one line of 1 to {TEXT_CHARACTERS_MAX} characters"
            ))
        }
    })
}

/// A name of our own: usable as a DNS label and as a folder.
pub(super) fn label() -> Scalar<String> {
    Scalar::new("a name of lower-case letters, digits and hyphens", |text| {
        if is_list_name(text) {
            Ok(text.to_owned())
        } else {
            Err(
                "it becomes a DNS label and a folder: 1 to 63 of `a` to `z`, `0` to `9` \
                     and `-`, with no hyphen at either end"
                    .to_owned(),
            )
        }
    })
    .described(json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}))
}

/// A domain name.
pub(super) fn domain() -> Scalar<Name> {
    Scalar::new("a domain name", |text| {
        Name::from_text(text).map_err(|error| error.to_string())
    })
}

/// A path; one that is relative starts at the folder of the configuration file.
pub(super) fn path(base: &Path) -> Scalar<PathBuf> {
    let base = base.to_owned();
    Scalar::new("a path", move |text| {
        if text.is_empty() || text.contains('\0') {
            Err("write the path of a file, such as `/etc/cordon/x`".to_owned())
        } else {
            Ok(base.join(text))
        }
    })
}

/// An address and a port to listen on.
pub(super) fn listen_address() -> Scalar<SocketAddr> {
    Scalar::new("an address with a port", |text| {
        text.parse().map_err(|_| {
            let with_port = match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => Some(format!("add the port: `\"{address}:53\"`")),
                Ok(IpAddr::V6(address)) => Some(format!("add the port: `\"[{address}]:53\"`")),
                Err(_) => None,
            };
            with_port.unwrap_or_else(|| {
                "write `\"192.0.2.1:53\"` or `\"[2001:db8::1]:53\"`; a host name is not taken"
                    .to_owned()
            })
        })
    })
}

/// An address of one family.
pub(super) fn address<A: FromStr + 'static>(expected: &'static str) -> Scalar<A> {
    Scalar::new(expected, |text| {
        text.parse()
            .map_err(|_| "write the address alone, without a port or prefix".to_owned())
    })
}

/// An address or a range of addresses.
pub(super) fn prefix() -> Scalar<Prefix> {
    Scalar::new("an address or a network", |text| {
        text.parse::<Prefix>().map_err(|error| error.to_string())
    })
}

/// A number with one of `units`, in the smallest unit; nothing where it is none.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit).filter(|number| digits(number))?;
        number.parse::<u64>().ok()?.checked_mul(*factor)
    })
}

/// Whether it is digits alone: the standard library also takes a sign.
fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A duration as the configuration writes it.
fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// The longest text that is no path or name.
const TEXT_CHARACTERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: 'static + std::fmt::Debug>(scalar: Scalar<T>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(scalar.read(text).is_ok(), "{text}: {}", scalar.expected);
        }
        for text in bad {
            assert!(scalar.read(text).is_err(), "{text}: {}", scalar.expected);
        }
    }

    #[test]
    fn each_kind_takes_what_it_says() {
        let day = Duration::from_secs(86_400);
        check(
            duration(Duration::from_secs(1), day),
            &["1s", "5m", "2h", "1d"],
            &[
                "",
                "5",
                "s",
                "+5s",
                "1.5h",
                "0s",
                "2d",
                "5 m",
                "99999999999999999999d",
            ],
        );
        check(
            size(1 << 20..=1 << 36),
            &["1MiB", "64MiB", "1024KiB", "64GiB"],
            &["64", "64MB", "64 MiB", "-1MiB", "1KiB", "99999999999GiB"],
        );
        check(
            count(1..=16_u16),
            &["1", "16"],
            &["0", "17", "+1", "1.0", "0x1", ""],
        );
        check(
            share(100),
            &["0%", "20%", "100%"],
            &["", "20", "-1%", "101%", "0.5%"],
        );
        check(flag(), &["true", "false"], &["True", "yes", "off", "1"]);
        check(
            label(),
            &["csam", "a", "house-rules", "0"],
            &["", "-a", "a-", "A", "a_b", "a.b", "..", &"a".repeat(64)],
        );
        check(
            domain(),
            &["bank.example", "Bank.Example."],
            &["", "a..b", "a b"],
        );
        check(
            listen_address(),
            &["0.0.0.0:53", "[::]:53", "127.0.0.1:0"],
            &["127.0.0.1", "::1", "localhost:53", "1.2.3.4:70000"],
        );
        check(
            prefix(),
            &["127.0.0.0/8", "::1/128", "192.0.2.1"],
            &["192.0.2.1/24", "x"],
        );
        check(text("a text"), &["x"], &["", " ", "a\nb"]);
        check(
            word(&[("on", 1), ("off", 0)]),
            &["on", "off"],
            &["later", "On", ""],
        );
    }

    #[test]
    fn a_near_miss_is_pointed_at() {
        let refusal = word(&[("enforce", 1), ("monitor", 2)])
            .read("enforced")
            .unwrap_err();
        assert_eq!(refusal, "did you mean `enforce`?");
        let refusal = listen_address().read("192.0.2.1").unwrap_err();
        assert_eq!(refusal, "add the port: `\"192.0.2.1:53\"`");
    }
}
