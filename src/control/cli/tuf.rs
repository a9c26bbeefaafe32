//! `cordon tuf`: a plain TUF client over the same verifier, for testing it against
//! repositories of others (trust.md section 2).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;

use crate::control::ExitError;
use crate::control::clock;
use crate::control::rounds::RoundError;
use crate::source::{self, Fetched, Mirror, Source, SourceError, remove, replace};
use crate::verify::{Answer, Client, Target, VerifyError, Write, quoted};

/// Keeps the metadata of one TUF repository, and downloads its target files. Lists mean
/// nothing here, and the lint at the border does not apply.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Tuf {
    /// The folder of the trusted metadata.
    #[arg(long, value_name = "DIR")]
    metadata_dir: PathBuf,
    /// The address of the repository's metadata.
    #[arg(long, value_name = "URL")]
    metadata_url: Option<String>,
    /// The path of a target file to download; may be given several times.
    #[arg(long = "target-name", value_name = "PATH")]
    target_names: Vec<String>,
    /// The folder for target files.
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// The address of the repository's target files.
    #[arg(long, value_name = "URL")]
    target_base_url: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Trust this root, without a request.
    Init {
        /// The root metadata.
        root: PathBuf,
    },
    /// Bring the metadata up to date.
    Refresh,
    /// Bring the metadata up to date, and download the target files in their order.
    Download,
}

/// Does what the verb says.
///
/// # Errors
/// The first thing that failed, with exit code 1; what was trusted before still is.
pub(super) fn run(tuf: &Tuf) -> Result<(), ExitError> {
    let done = match &tuf.verb {
        Verb::Init { root } => init(&tuf.metadata_dir, root),
        Verb::Refresh => {
            let address = given(tuf.metadata_url.as_deref(), "--metadata-url")?;
            wait(async { refreshed(&tuf.metadata_dir, address).await.map(drop) })?
        }
        Verb::Download => {
            let address = given(tuf.metadata_url.as_deref(), "--metadata-url")?;
            let targets = given(tuf.target_base_url.as_deref(), "--target-base-url")?;
            let folder = given(tuf.target_dir.as_deref(), "--target-dir")?;
            given(tuf.target_names.first(), "--target-name")?;
            wait(async {
                let mut targets = mirror(targets)?;
                let mut repository = refreshed(&tuf.metadata_dir, address).await?;
                for name in &tuf.target_names {
                    repository.download(name, &mut targets, folder).await?;
                }
                Ok(())
            })?
        }
    };
    done.map_err(ExitError::failed)
}

/// One repository: its mirror, what is trusted of it, and the folder of that.
#[derive(Debug)]
struct Repository<'a> {
    metadata: Source,
    client: Client,
    folder: &'a Path,
}

impl Repository<'_> {
    /// Fetches what is wanted, judges it and stores it, until nothing more is wanted.
    async fn follow(&mut self) -> Result<(), RoundError> {
        while let Some(wanted) = self.client.next() {
            let fetched = self
                .metadata
                .fetch(0, &wanted.path, wanted.octets_max, None)
                .await?;
            let answer = match &fetched {
                Fetched::File(bytes, _) => Answer::File(bytes),
                Fetched::Absent => Answer::Absent,
                Fetched::Unchanged => Answer::Unchanged,
            };
            for write in self.client.feed(answer)? {
                store(self.folder, write)?;
            }
        }
        Ok(())
    }

    /// Downloads a target file, unless the folder has it already.
    async fn download(
        &mut self,
        name: &str,
        targets: &mut Source,
        folder: &Path,
    ) -> Result<(), RoundError> {
        self.client.seek(name);
        self.follow().await?;
        let target = self.client.take_found()?;
        let path = folder.join(quoted(name));
        if is_there(&path, &target) {
            return Ok(());
        }
        if target.length() > TARGET_OCTETS_MAX {
            let octets_max = TARGET_OCTETS_MAX;
            let file = name.to_owned();
            return Err(VerifyError::TooLong { file, octets_max }.into());
        }
        let location = target.location(self.client.has_consistent_snapshot());
        match targets.fetch(0, &location, target.length(), None).await? {
            Fetched::File(bytes, _) => {
                target.check(&bytes)?;
                make(folder)?;
                replace(&path, &bytes).map_err(RoundError::Store)
            }
            Fetched::Absent | Fetched::Unchanged => {
                Err(VerifyError::Missing { file: location }.into())
            }
        }
    }
}

