//! [`Errand`]: one file of one mirror on its way, and [`Errands`], those of all repositories.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::source::{Fetched, Source, SourceError, Validator};

/// A file that a round wants of a mirror, with all that fetching it takes: nothing else waits
/// for it.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) source: Source,
    pub(crate) mirror: usize,
    pub(crate) path: String,
    pub(crate) octets_max: u64,
    pub(crate) validator: Option<Validator>,
}

/// What an errand brought.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) source: Source,
    pub(crate) fetched: Result<Fetched, SourceError>,
}

/// An errand on its way.
type Fetching = Pin<Box<dyn Future<Output = Brought> + Send>>;

impl Errand {
    /// Fetches the file.
    pub(crate) async fn run(self) -> Brought {
        let Self {
            mut source,
            mirror,
            path,
            octets_max,
            validator,
        } = self;
        let fetching = source.fetch(mirror, &path, octets_max, validator.as_ref());
        let fetched = fetching.await;
        Brought { source, fetched }
    }
}

/// What the mirrors of all repositories are asked at the moment: one file of each repository
/// at most, so that a slow one keeps no other waiting.
#[derive(Default)]
pub(crate) struct Errands {
    out: Vec<(String, Fetching)>,
}

impl Errands {
    /// Sends an errand of a repository.
    pub(crate) fn send(&mut self, repository: &str, errand: Errand) {
        self.out
            .push((repository.to_owned(), Box::pin(errand.run())));
    }

    /// Forgets the errands of other repositories than those.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.out.retain(|(repository, _)| is_kept(repository));
    }

    /// The next that is back, with its repository; none comes back where none is out. Whoever
    /// stops waiting loses nothing.
    pub(crate) async fn next(&mut self) -> (String, Brought) {
        poll_fn(|context| {
            for place in 0..self.out.len() {
                if let Some((_, errand)) = self.out.get_mut(place)
                    && let Poll::Ready(brought) = errand.as_mut().poll(context)
                {
                    let (repository, _) = self.out.remove(place);
                    return Poll::Ready((repository, brought));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl std::fmt::Debug for Errands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = self.out.iter().map(|(repository, _)| repository);
        formatter.debug_list().entries(out).finish()
    }
}
