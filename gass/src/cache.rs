//! The URL-keyed file cache on disk (gass.md §8): one content per URL, shared by everybody who refers to it under a tag.
//!
//! It is the cache of the stock `globus-gass-cache`: same places, same names, same way of waiting for each other, so both
//! may work on one directory at the same time. `layout` has the names, `content` the protocol.
//!
//! - **Shared fetches.** While one fetches a URL, everybody else who wants it waits, and nobody else fetches it.
//! - **No half entries.** A download becomes visible when it is whole. Whatever a killed program leaves is undone by the next
//!   one that comes by, at once on the same host, after [300 s](content::BELIEVED) when the dead one ran elsewhere.
//! - **Kept contents.** A content goes with its last reference, as in stock; with a [limit](Cache::set_limit) those of network
//!   URLs stay until room is needed, the least recently used go first.
//! - **Never asked again.** A cached content is not compared with its source.
//!
//! All functions but [`Cache::add`] block; call them where that is allowed.

mod claim;
mod content;
mod error;
mod gate;
mod keep;
mod layout;
mod listing;
mod owner;
mod recovery;
mod reference;
mod removal;
mod replace;

pub use error::CacheError;
pub use layout::{Layout, Type};
pub use listing::{Cleaned, Listed, Tagged, Usage};

use crate::GassError;
use claim::{Claim, Download, Entered, Published, Wanted};
use content::{Content, State, stat};
use gate::Gate;
use recovery::recover;
use reference::Entry;
use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    thread,
    time::{Duration, Instant},
};

/// The tag of those who name none.
pub const NO_TAG: &str = "null";
/// How often a fetch shows that it is still going on; stock programs believe it dead after 300 s.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long the blocking functions wait for one who works on an entry.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at an entry that somebody works on, first and longest.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// A cache directory. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    layout: Layout,
}

impl Cache {
    /// `GLOBUS_GASS_CACHE_DEFAULT`, else `~/.globus/.gass_cache`.
    pub fn default_root() -> PathBuf {
        std::env::var_os("GLOBUS_GASS_CACHE_DEFAULT").filter(|value| !value.is_empty()).map_or_else(
            || std::env::home_dir().unwrap_or_default().join(".globus/.gass_cache"),
            PathBuf::from,
        )
    }

