//! What goes through the GASS cache (gass.md §8): what is fetched for a job under the job's tag, so that jobs with the same URL
//! share one copy, and streams that the job writes into an entry.

use super::{
    Desk, TransferError,
    errand::{blocking, download},
    failure::local,
};
use crate::{
    environment::Places,
    job::{CacheEntry, Failure, Input, Job, Output},
    site::JobFiles,
};
use gass::{Cache, GassError, Url};
use gram::GramError;
use std::path::PathBuf;

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

/// Fetches into the cache, unless it is there.
pub(super) async fn fetch(desk: &Desk, url: &str) -> Result<PathBuf, TransferError> {
    let job = desk.job.clone();
    let entry = CacheEntry { url: url.to_owned(), tag: None };
    let path = blocking(move || create_in(&job, &entry)).await?;
    if std::fs::metadata(&path).is_ok_and(|there| there.len() > 0) {
        return Ok(path);
    }
    let file = std::fs::File::create(&path).map_err(local(&path))?;
    let mut sink = tokio::fs::File::from_std(file);
    match url.parse::<Url>()? {
        url @ Url::Http { .. } => download(desk, &url, &mut sink).await?,
        Url::File(from) => std::fs::copy(&from, &path).map_err(local(&from))?,
        Url::Cache(_) => {
            let reason = "it names an entry of the cache, which cannot be fetched".to_owned();
            return Err(GassError::BadUrl { url: url.to_string(), reason }.into());
        }
    };
    Ok(path)
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
    let cache = Cache::open(job.spec.gass_cache.as_path())?;
    Ok(cache.create(url, job.cache_tag())?)
}

/// Removes what the job itself brought into the cache: everything under its own tag. Entries with a tag of the user's stay.
pub(super) fn clean(job: &Job) -> Result<(), TransferError> {
    let own_entries = job.spec.fetches_to_cache() || job.cache_entries().any(|entry| entry.tag.is_none());
    if !own_entries {
        return Ok(());
    }
    Ok(Cache::open(job.spec.gass_cache.as_path())?.remove_tag(job.cache_tag())?)
}
