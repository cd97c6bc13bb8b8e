//! Start and end of a job manager process.

use crate::{
    config::Config,
    control::Control,
    gate::Gate,
    identity::Identities,
    launch::JobKey,
    manager::{End, INBOX, Manager, Shared},
    scheduler::fork::Fork,
    site::Site,
    store::Store,
    stream::Streaming,
};
use gram::control::{self, v1::job_manager_server::JobManagerServer};
use rustix::fs::{FlockOperation, flock};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// How long to wait for an ending manager of the same account to let go of the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often to look whether it has.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How long control connections may take to close.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// Messages and requests on one control connection, in bytes: an RSL text, a credential, and room.
const MAX_MESSAGE: usize = 1024 * 1024;

/// Runs the account's job manager until it has had nothing to do for a while, or `stop` completes; jobs go on in both cases.
///
/// Prints `ready` on standard output when it serves, then lets go of standard output. `AddrInUse`: the account has a manager.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> io::Result<()> {
    serve(config, announce, stop).await
}

/// As [`run`]; `ready` is called when control socket and job contacts answer.
async fn serve(
    config: Config,
    ready: impl FnOnce() -> io::Result<()>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let site = Arc::new(Site::new(&config)?);
    for directory in [site.directory.clone(), site.directory.join("jobs"), site.directory.join("identities")]
    {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make {}: {error}", directory.display()))
        })?;
    }
    let _lock = lock(&site.directory.join("lock")).await?;
    let store = Store::open(&site.directory.join("jobs.sqlite")).await.map_err(io::Error::other)?;
    let stored = store.load_all().await.map_err(io::Error::other)?;
    let known: HashSet<JobKey> = stored.iter().map(|stored| stored.record.key).collect();
    remove_strays(&site.directory.join("jobs"), &known);

    let (scheduler, events) = Fork::new(site.directory.join("reaper"), config.reaper_command.clone());
    let (inbox, messages) = mpsc::channel(INBOX);
    let identities = Arc::new(Identities::new(Arc::clone(&site), store.clone(), inbox.clone()));
    let owners: HashSet<String> = stored.iter().filter_map(|stored| owner(&stored.record.body)).collect();
    identities.resume(|identity| owners.contains(identity)).await.map_err(io::Error::other)?;
    let streaming = Arc::new(Streaming::new(Arc::clone(&site), Arc::clone(&identities)));
    let shared = Arc::new(Shared { site: Arc::clone(&site), store, scheduler, identities, streaming, inbox });
    let gate = Arc::new(Gate::default());
    let manager = Manager::resume(Arc::clone(&shared), Arc::clone(&gate), stored).await;

    let socket = control::socket_path(&config.state, &site.account.name);
    let incoming = control::listen(&socket, &config.control_uids)?;
    let (end_serving, serving_ends) = oneshot::channel::<()>();
    let (say_goodbye, goodbye) = watch::channel(None);
    let service = JobManagerServer::new(Control { shared: Arc::clone(&shared), gate, goodbye })
        .max_decoding_message_size(MAX_MESSAGE);
    let server =
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming_shutdown(
            incoming,
            async {
                let _ = serving_ends.await;
            },
        ));
    ready()?;
    tracing::info!(account = site.account.name, pid = std::process::id(), "job manager ready");

    let idle = Duration::from_secs(config.idle_exit_seconds);
    let end = manager.run(messages, events, idle, stop).await;
    tracing::info!(reason = ?end, "job manager ends");
    shared.identities.stop().await;
    // The next manager binds its own socket; nobody should meet ours with no one behind it.
    if let Err(error) = std::fs::remove_file(&socket) {
        tracing::warn!(%error, "control socket not removed");
    }
    let _ = say_goodbye.send(Some(match end {
        End::Idle => 0,
        End::Stopped { unfinished } => u32::try_from(unfinished).unwrap_or(u32::MAX),
    }));
    let _ = end_serving.send(());
    // Whoever comes now is refused by the gate or by the closing connection, which both mean: start another manager.
    let _ = tokio::time::timeout(LAST_REQUESTS, server).await;
    Ok(())
}

/// The owner in a job record, which may be one that a later program wrote.
fn owner(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owned {
        origin: Owner,
    }
    #[derive(serde::Deserialize)]
    struct Owner {
        identity: String,
    }
    serde_json::from_slice::<Owned>(body).ok().map(|owned| owned.origin.identity)
}

/// One manager per account: an exclusive lock that goes with the process.
async fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let until = tokio::time::Instant::now() + LOCK_WAIT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let what = format!("{} is held: this account has a job manager already", path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, what));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes directories of jobs that were never stored: the manager died between making one and storing the job.
/// What cannot be removed keeps nobody from serving.
fn remove_strays(jobs: &Path, known: &HashSet<JobKey>) {
    let known: HashSet<String> = known.iter().map(ToString::to_string).collect();
    for entry in std::fs::read_dir(jobs).into_iter().flatten().flatten() {
        if !known.contains(entry.file_name().to_string_lossy().as_ref()) {
            let removed = std::fs::remove_dir_all(entry.path());
            tracing::info!(directory = %entry.path().display(), ?removed, "directory of an unknown job");
        }
    }
}

/// Says that we serve, and lets go of standard output: whoever started us waits for the line and may then close its end.
/// When it has died meanwhile, the jobs are still there to be served.
fn announce() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(b"ready\n").and_then(|()| stdout.flush()) {
        tracing::info!(%error, "whoever started this job manager has gone");
    }
    let nowhere = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nowhere)?)
}

#[cfg(test)]
mod tests;