    /// Opens a cache, making it when there is none.
    ///
    /// # Errors
    /// [`CacheError::Io`] and [`CacheError::Config`].
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        Ok(Self { layout: Layout::open(root)? })
    }

    /// Where things are, and the mangled names.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Adds a reference of `tag` to the content of `url`, and gives its path: the tag's own link, good until the reference is
    /// dropped.
    ///
    /// Only when nobody has the content, `fetch` is called with the path of an empty file to fill (or replace). If others are
    /// fetching it, in this process or elsewhere, this waits for them. Dropping the future gives the fetch up.
    ///
    /// # Errors
    /// [`CacheError::Fetch`] is what `fetch` said, everything else is trouble with the cache. Either way the reference is not
    /// there.
    pub async fn add<F, Fut>(&self, url: &str, tag: &str, fetch: F) -> Result<PathBuf, CacheError>
    where
        F: FnOnce(PathBuf) -> Fut,
        Fut: Future<Output = Result<(), GassError>>,
    {
        let wanted = self.wanted(url, tag)?;
        let mut fetch = Some(fetch);
        let mut earlier: Option<Download> = None;
        let mut pause = LOOK.0;
        loop {
            let entering = wanted.clone();
            let claim = match blocking(move || entering.enter(false)).await? {
                Entered::Have(path) => return Ok(path),
                Entered::Fill(claim) => claim,
                Entered::Busy => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LOOK.1);
                    continue;
                }
            };
            match (&earlier, fetch.take()) {
                (Some(earlier), _) => claim.refill(earlier)?,
                (None, Some(fetch)) => attend(&claim, fetch(claim.path())).await?,
                (None, None) => return Err(CacheError::Locked(url.to_owned())),
            }
            match blocking(move || claim.publish()).await? {
                Published::Yes(path) => {
                    let cache = self.clone();
                    blocking(move || {
                        cache.make_room();
                        Ok(())
                    })
                    .await?;
                    return Ok(path);
                }
                Published::Overtaken(download) => earlier = Some(download),
            }
        }
    }

    /// Makes an empty entry, ready for use, unless the tag has one already; gives its path. For names that stand for no source,
    /// such as `x-gass-cache:` ones. Blocks.
    ///
    /// # Errors
    /// As [`Cache::add`], and [`CacheError::Locked`] when somebody else works on the entry for a minute.
    pub fn create(&self, url: &str, tag: &str) -> Result<PathBuf, CacheError> {
        let wanted = self.wanted(url, tag)?;
        let mut waiting = Waiting::default();
        loop {
            match wanted.enter(true)? {
                Entered::Have(path) => return Ok(path),
                Entered::Busy => waiting.pause(url)?,
                Entered::Fill(claim) => {
                    if let Published::Yes(path) = claim.publish()? {
                        return Ok(path);
                    }
                }
            }
        }
    }

    /// The path of the tag's link to the content, when it is there and ready. Needs no right to write, unless a dead program's
    /// work has to be undone. Blocks.
    ///
    /// # Errors
    /// As [`Cache::create`].
    pub fn query(&self, url: &str, tag: &str) -> Result<Option<PathBuf>, CacheError> {
        check_name(url)?;
        check_name(tag)?;
        let content = Content::of(&self.layout, url);
        let entry = Entry::of(&self.layout, tag, content.mangled());
        let mut waiting = Waiting::default();
        loop {
            if stat(&entry.data_path())?.is_none() {
                return Ok(None);
            }
            match content.state()? {
                State::Absent => return Ok(None),
                State::Ready(_) => return Ok(Some(entry.data_path())),
                State::Abandoned(_) => self.recover(&content)?,
                State::Held => waiting.pause(url)?,
            }
        }
    }

    /// Undoes what a dead program left, if it is still so.
    fn recover(&self, content: &Content<'_>) -> Result<(), CacheError> {
        let _gate = Gate::enter(self.layout.root())?;
        match content.state()? {
            State::Abandoned(dead) => recover(content, &dead),
            _ => Ok(()),
        }
    }

    fn wanted(&self, url: &str, tag: &str) -> Result<Wanted, CacheError> {
        check_name(url)?;
        check_name(tag)?;
        Ok(Wanted { layout: self.layout.clone(), url: url.to_owned(), tag: tag.to_owned() })
    }
}

/// Waits for a fetch, showing now and then that it goes on.
async fn attend(claim: &Claim, fetch: impl Future<Output = Result<(), GassError>>) -> Result<(), GassError> {
    let mut fetch = pin!(fetch);
    loop {
        match tokio::time::timeout(HEARTBEAT, &mut fetch).await {
            Ok(fetched) => return fetched,
            Err(_) => claim.touch(),
        }
    }
}

/// Waiting, on this thread, for one who works on an entry.
struct Waiting {
    start: Instant,
    pause: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { start: Instant::now(), pause: LOOK.0 }
    }
}

impl Waiting {
    fn pause(&mut self, url: &str) -> Result<(), CacheError> {
        if self.start.elapsed() > PATIENCE {
            return Err(CacheError::Locked(url.to_owned()));
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(LOOK.1);
        Ok(())
    }
}

/// Names stand in files of their own, and in lists of one a line.
fn check_name(name: &str) -> Result<(), CacheError> {
    if name.len() > layout::MAX_NAME || name.contains(['\0', '\n', '\r']) {
        return Err(CacheError::BadName(name.len()));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(error::at(Path::new("(thread)"))(std::io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests;
