//! One file on its way, once: what an attempt does.

use super::{
    Desk, TransferError,
    arrival::Arrival,
    cached,
    failure::local,
    plan::{self, Origin, Step, Target, is_terminal},
};
use crate::{
    job::FileRole,
    stream::{Stream, Way},
};
use gass::{GassError, Url};
use gsi::Expect;
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};
use tokio::io::AsyncWriteExt as _;

/// Makes one attempt; gives the file's size.
pub(super) async fn attempt(desk: &Desk, step: &Step) -> Result<u64, TransferError> {
    match &step.way {
        plan::Way::Cache { url } => {
            let path = cached::fetch(desk, url).await?;
            let is_program = step.role == FileRole::Executable;
            blocking(move || {
                if is_program {
                    make_executable(&path)?;
                }
                size(&path)
            })
            .await
        }
        plan::Way::Fetch { url, path } => fetch(desk, url, path, temporary(desk, step.role)).await,
        plan::Way::Link { url, path } => {
            let cached = cached::fetch(desk, url).await?;
            let (path, temporary) = (path.clone(), temporary(desk, step.role));
            blocking(move || {
                place_link(&cached, &path, &temporary)?;
                size(&cached)
            })
            .await
        }
        plan::Way::Send { from, to } => send(desk, step.role, from, to).await,
    }
}

/// The name of a file of this job until it is whole. The job's end removes what is left under it.
pub(super) fn temporary(desk: &Desk, role: FileRole) -> String {
    temporary_name(&desk.job, role)
}

/// See [`temporary`].
pub(super) fn temporary_name(job: &crate::job::Job, role: FileRole) -> String {
    let number = match role {
        FileRole::Executable => "x".to_owned(),
        FileRole::Stdin => "i".to_owned(),
        FileRole::StageIn(number) => format!("in{number}"),
        FileRole::StageInShared(number) => format!("shared{number}"),
        FileRole::Stderr(number) => format!("err{number}"),
        FileRole::Stdout(number) => format!("out{number}"),
        FileRole::StageOut(number) => format!("stage{number}"),
    };
    format!(".gridiron-{}-{number}", job.key)
}

async fn fetch(desk: &Desk, url: &str, path: &Path, temporary: String) -> Result<u64, TransferError> {
    let path = path.to_owned();
    match url.parse::<Url>()? {
        Url::File(source) => blocking(move || copy(&source, &path, &temporary)).await,
        Url::Cache(_) => Err(unusable(url, "an entry of the cache cannot be staged in")),
        url @ Url::Http { .. } => {
            let arrival = blocking(move || Arrival::open(&path, &temporary)).await?;
            let bytes = {
                let mut sink = tokio::fs::File::from_std(arrival.handle().map_err(local(Path::new("")))?);
                download(desk, &url, &mut sink).await?
            };
            blocking(move || arrival.finish()).await?;
            Ok(bytes)
        }
    }
}

/// Fetches into an open file, as soon as there is room.
pub(super) async fn download(
    desk: &Desk,
    url: &Url,
    sink: &mut tokio::fs::File,
) -> Result<u64, TransferError> {
    let client = client(desk)?;
    let _place = desk.room.enter(url).await;
    let bytes = client.get(url, &Expect::Myself, sink).await?;
    sink.flush().await.map_err(|source| GassError::Local { doing: format!("cannot store {url}"), source })?;
    Ok(bytes)
}

fn client(desk: &Desk) -> Result<gass::Client, TransferError> {
    (desk.credentials)().map_err(|failure| TransferError::Credential(failure.message))
}

