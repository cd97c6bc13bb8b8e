//! Files as a program sees them: open a URL, read, write, seek, close (gass.md §10, the semantics of `globus_gass_open`).
//!
//! | opened for | what happens | on close |
//! |---|---|---|
//! | reading | a reference in the cache; fetched unless somebody has it | the reference is dropped |
//! | writing, or both | as reading, then a private copy to work on | changed: written back; then as reading |
//! | writing, truncated | an empty private file, nothing is fetched | written back |
//! | appending | a stream to the server, sent as it is written | the stream ends; the server has confirmed all of it |
//!
//! A path or `file:` URL is opened as it is; of an `x-gass-cache:` URL the cached file itself is.
//!
//! - All who open one URL through one cache share one fetch. The copy stays until the last of them has closed it.
//! - Readers keep what they opened. A change is for those who open after the writer has closed; the last to close wins, as a
//!   whole file.
//! - Nothing is compared between caches, or with the source.
//!
//! ```no_run
//! # async fn example(client: gass::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use gass::file::{Files, Options};
//! use tokio::io::AsyncReadExt as _;
//!
//! let files = Files::new(gass::Cache::open(&gass::Cache::default_root())?, client);
//! let mut input = files.open("https://host:2811/data/input", &Options::read()).await?;
//! let mut text = String::new();
//! input.read_to_string(&mut text).await?;
//! input.close().await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod handle;
mod options;

pub use error::FileError;
pub use handle::Handle;
pub use options::Options;

use crate::{Cache, CacheError, Client, GassError, Url, cache::NO_TAG};
use gsi::Expect;
use handle::{Ending, Stream, WriteBack};
use options::Mode;
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};

/// Bytes written ahead of the network when appending.
const AHEAD: usize = 256 * 1024;
/// What a server says of a file that is not there.
const NOT_FOUND: u16 = 404;

/// Where URLs are opened: a cache, a client for what is not in it, and the tag of the references.
#[derive(Clone)]
pub struct Files {
    cache: Cache,
    client: Client,
    expect: Expect,
    tag: String,
}

impl Files {
    /// References go under the job's contact (`GLOBUS_GRAM_JOB_CONTACT`), so that they end with the job at the latest; under
    /// `null` outside of jobs. Servers have to be our own.
    pub fn new(cache: Cache, client: Client) -> Self {
        let tag = std::env::var("GLOBUS_GRAM_JOB_CONTACT").ok().filter(|tag| !tag.is_empty());
        Self { cache, client, expect: Expect::Myself, tag: tag.unwrap_or_else(|| NO_TAG.to_owned()) }
    }

    /// With another tag.
    #[must_use]
    pub fn tagged(mut self, tag: impl Into<String>) -> Self {
        self.tag = tag.into();
        self
    }

