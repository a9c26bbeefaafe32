//! Commands without a daemon: the lists on disk, verified again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::compile::{Blocklist, Border, CompiledList, Compiler, From, Levers, Reserved};
use crate::config::Config;
use crate::control::ExitError;
use crate::control::answers::explain::{Explanation, Question};
use crate::control::answers::left_out::pullers;
use crate::control::answers::list_status::ListStatus;
use crate::control::clock;
use crate::control::command::explained;
use crate::control::levers::allowed::Allowed;
use crate::control::rulings::local::read_file;
use crate::control::rulings::stored::text_of;
use crate::control::rulings::versions::current;
use crate::control::shown::Shown;

/// Explains from what is on disk what a daemon with this configuration would do.
///
/// # Errors
/// A sentence where the state cannot be read, or `asked` is no name, URL or address.
pub(crate) fn explain(
    config: &Config,
    asked: &str,
    client: Option<IpAddr>,
    rtype: &str,
) -> Result<Shown, ExitError> {
    let blocklist = compile(config);
    let question = Question {
        asked,
        client,
        rtype,
        now: clock::timestamp(),
    };
    Explanation::of(config, &blocklist, &question)
        .and_then(|explanation| explained(&explanation))
        .map_err(ExitError::failed)
}

/// What became of the rows of the lists that are files here, list by list; for `check`.
pub(crate) fn local_rows(config: &Config) -> BTreeMap<String, String> {
    let now = clock::timestamp();
    let mut compiler = Compiler::new(&config.protect, now);
    for settings in &config.lists {
        if let From::File { path, .. } = &settings.from
            && let Ok(file) = read_file(&settings.name, path)
        {
            compiler.add(settings, &file);
        }
    }
    let blocklist = compiler.finish();
    let rows = |list: &CompiledList| {
        let name = &list.settings.name;
        let mut text = String::new();
        ListStatus::empty(name, String::new(), "", false)
            .with_list(Some(list), now)
            .write_rows(&mut text);
        (name.clone(), text)
    };
    blocklist.lists().iter().map(rows).collect()
}

fn compile(config: &Config) -> Blocklist {
    let now = clock::timestamp();
    let mut pullers = pullers(config);
    let mut compiler = Compiler::new(&config.protect, now);
    let mut levers = Levers {
        now,
        allowed: Allowed::peek(&config.state).names(now),
        ..Levers::default()
    };
    for settings in &config.lists {
        let file = current(config, settings, |version| {
            text_of(&config.state, settings, version, |name| {
                pullers.get_mut(name)
            })
        });
        let Some(file) = file else {
            eprintln!("list {}: there is no version of it on disk", settings.name);
            continue;
        };
        let mut border = Border::local(settings);
        if let From::Repository { repository, list } = &settings.from
            && let Some(puller) = pullers.get(repository)
        {
            let signed = puller.policy().map(|policy| policy.understood(list));
            let never_block = Reserved::new(Arc::clone(puller.never_block()));
            border = Border::of(settings, signed.as_ref(), Arc::new(never_block));
            let withdrawn = puller.withdrawals(list).to_vec();
            levers.withdrawn.insert(settings.name.clone(), withdrawn);
        }
        compiler.add_within(settings, &border, &file);
    }
    compiler.finish().with(&levers)
}
