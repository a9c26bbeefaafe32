//! Another configuration: all of it is taken, or the old one stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::compile;
use crate::config::Config;
use crate::control::answers::decided::decided;
use crate::control::rounds::editions::Changed;
use crate::control::rounds::repositories::Repositories;
use crate::control::rounds::update::{Updater, tell_damaged};
use crate::control::rulings::renamed::carry_over;
use crate::control::rulings::stored::text_of;
use crate::control::rulings::versions::Versions;
use crate::verify::{ListFile, Verified};

impl Updater {
    /// Takes another configuration; where it cannot, the old one stays in force. Says which
    /// versions came with it and were taken back, and which are held or rejected.
    pub(crate) fn take(
        &mut self,
        runtime: &Runtime,
        config: Arc<Config>,
    ) -> Result<String, String> {
        let gone = carry_over(&config);
        let mut versions = Versions::new(&config.state);
        let opened = versions.configure(&config).and_then(|damaged| {
            let mut opened = Repositories::open(&config, &self.repositories)?;
            let fresh = self.still_there(&config, &mut opened)?;
            Ok((damaged, opened, fresh))
        });
        let (damaged, opened, fresh) = opened.inspect_err(|_| _ = carry_over(&self.config))?;
        tell_damaged(&self.editions, gone.into_iter().chain(damaged));
        self.repositories.take(&config, opened);
        self.versions = versions;
        self.config = Arc::clone(&config);
        self.repositories.give_up_others(&config);
        self.errands
            .keep(|repository| self.repositories.is_out(repository));
        self.forget_rounds();
        self.editions.configure(&config);
        for settings in &config.lists {
            match fresh.get(&settings.name) {
                Some(file) => _ = self.offer(settings, Changed::whole(file.clone())),
                None if self.editions.is_in_force(&settings.name) => {
                    _ = self.offer_local(settings);
                }
                None => self.begin(settings),
            }
            self.judge_held(settings);
        }
        let mut lines: Vec<String> = self
            .put_in_force_on_trial(runtime)
            .err()
            .into_iter()
            .collect();
        let known = self.editions.updates.lists();
        lines.extend(
            known
                .iter()
                .filter_map(|known| Some(format!("list {}: {}", known.list, decided(known)?))),
        );
        Ok(lines.join("\n"))
    }

    /// The texts of the lists that are in force and that `config` gets in another way, as by
    /// another pinned root or under another name.
    ///
    /// # Errors
    /// Where such a list has no version that verifies in the new way: a slip of the pen must
    /// not drop what is in force.
    fn still_there(
        &mut self,
        config: &Config,
        opened: &mut Repositories,
    ) -> Result<BTreeMap<String, Verified<ListFile>>, String> {
        let mut fresh = BTreeMap::new();
        for settings in &config.lists {
            let before = self
                .config
                .lists
                .iter()
                .find(|before| before.name == settings.name);
            let compile::From::Repository { repository, list } = &settings.from else {
                continue;
            };
            let of = |config: &Config| {
                let found = config.repositories.iter().find(|of| of.name == *repository);
                found.map(|repository| repository.verify.clone())
            };
            let is_same = before.is_some_and(|before| before.from == settings.from)
                && of(&self.config) == of(config);
            if is_same || before.is_none() || !self.editions.is_in_force(&settings.name) {
                continue;
            }
            let in_force = self.versions.standing(&settings.name);
            let version = in_force.and_then(|standing| standing.in_force.as_ref());
            let file = version.and_then(|version| {
                let version = version.stored();
                text_of(&config.state, settings, &version, |name| {
                    opened
                        .puller(name)
                        .or_else(|| self.repositories.puller(name))
                })
                .ok()
            });
            let file = file.ok_or_else(|| {
                format!(
                    "list {} is in force, and no version of it verifies as list {list} of repository {repository} under the new configuration. Look at `from` and `trust`; to begin anew on purpose, remove the list, reload, and add it again",
                    settings.name
                )
            })?;
            fresh.insert(settings.name.clone(), file);
        }
        Ok(fresh)
    }
}