    /// With servers of somebody else's.
    #[must_use]
    pub fn expecting(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Opens a URL, or a path when there is no scheme.
    ///
    /// # Errors
    /// [`FileError::Rejected`] for combinations that make no sense; whatever goes wrong in fetching, in the cache and on disk.
    pub async fn open(&self, url: &str, options: &Options) -> Result<Handle, FileError> {
        let mode = options.mode()?;
        if !url.contains(':') {
            return open_local(Path::new(url), options).await;
        }
        match url.parse::<Url>()? {
            Url::File(path) => open_local(&path, options).await,
            Url::Cache(_) => self.open_entry(url, options, mode).await,
            parsed @ Url::Http { .. } => match mode {
                Mode::Append => Ok(self.append(parsed)),
                Mode::Read => {
                    let (path, reference) = self.refer(url, &parsed, options).await?;
                    Ok(Handle::new(open_at(&path, options).await?, Ending::drop(reference)))
                }
                Mode::Write { truncate } => self.open_for_writing(url, parsed, options, truncate).await,
            },
        }
    }

    /// The cached file itself; made when it is not there and may be.
    async fn open_entry(&self, url: &str, options: &Options, mode: Mode) -> Result<Handle, FileError> {
        if !(options.create || matches!(mode, Mode::Write { truncate: true })) {
            let (cache, name) = (self.cache.clone(), url.to_owned());
            let known = blocking(move || Ok(!cache.list(Some(&name), None)?.is_empty())).await?;
            if !known {
                return Err(CacheError::NotFound { url: url.to_owned(), tag: self.tag.clone() }.into());
            }
        }
        let path = self.cache.add(url, &self.tag, |_| async { Ok(()) }).await?;
        let reference = Reference::new(self, url);
        Ok(Handle::new(open_at(&path, options).await?, Ending::drop(reference)))
    }

    /// Adds a reference, fetching if need be. What is not there is empty when it may be created.
    async fn refer(
        &self,
        url: &str,
        parsed: &Url,
        options: &Options,
    ) -> Result<(PathBuf, Reference), FileError> {
        let fetch = |path: PathBuf| async move {
            let local =
                |source| GassError::Local { doing: format!("cannot write {}", path.display()), source };
            let mut file = File::create(&path).await.map_err(local)?;
            match self.client.get(parsed, &self.expect, &mut file).await {
                Err(GassError::Refused { status: NOT_FOUND, .. }) if options.create => Ok(()),
                other => other.map(drop),
            }
        };
        let path = self.cache.add(url, &self.tag, fetch).await?;
        Ok((path, Reference::new(self, url)))
    }

    async fn open_for_writing(
        &self,
        url: &str,
        parsed: Url,
        options: &Options,
        truncate: bool,
    ) -> Result<Handle, FileError> {
        let work = tempfile::Builder::new()
            .prefix("gass-file-")
            .tempfile()
            .map_err(|source| FileError::Local { path: std::env::temp_dir(), source })?
            .into_temp_path();
        let reference = if truncate {
            None
        } else {
            let (path, reference) = self.refer(url, &parsed, options).await?;
            let copied = tokio::fs::copy(&path, &work).await;
            copied.map_err(|source| FileError::Local { path: work.to_path_buf(), source })?;
            Some(reference)
        };
        let file = open_at(&work, options).await?;
        let back = WriteBack { files: self.clone(), name: url.to_owned(), url: parsed, work };
        Ok(Handle::new(file, Ending::write_back(back, reference, truncate)))
    }

    fn append(&self, url: Url) -> Handle {
        let (writer, mut reader) = tokio::io::duplex(AHEAD);
        let (client, expect) = (self.client.clone(), self.expect.clone());
        let sending = tokio::spawn(async move { client.append(&url, &expect, &mut reader).await });
        Handle::streaming(Stream { writer, sending: Some(sending) })
    }
}

/// A reference in the cache; dropped with this.
#[derive(Debug)]
pub(crate) struct Reference {
    cache: Cache,
    url: String,
    tag: String,
    held: bool,
}

impl Reference {
    fn new(files: &Files, url: &str) -> Self {
        Self { cache: files.cache.clone(), url: url.to_owned(), tag: files.tag.clone(), held: true }
    }

    pub(crate) async fn give_back(mut self) -> Result<(), FileError> {
        self.held = false;
        let (cache, url, tag) = (self.cache.clone(), self.url.clone(), self.tag.clone());
        blocking(move || match cache.delete(&url, &tag) {
            // Somebody has cleaned up behind us: it is gone, as it should be.
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        })
        .await
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let (cache, url, tag) =
            (self.cache.clone(), std::mem::take(&mut self.url), std::mem::take(&mut self.tag));
        let work = move || {
            if let Err(error) = cache.delete(&url, &tag) {
                tracing::warn!(
                    url,
                    error = &error as &dyn std::error::Error,
                    "a reference stays in the cache"
                );
            }
        };
        // Not on a thread of the runtime: it may have to wait.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}

async fn open_local(path: &Path, options: &Options) -> Result<Handle, FileError> {
    let mut how = how(options);
    how.create(options.create).truncate(options.truncate).append(options.append);
    let file = how.open(path).await.map_err(|source| FileError::Local { path: path.to_owned(), source })?;
    Ok(Handle::new(file, Ending::nothing()))
}

/// Opens a file of ours, which exists.
async fn open_at(path: &Path, options: &Options) -> Result<File, FileError> {
    let mut how = how(options);
    how.truncate(options.truncate).append(options.append);
    how.open(path).await.map_err(|source| FileError::Local { path: path.to_owned(), source })
}

fn how(options: &Options) -> OpenOptions {
    let mut how = OpenOptions::new();
    how.read(options.read).write(options.write && !options.append);
    how
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(FileError::Local { path: PathBuf::new(), source: std::io::Error::other(error) }),
    }
}

#[cfg(test)]
mod tests;
