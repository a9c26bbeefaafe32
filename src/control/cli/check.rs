//! `cordon check`: every mistake of a configuration at once, or what it would run.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use crate::compile::{From, Mode};
use crate::config::{self, Config};
use crate::control::ExitError;
use crate::control::answers::offline::local_rows;
use crate::control::configuration;

/// Checks a configuration: every mistake at once, each with file, line, column, what is
/// expected and a way to mend it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/cordon/cordon.yaml")]
    pub(super) config: PathBuf,
    /// Prints the configuration's JSON Schema instead.
    #[arg(long)]
    pub(super) schema: bool,
    /// Prints the mistakes as JSON, for programs.
    #[arg(long, conflicts_with = "schema")]
    pub(super) json: bool,
}

/// Checks it, and says to standard output what is good.
///
/// # Errors
/// Every mistake, with exit code 78.
pub(super) fn run(arguments: &Check) -> Result<(), ExitError> {
    check(arguments, &mut io::stdout().lock())
}

/// Checks it. What is good goes to `out`; the mistakes are the error, in colour where standard
/// error is a terminal. With `--json` they go to `out`, too, as a list that is empty for a good
/// configuration.
///
/// # Errors
/// The mistakes, with exit code 78; 1 where `out` cannot be written.
fn check(arguments: &Check, out: &mut impl Write) -> Result<(), ExitError> {
    let written = |result: io::Result<()>| {
        result.map_err(|error| ExitError::failed(format!("the output cannot be written: {error}")))
    };
    if arguments.schema {
        return written(writeln!(out, "{:#}", config::schema()));
    }
    match Config::load(&arguments.config) {
        Ok(_) if arguments.json => written(writeln!(out, "[]")),
        Ok(config) => {
            configuration::check_files(&config).map_err(ExitError::configuration)?;
            let file = arguments.config.display();
            written(write!(out, "{file} is good. It runs:\n{}", runs(&config)))
        }
        Err(mistakes) if arguments.json => {
            written(writeln!(out, "{:#}", mistakes.to_json()))?;
            Err(ExitError::configuration(mistakes.summary()))
        }
        Err(mistakes) => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            Err(ExitError::configuration(mistakes.render(colour)))
        }
    }
}

/// What a configuration would run: a line for each list and each listener; below a list that is a
/// file what became of its rows.
fn runs(config: &Config) -> String {
    let rows = local_rows(config);
    let mut lines = Vec::new();
    for list in &config.lists {
        let from = match &list.from {
            From::Repository { repository, list } => format!("signed, {repository}/{list}"),
            From::File { path, format, .. } => {
                format!("unsigned, {} as {}", path.display(), format.as_str())
            }
        };
        let mode = match list.mode {
            Mode::Enforce => "enforced",
            Mode::Monitor => "counted only",
        };
        let clients = match list.dns.clients.as_slice() {
            [] => String::new(),
            clients => format!(", for {}", joined(clients)),
        };
        lines.push(format!("list {} ({from}): {mode}{clients}", list.name));
        let told = rows.get(&list.name).map(|rows| rows.lines());
        lines.extend(told.into_iter().flatten().map(str::to_owned));
    }
    if let Some(dns) = &config.dns {
        let clients = joined(&dns.clients);
        lines.push(format!("DNS on {}, for {clients}", joined(&dns.listen)));
    }
    if let Some(proxy) = &config.proxy {
        for (what, addresses) in [
            ("stop page", &proxy.http),
            ("forward proxy", &proxy.forward),
        ] {
            if !addresses.is_empty() {
                lines.push(format!("{what} on {}", joined(addresses)));
            }
        }
    }
    if let Some(report) = &config.report {
        let scheme = if report.tls.is_some() {
            "https"
        } else {
            "http"
        };
        lines.push(format!(
            "report on {}, over {scheme}",
            joined(&report.listen)
        ));
    }
    if lines.is_empty() {
        lines.push("nothing: it has no lists and no listeners".to_owned());
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Addresses or networks with commas between them.
fn joined(addresses: &[impl ToString]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ExitCode;

    #[track_caller]
    fn checked(config: &str, schema: bool, json: bool) -> (String, Option<ExitError>) {
        let arguments = Check {
            config: PathBuf::from("tests/config").join(config),
            schema,
            json,
        };
        let mut out = Vec::new();
        let error = check(&arguments, &mut out).err();
        (String::from_utf8(out).unwrap(), error)
    }

    #[test]
    fn a_good_one_says_what_it_runs() {
        let (out, error) = checked("good/full.yaml", false, false);
        assert_eq!(error, None);
        for line in [
            "tests/config/good/full.yaml is good. It runs:",
            "  list csam (signed, hotlines/csam): counted only",
            "  DNS on 127.0.0.1:5300, [::1]:5300, for 192.0.2.0/24",
            "  stop page on 0.0.0.0:8451, [::]:8451",
            "  forward proxy on 127.0.0.1:8454",
            "  report on 192.0.2.80:8450, over https",
        ] {
            assert!(out.lines().any(|found| found == line), "{line}\n{out}");
        }
        let (out, _) = checked("good/minimal.yaml", false, false);
        assert!(out.contains("nothing: it has no lists"), "{out}");
    }

    #[test]
    fn mistakes_end_with_78() {
        let (out, error) = checked("bad/duplicate-key.yaml", false, false);
        let error = error.unwrap();
        assert_eq!((out.as_str(), error.code), ("", ExitCode::Configuration));
        assert!(error.message.contains("`log` is written twice"), "{error}");
        let (out, error) = checked("bad/duplicate-key.yaml", false, true);
        let list: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(list[1]["line"], 8);
        assert_eq!(list[1]["other"]["line"], 2);
        assert!(error.unwrap().message.starts_with("2 mistakes in"));
    }

    #[test]
    fn the_schema_needs_no_configuration() {
        let (out, error) = checked("no-such.yaml", true, false);
        assert_eq!(error, None);
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(schema["additionalProperties"], false);
    }
}
