//! Moving a job's files (gass.md §7): executable and stdin are fetched before it starts, stdout and stderr delivered when it
//! has ended. Everything travels with the owner's delegated proxy, to and from servers that are the owner's own.

use crate::{
    environment::Streams,
    job::{CacheEntry, Destination, Failure, FailureKind, Input, Job, Output},
    site::JobFiles,
    stream::{CarryError, Stream, Streaming, Way},
};
use gass::{Cache, CacheError, Client, GassError, Url};
use gram::GramError;
use gsi::Expect;
use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tokio::{fs::File, io::AsyncWriteExt as _};

/// A file was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Over the network.
    #[error(transparent)]
    Gass(#[from] Box<GassError>),
    /// On its way since the job began.
    #[error(transparent)]
    Carried(#[from] CarryError),
    /// In the cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// On this machine.
    #[error("{}: {source}", path.display())]
    Local {
        /** the file */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
}

impl From<GassError> for TransferError {
    fn from(error: GassError) -> Self {
        Self::Gass(Box::new(error))
    }
}

fn local(path: &Path) -> impl FnOnce(io::Error) -> TransferError + use<> {
    let path = path.to_owned();
    move |source| TransferError::Local { path, source }
}

/// Fetches what the request names by URL: the executable (43), then stdin (44).
pub async fn fetch(job: &Job, files: &JobFiles, client: &Client) -> Result<(), Failure> {
    if let Input::Url(url) = &job.spec.executable {
        let failed =
            |error| fetch_failure(GramError::STAGING_EXECUTABLE, FailureKind::Executable, url, &error);
        fetch_file(client, url, &files.executable(), 0o700).await.map_err(failed)?;
    }
    if let Input::Url(url) = &job.spec.stdin {
        let failed =
            |error: TransferError| fetch_failure(GramError::STAGING_STDIN, FailureKind::Stdin, url, &error);
        fetch_file(client, url, &files.stdin(), 0o600).await.map_err(failed)?;
    }
    Ok(())
}

fn fetch_failure(code: GramError, kind: FailureKind, url: &str, error: &TransferError) -> Failure {
    Failure { kind: Some(kind), source_url: Some(url.to_owned()), ..Failure::new(code, error.to_string()) }
}

/// A fetch that is repeated after a restart starts over.
async fn fetch_file(client: &Client, url: &str, path: &Path, mode: u32) -> Result<(), TransferError> {
    let url: Url = url.parse()?;
    let mut file = File::create(path).await.map_err(local(path))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).await.map_err(local(path))?;
    client.get(&url, &Expect::Myself, &mut file).await?;
    file.flush().await.map_err(local(path))
}

/// Sends each stream to each of its destinations, in the order stock has: stderr before stdout, the last destination first. The
/// first failure ends it: 74 for stderr, 73 for stdout.
pub async fn deliver(
    job: &Job,
    files: &JobFiles,
    client: &Client,
    streaming: &Streaming,
) -> Result<(), Failure> {
    let written = Streams::of(job, files);
    let streams = [
        (&job.spec.stderr, &written.stderr, Stream::Stderr, GramError::OPENING_STDERR),
        (&job.spec.stdout, &written.stdout, Stream::Stdout, GramError::OPENING_STDOUT),
    ];
    for (output, source, stream, code) in streams {
        let Output::Deliver(destinations) = output else { continue };
        for (number, destination) in (0..).zip(destinations).collect::<Vec<_>>().into_iter().rev() {
            let delivered = match streaming.finish(job, &written, Way { stream, number }).await {
                Some(carried) => carried.map(drop).map_err(TransferError::from),
                None => deliver_to(job, source, destination, client).await,
            };
            delivered.map_err(|error| Failure {
                destination: Some(show(destination)),
                ..Failure::new(code, error.to_string())
            })?;
        }
    }
    Ok(())
}

fn show(destination: &Destination) -> String {
    match destination {
        Destination::Url(url) => url.clone(),
        Destination::File(path) => path.lossy().into_owned(),
        Destination::Cache(entry) => entry.url.clone(),
    }
}

async fn deliver_to(
    job: &Job,
    source: &Path,
    destination: &Destination,
    client: &Client,
) -> Result<(), TransferError> {
    match destination {
        Destination::File(path) => copy(source, path.as_path()).await,
        Destination::Cache(entry) => {
            let (job, entry) = (job.clone(), entry.clone());
            let path = blocking(move || cache_entry(&job, &entry)).await?;
            copy(source, &path).await
        }
        Destination::Url(url) => match url.parse::<Url>()? {
            Url::File(path) => copy(source, &path).await,
            url => {
                let mut file = File::open(source).await.map_err(local(source))?;
                // Appending nothing to the client's terminal changes nothing, and costs it a connection.
                let size = file.metadata().await.map_err(local(source))?.len();
                if is_terminal(&url) && size == 0 {
                    return Ok(());
                }
                client.put(&url, &Expect::Myself, &mut file).await?;
                Ok(())
            }
        },
    }
}

fn is_terminal(url: &Url) -> bool {
    matches!(url, Url::Http { path, .. } if path == "/dev/stdout" || path == "/dev/stderr")
}

async fn copy(from: &Path, to: &Path) -> Result<(), TransferError> {
    tokio::fs::copy(from, to).await.map(drop).map_err(local(to))
}

/// Makes the cache entries that the job writes into itself; gives their paths for stdout and stderr.
pub async fn open_cache_entries(job: &Job) -> Result<(Option<PathBuf>, Option<PathBuf>), Failure> {
    let open = async |output: &Output, code: GramError| {
        let Output::Cache(entry) = output else { return Ok(None) };
        let (job, entry) = (job.clone(), entry.clone());
        let opened = blocking(move || cache_entry(&job, &entry)).await;
        opened.map(Some).map_err(|error| Failure::new(code, error.to_string()))
    };
    Ok((
        open(&job.spec.stdout, GramError::OPENING_STDOUT).await?,
        open(&job.spec.stderr, GramError::OPENING_STDERR).await?,
    ))
}

fn cache_entry(job: &Job, entry: &CacheEntry) -> Result<PathBuf, TransferError> {
    let cache = Cache::open(job.spec.gass_cache.as_path())?;
    Ok(cache.create(&entry.url, entry.tag.as_deref().unwrap_or(&job.contact))?)
}

/// Removes what the job itself brought into the cache: everything under its own tag. Entries with a tag of the user's stay.
pub fn clean_cache(job: &Job) -> Result<(), TransferError> {
    if job.spec.cache_entries().all(|entry| entry.tag.is_some()) {
        return Ok(());
    }
    Ok(Cache::open(job.spec.gass_cache.as_path())?.remove_tag(&job.contact)?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(TransferError::Local { path: PathBuf::new(), source: io::Error::other(error) }),
    }
}