/// Trusts a root from now on.
fn init(folder: &Path, root: &Path) -> Result<(), RoundError> {
    let write = Client::init(&read(root)?)?;
    make(folder)?;
    store(folder, write)
}

/// Brings the metadata in the folder up to date with a mirror.
async fn refreshed<'a>(folder: &'a Path, address: &str) -> Result<Repository<'a>, RoundError> {
    let mut repository = Repository {
        metadata: mirror(address)?,
        client: Client::begin(files_in(folder)?, clock::timestamp())?,
        folder,
    };
    repository.follow().await?;
    Ok(repository)
}

/// The mirror at an address, which may be plain http on any host.
fn mirror(address: &str) -> Result<Source, SourceError> {
    let address = address.trim_end_matches('/');
    Source::new(&source::Settings {
        repository: "tuf".to_owned(),
        mirrors: vec![Mirror::Http(format!("{address}/"))],
        tls: None,
        timeout: TIMEOUT,
    })
}

/// The metadata files in the folder by their names.
fn files_in(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, RoundError> {
    let mut files = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| name.ends_with(".json")) {
            files.insert(name.to_owned(), read(&path)?);
        }
    }
    Ok(files)
}

/// A metadata file.
fn read(path: &Path) -> Result<Vec<u8>, RoundError> {
    let octets = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if octets.len() > METADATA_OCTETS_MAX {
        return Err(RoundError::Verify(VerifyError::TooLong {
            file: path.display().to_string(),
            octets_max: METADATA_OCTETS_MAX,
        }));
    }
    fs::read(path).map_err(|error| unreadable(path, error))
}

/// Makes a change to the folder durable.
fn store(folder: &Path, write: Write) -> Result<(), RoundError> {
    match write {
        Write::Put(name, bytes) => replace(&folder.join(name), &bytes),
        Write::Remove(name) => remove(&folder.join(name)),
    }
    .map_err(RoundError::Store)
}

/// Makes a folder where there is none.
fn make(folder: &Path) -> Result<(), RoundError> {
    fs::create_dir_all(folder).map_err(|source| {
        RoundError::Store(SourceError::Io {
            path: folder.to_owned(),
            source,
        })
    })
}

/// Whether the file is there, with the octets that were signed.
fn is_there(path: &Path, target: &Target) -> bool {
    let octets = fs::metadata(path).map(|metadata| metadata.len());
    octets.is_ok_and(|octets| octets == target.length())
        && fs::read(path).is_ok_and(|bytes| target.check(&bytes).is_ok())
}

/// An option that the verb cannot do without.
fn given<T>(option: Option<T>, name: &str) -> Result<T, ExitError> {
    option.ok_or_else(|| ExitError::usage(format!("this needs {name}")))
}

/// Waits for work that fetches.
fn wait<T>(work: impl Future<Output = T>) -> Result<T, ExitError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExitError::system)?;
    Ok(runtime.block_on(work))
}

/// The error for a file or folder that cannot be read.
fn unreadable(path: &Path, source: std::io::Error) -> RoundError {
    RoundError::Source(SourceError::Io {
        path: path.to_owned(),
        source,
    })
}

/// How long one file may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The most octets of a metadata file of any role.
const METADATA_OCTETS_MAX: u64 = 1 << 20;
/// The most octets of a target file; it is in memory until its digest is known.
const TARGET_OCTETS_MAX: u64 = 1 << 30;
