//! Filling the GASS cache from a URL or file; used by `cache add` and by the classic `globus-gass-cache`.

use crate::{exit::Exit, failure::Failure, session::Session};
use gass::{Cache, CacheError, Client, GassError, Url};
use gsi::Expect;
use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The source of an empty entry.
const NOTHING: &str = "/dev/null";

/// Adds a reference to `name` under `tag`, filling it from `source` when nobody has it.
pub async fn add(cache: &Cache, source: &str, name: &str, tag: &str) -> Result<PathBuf, Failure> {
    let url: Url = source.parse()?;
    let client = match &url {
        Url::Http { secure: true, .. } => {
            let session = Session::open()?;
            Client::new(&session.credential, &session.trust)?
        }
        _ => Client::insecure(),
    };
    cache.add(name, tag, |path| async move { fetch(&client, &url, path).await }).await.map_err(failure)
}

async fn fetch(client: &Client, url: &Url, path: PathBuf) -> Result<(), GassError> {
    let local = |path: &Path, source| GassError::Local { doing: path.display().to_string(), source };
    match url {
        Url::File(source) if source == Path::new(NOTHING) => Ok(()),
        Url::File(source) => {
            let source = source.clone();
            let copied = tokio::task::spawn_blocking(move || {
                copy(&source, &path).map_err(|error| local(&source, error))
            });
            copied.await.unwrap_or_else(|error| Err(local(Path::new(NOTHING), io::Error::other(error))))
        }
        Url::Http { .. } => {
            let file = OpenOptions::new().write(true).truncate(true).open(&path);
            let mut file = tokio::fs::File::from_std(file.map_err(|error| local(&path, error))?);
            client.get(url, &Expect::Myself, &mut file).await.map(drop)
        }
        Url::Cache(_) => Err(GassError::BadUrl {
            url: url.to_string(),
            reason: "it names an entry of a cache, not a source; to make an empty one: --empty".to_owned(),
        }),
    }
}

/// Content only: a cached file's mode is the cache's business.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut OpenOptions::new().write(true).truncate(true).open(to)?).map(drop)
}

/// A failure of the cache as a command tells it.
pub fn failure(error: CacheError) -> Failure {
    match error {
        CacheError::Fetch(error) => (*error).into(),
        error if error.is_not_found() => {
            Failure::new(Exit::Negative, error.to_string()).try_this("gridiron cache list")
        }
        error @ CacheError::BadName(_) => Failure::new(Exit::Input, error.to_string()),
        error => Failure::new(Exit::Local, error.to_string()),
    }
}
