//! What goes through the GASS cache (gass.md §8): what is fetched for a job under the job's tag, so that jobs with the same URL
//! share one copy, and streams that the job writes into an entry.

use super::{
    Desk, TransferError,
    errand::{blocking, download},
};
use crate::{
    environment::Places,
    job::{CacheEntry, Failure, Input, Job, Output},
    site::JobFiles,
};
use gass::{Cache, CacheError, GassError, Url};
use gram::GramError;
use std::{io, path::PathBuf};

/// The cache of a job is usable (149).
pub fn usable(job: &Job) -> Result<(), Failure> {
    Cache::open(job.spec.gass_cache.as_path())
        .map(drop)
        .map_err(|error| Failure::new(GramError::INVALID_CACHE, error.to_string()))
}

/// Where the job's streams and its program are, when it is about to start. Entries that it writes into are made.
///
/// # Errors
/// An entry that cannot be made: 73, 74.
pub async fn places(job: &Job, files: &JobFiles) -> Result<Places, Failure> {
    let mut places = Places::of(job, files);
    if !job.spec.uses_cache() && job.redirected.is_none() {
        return Ok(places);
    }
    let job = job.clone();
    let found = blocking(move || {
        let entry = |output: &Output, code| match output {
            Output::Cache(entry) => create_in(&job, entry).map(Some).map_err(|error| (code, error)),
            Output::File(_) | Output::Deliver(_) => Ok(None),
        };
        // One that is not there (any more) is told by the scheduler, unless that has the job already.
        let fetched = |input: &Input| match input {
            Input::Url(url) => find_in(&job, url).ok(),
            Input::File(_) => None,
        };
        Ok((
            entry(job.stdout_as_started(), GramError::OPENING_STDOUT),
            entry(job.stderr_as_started(), GramError::OPENING_STDERR),
            fetched(&job.spec.executable),
            fetched(&job.spec.stdin),
        ))
    });
    let (stdout, stderr, executable, stdin) =
        found.await.map_err(|error| Failure::new(GramError::OPENING_CACHE, error.to_string()))?;
    let opened = |entry: Result<Option<PathBuf>, (GramError, TransferError)>| {
        entry.map_err(|(code, error)| Failure::new(code, error.to_string()))
    };
    places.stdout = opened(stdout)?.unwrap_or(places.stdout);
    places.stderr = opened(stderr)?.unwrap_or(places.stderr);
    places.executable = executable.unwrap_or(places.executable);
    places.stdin = stdin.unwrap_or(places.stdin);
    Ok(places)
}

/// Fetches into the cache, unless it is there; jobs that want the same at the same time share one fetch.
pub(super) async fn fetch(desk: &Desk, url: &str) -> Result<PathBuf, TransferError> {
    let (job, name) = (desk.job.clone(), url.to_owned());
    let (cache, there) = blocking(move || {
        let cache = Cache::open(job.spec.gass_cache.as_path())?;
        // A manager that was killed may have fetched it without being able to say so.
        let there = cache.query(&name, job.cache_tag())?;
        Ok((cache, there))
    })
    .await?;
    if let Some(path) = there {
        return Ok(path);
    }
    let parsed = url.parse::<Url>()?;
    Ok(cache.add(url, desk.job.cache_tag(), |path| fill(desk, parsed, path)).await?)
}

/// Fills the file of a new entry.
async fn fill(desk: &Desk, url: Url, path: PathBuf) -> Result<(), GassError> {
    let failed = |source| GassError::Local { doing: format!("cannot store {}", path.display()), source };
    match &url {
        Url::Http { .. } => {
            let file = tokio::fs::OpenOptions::new().write(true).truncate(true).open(&path).await;
            download(desk, &url, &mut file.map_err(failed)?).await.map(drop).map_err(|error| match error {
                TransferError::Gass(error) => *error,
                error => {
                    GassError::Local { doing: format!("cannot fetch {url}"), source: io::Error::other(error) }
                }
            })
        }
        Url::File(from) => tokio::fs::copy(from, &path)
            .await
            .map(drop)
            .map_err(|source| GassError::Local { doing: format!("cannot copy {}", from.display()), source }),
        Url::Cache(_) => {
            let reason = "it names an entry of the cache, which cannot be fetched".to_owned();
            Err(GassError::BadUrl { url: url.to_string(), reason })
        }
    }
}

/// The file of an entry that the job has.
pub(super) async fn find(desk: &Desk, url: &str) -> Result<PathBuf, TransferError> {
    let (job, url) = (desk.job.clone(), url.to_owned());
    blocking(move || find_in(&job, &url)).await
}

/// Makes an entry, or finds it.
pub(super) async fn create(desk: &Desk, entry: &CacheEntry) -> Result<PathBuf, TransferError> {
    let (job, entry) = (desk.job.clone(), entry.clone());
    blocking(move || create_in(&job, &entry)).await
}

fn create_in(job: &Job, entry: &CacheEntry) -> Result<PathBuf, TransferError> {
    let cache = Cache::open(job.spec.gass_cache.as_path())?;
    Ok(cache.create(&entry.url, entry.tag.as_deref().unwrap_or(job.cache_tag()))?)
}

fn find_in(job: &Job, url: &str) -> Result<PathBuf, TransferError> {
    let tag = job.cache_tag();
    let found = Cache::open(job.spec.gass_cache.as_path())?.query(url, tag)?;
    found.ok_or_else(|| CacheError::NotFound { url: url.to_owned(), tag: tag.to_owned() }.into())
}

/// Removes what the job itself brought into the cache: everything under its own tag. Entries with a tag of the user's stay.
pub(super) fn clean(job: &Job) -> Result<(), TransferError> {
    let own_entries = job.spec.fetches_to_cache() || job.cache_entries().any(|entry| entry.tag.is_none());
    if !own_entries {
        return Ok(());
    }
    Ok(Cache::open(job.spec.gass_cache.as_path())?.remove_tag(job.cache_tag())?)
}
