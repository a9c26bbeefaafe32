//! Lists on trial: once they are in force the node asks itself, and what fails is taken back
//! and held.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::control::clock;
use crate::control::rounds::update::Updater;
use crate::control::rulings::versions::Untested;
use crate::enforce::Edition;

impl Updater {
    /// Puts the current version of every list in force and has the node ask itself. Where it
    /// answers wrongly and what was in force before did not, every version that the guards
    /// just let through is held, as if a guard had held it, and what was in force before is
    /// again.
    ///
    /// # Errors
    /// A line on each version that was taken back.
    pub(crate) fn put_in_force_on_trial(&mut self, runtime: &Runtime) -> Result<(), String> {
        let mut came = self.versions.take_untested();
        let retired = self.put_in_force();
        // First versions were judged by being compiled.
        came.extend(self.versions.take_untested());
        let in_force =
            |list: &str, it: &Untested| self.editions.version(list).as_ref() == Some(&it.version);
        came.retain(|list, untested| in_force(list, untested));
        let (config, tester) = (Arc::clone(&self.config), Arc::clone(&self.self_tester));
        if came.is_empty() {
            // What time, terms or a person brought about has no version to go back from.
            runtime.block_on(tester.test_and_tell(&config, || true));
            return Ok(());
        }
        let Some(reason) = runtime.block_on(tester.try_out(&config, &retired.blocklist)) else {
            return Ok(());
        };
        let lines = self.take_back(came, &reason);
        self.put_back(&retired);
        runtime.block_on(tester.test_and_tell(&config, || true));
        Err(lines.join("\n"))
    }

    /// Holds what came; a line on each.
    fn take_back(&mut self, came: BTreeMap<String, Untested>, reason: &str) -> Vec<String> {
        let now = clock::timestamp();
        let mut lines = Vec::new();
        for (list, untested) in came {
            let version = untested.version.clone();
            // Sentences of guards end without a stop.
            let reason_of_guard = reason.trim_end_matches('.');
            let sentence = format!("once it was in force the self-test failed: {reason_of_guard}");
            self.versions.take_back(&list, untested, sentence, now);
            self.tell(&list);
            let line = format!(
                "list {list}: {version} failed the self-test and is held; what was in force before it is again. {reason} See `cordon hold`"
            );
            tracing::error!("{line}");
            lines.push(line);
        }
        lines
    }

    /// Puts what was in force before in force again: at once, where that edition is what has
    /// to be; else compiled anew.
    fn put_back(&mut self, retired: &Edition) {
        let (config, levers) = (Arc::clone(&self.config), self.levers());
        let (versions, dropped) = (&self.versions, &self.dropped);
        let due = |list: &str| {
            let standing = versions
                .standing(list)
                .filter(|_| !dropped.contains_key(list));
            standing?.in_force.clone()
        };
        let borders = self.borders();
        let is_back = self
            .editions
            .put_back(&config, &borders, &levers, retired, due);
        if !is_back {
            self.put_in_force();
        }
    }
}