async fn send(desk: &Desk, role: FileRole, from: &Origin, to: &Target) -> Result<u64, TransferError> {
    let from = match from {
        Origin::File(path) => path.clone(),
        Origin::Cache(name) => cached::find(desk, name).await?,
        Origin::Entry(entry) => cached::create(desk, entry).await?,
    };
    // Streams have been on their way since the job began; only what is left of them is to be sent.
    if let Some(way) = stream_of(role)
        && let Some(carried) = desk.streaming.finish(&desk.job, &from, way).await
    {
        return Ok(carried?);
    }
    let temporary = temporary(desk, role);
    match to {
        Target::File(path) => {
            let path = path.clone();
            blocking(move || copy(&from, &path, &temporary)).await
        }
        Target::Cache(entry) => {
            let path = cached::create(desk, entry).await?;
            // Other tags may share the entry, so it is filled where it is.
            blocking(move || {
                let mut source = plain(&from)?;
                let mut target = File::create(&path).map_err(local(&path))?;
                io::copy(&mut source, &mut target).map_err(local(&path))
            })
            .await
        }
        Target::Url(url) => match url.parse::<Url>()? {
            Url::File(path) => blocking(move || copy(&from, &path, &temporary)).await,
            Url::Cache(_) => Err(unusable(url, "files are staged out to https, http and file URLs")),
            url @ Url::Http { .. } => upload(desk, &from, &url).await,
        },
    }
}

/// The way of a stream's destination.
pub(super) fn stream_of(role: FileRole) -> Option<Way> {
    match role {
        FileRole::Stdout(number) => Some(Way { stream: Stream::Stdout, number }),
        FileRole::Stderr(number) => Some(Way { stream: Stream::Stderr, number }),
        _ => None,
    }
}

async fn upload(desk: &Desk, from: &Path, url: &Url) -> Result<u64, TransferError> {
    let from = from.to_owned();
    let (source, length) = blocking(move || {
        let source = plain(&from)?;
        let length = source.metadata().map_err(local(&from))?.len();
        Ok((source, length))
    })
    .await?;
    // Appending nothing to the client's terminal changes nothing, and costs it a connection.
    if length == 0 && is_terminal(&url.to_string()) {
        return Ok(0);
    }
    let client = client(desk)?;
    let _place = desk.room.enter(url).await;
    Ok(client.put(url, &Expect::Myself, &mut tokio::fs::File::from_std(source)).await?)
}

/// Copies a file of this machine; it appears whole.
fn copy(from: &Path, to: &Path, temporary: &str) -> Result<u64, TransferError> {
    let mut source = plain(from)?;
    let mut arrival = Arrival::open(to, temporary)?;
    let bytes = io::copy(&mut source, arrival.file()).map_err(local(to))?;
    arrival.finish()?;
    Ok(bytes)
}

/// Opens a file to be read to its end; anything that may have none is refused.
fn plain(path: &Path) -> Result<File, TransferError> {
    let there = fs::metadata(path).map_err(local(path))?;
    if there.is_file() || path == Path::new("/dev/null") {
        return File::open(path).map_err(local(path));
    }
    Err(local(path)(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file that can be copied")))
}

/// A link with this name, in place of whatever file was there, as a file that is staged in replaces one too.
fn place_link(cached: &Path, path: &Path, temporary: &str) -> Result<(), TransferError> {
    let unfinished = path.with_file_name(temporary);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(local(path)(error)),
        _ => {}
    }
    symlink(cached, &unfinished).map_err(local(path))?;
    fs::rename(&unfinished, path).map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        local(path)(error)
    })
}

fn make_executable(path: &Path) -> Result<(), TransferError> {
    let mode = fs::metadata(path).map_err(local(path))?.permissions().mode();
    if mode & 0o500 == 0o500 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 | 0o500)).map_err(local(path))
}

fn size(path: &Path) -> Result<u64, TransferError> {
    Ok(fs::metadata(path).map_err(local(path))?.len())
}

fn unusable(url: &str, reason: &str) -> TransferError {
    GassError::BadUrl { url: url.to_owned(), reason: reason.to_owned() }.into()
}

/// Runs what may wait for a disk where waiting disturbs nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(local(&PathBuf::new())(io::Error::other(error))),
    }
}
