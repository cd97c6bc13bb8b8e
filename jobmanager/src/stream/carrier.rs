//! Carries one stream to one https or http URL: behind the job while it runs, to the end when it is over. The job writes
//! to a local file and knows nothing of this; whatever the destination does, only this carrier waits for it.

use super::{
    connections::Connections,
    position::{Kind, Position, Standing, Step},
    source::{BLOCK, Source},
    watcher::{Watcher, Watching},
};
use crate::{job::Failure, launch::JobKey, site::Site};
use gass::{Client, GassError, Url};
use gsi::Expect;
use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::watch,
    time::{sleep, timeout},
};

/// Nothing is sent before a job has run this long: most jobs end sooner, and then one transfer does it all.
pub(super) const START: Duration = Duration::from_secs(1);
/// How long an append stays open without news where it costs nobody anything: at a sink, or at a server of ours. The
/// stock server shows what is appended to a file only when the append ends (docs/observed.md), so there it ends at once.
pub(super) const LINGER: Duration = Duration::from_secs(30);
/// Longest pause between two appends to one file at a stock server; the first pauses are shorter.
pub(super) const PACE: Duration = Duration::from_secs(10);
/// Longest pause after a failure while the job runs; the first pauses are shorter.
pub(super) const BACKOFF: Duration = Duration::from_secs(60);
/// What an append to a file may grow to before it must be confirmed, in bytes.
pub(super) const MAX_UNCONFIRMED: u64 = 64 * 1024 * 1024;
/// Output that comes in small pieces is gathered for so long.
const GATHER: Duration = Duration::from_millis(50);
/// A sink that takes nothing is waited for while the job runs: it may be a client that was stopped, and what has been
/// handed to the network must not be sent again.
const WHILE_IT_RUNS: Duration = Duration::from_secs(365 * 86_400);

/// Gives the client of an identity, with the credential that is in use now.
pub(crate) type Clients =
    Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Client, Failure>> + Send>> + Send + Sync>;

/// What all carriers share.
pub(super) struct Common {
    pub(super) site: Arc<Site>,
    pub(super) clients: Clients,
    pub(super) connections: Connections,
}

/// One stream on its way to one destination.
pub(super) struct Carrier {
    pub(super) job: JobKey,
    pub(super) identity: String,
    pub(super) url: Url,
    pub(super) kind: Kind,
    pub(super) source: Source,
    pub(super) watcher: Arc<Watcher>,
    /// The source, once the job has run for a while.
    pub(super) growing: Option<Watching>,
    pub(super) over: watch::Receiver<bool>,
    pub(super) common: Arc<Common>,
}

/// Output that did not get to its destination.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// Over the network.
    #[error(transparent)]
    Gass(#[from] GassError),
    /// On this machine.
    #[error("{}: {source}", path.display())]
    Local {
        /** the file */
        path: std::path::PathBuf,
        /** what the system said */
        source: io::Error,
    },
    /// There is no credential to send it with.
    #[error("{}", .0.message)]
    Credential(Failure),
    /// The carrier itself has failed.
    #[error("output was not carried: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl CarryError {
    /// What the server said no with.
    pub(super) fn refusal(&self) -> Option<u16> {
        match self {
            Self::Gass(GassError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// The connection did not come about: nothing was sent.
    fn is_before_sending(&self) -> bool {
        matches!(
            self,
            Self::Credential(_)
                | Self::Gass(
                    GassError::Unreachable { .. }
                        | GassError::Security { .. }
                        | GassError::NoCredential { .. }
                )
        )
    }
}

/// What a carrier knows while it works.
struct State {
    position: Position,
    /// Failures in a row.
    failures: u32,
    /// Appends to a file so far.
    bursts: u32,
    /// The server is of our make, it says.
    ours: bool,
    /// Something has been appended that the server has not been asked about.
    unverified: bool,
}

impl Carrier {
    /// Carries until the job is over and everything is there; gives the number of bytes. Trouble while the job runs is waited
    /// out; once it is over, the first failure ends this, and another carrier may take up where this one stopped.
    pub(super) async fn run(mut self) -> Result<u64, CarryError> {
        let position = self.source.position().await.map_err(|error| self.local(error))?;
        let mut state = State { position, failures: 0, bursts: 0, ours: false, unverified: false };
        self.unless_over(sleep(START)).await;
        if !self.is_over() {
            self.growing = Some(self.watcher.watch(&self.source.output));
        }
        loop {
            // In this order: when it is over, the length is final.
            let over = self.is_over();
            let length = self.source.length().await;
            match state.position.next(self.kind, length, over) {
                Step::Done if self.has_lost_some(&mut state, length).await => {
                    self.record(&mut state, Position { sent: 0, standing: Standing::Open }).await?;
                }
                Step::Done => return Ok(length),
                Step::Wait => self.wait(state.position.standing).await,
                // Boxed: most carriers have nothing to carry most of the time, and should be small then.
                step => match Box::pin(self.carry(&mut state, step, length)).await {
                    Ok(()) => {
                        state.failures = 0;
                        self.pace(&mut state).await;
                    }
                    Err(error) => self.after_failure(&mut state, step, over, error).await?,
                },
            }
        }
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits for more output, or the end.
    async fn wait(&mut self, standing: Standing) {
        let mut over = self.over.clone();
        if standing == Standing::Whole {
            return is_over(&mut over).await;
        }
        tokio::select! {
            () = grown(&mut self.growing) => {}
            () = is_over(&mut over) => {}
        }
    }

    /// Does something, which the end of the job cuts short.
    async fn unless_over(&self, doing: impl Future<Output = ()>) {
        let mut over = self.over.clone();
        tokio::select! {
            () = doing => {}
            () = is_over(&mut over) => {}
        }
    }

    /// One transfer.
    async fn carry(&mut self, state: &mut State, step: Step, length: u64) -> Result<(), CarryError> {
        let _place = self.common.connections.enter(&mut self.over).await;
        let client = self.client().await?;
        match step {
            Step::Replace => self.replace(state, &client, length).await,
            Step::Append | Step::Wait | Step::Done => self.append(state, &client).await,
        }
    }

    /// Asks a server of our make whether the appended file is as long as it should be. One that cannot tell is believed.
    async fn has_lost_some(&mut self, state: &mut State, length: u64) -> bool {
        if self.kind == Kind::Sink || !state.ours || !std::mem::take(&mut state.unverified) {
            return false;
        }
        let _place = self.common.connections.enter(&mut self.over).await;
        let Ok(client) = self.client().await else { return false };
        match client.held(&self.url, &Expect::Myself, self.stall()).await {
            Ok(Some(held)) if held != length => {
                tracing::warn!(job = %self.job, url = self.source.url, held, length, "the receiver lost output");
                true
            }
            _ => false,
        }
    }

    async fn client(&self) -> Result<Client, CarryError> {
        (self.common.clients)(self.identity.clone()).await.map_err(CarryError::Credential)
    }

    /// Writes everything there is so far (PUT).
    async fn replace(&mut self, state: &mut State, client: &Client, length: u64) -> Result<(), CarryError> {
        let before = state.position;
        // A sink shows what comes, so it counts as there.
        let sent = if self.kind == Kind::Sink { length } else { 0 };
        self.record(state, Position { sent, standing: Standing::Open }).await?;
        let file = self.source.beginning(length).await.map_err(|error| self.local(error))?;
        let moved = Arc::new(AtomicU64::new(0));
        let mut counted = Counted { file, moved: Arc::clone(&moved) };
        let putting = client.put(&self.url, &Expect::Myself, &mut counted);
        match self.while_it_moves(putting, &moved).await.map_err(CarryError::from) {
            Ok(_) => self.record(state, Position { sent: length, standing: Standing::Sure }).await,
            Err(error) => {
                if self.kind == Kind::Sink && (error.is_before_sending() || is_flat_refusal(&error)) {
                    self.record(state, before).await?;
                }
                Err(error)
            }
        }
    }

    /// Appends what comes after the position, and what follows while the connection is open.
    async fn append(&mut self, state: &mut State, client: &Client) -> Result<(), CarryError> {
        let before = state.position;
        let appended = self.keep_appending(state, client).await;
        if appended.as_ref().is_err_and(is_flat_refusal) {
            self.record(state, before).await?;
        }
        appended
    }

    async fn keep_appending(&mut self, state: &mut State, client: &Client) -> Result<(), CarryError> {
        let is_sink = self.kind == Kind::Sink;
        let stall = if is_sink { WHILE_IT_RUNS } else { self.stall() };
        let mut appending = self.patiently(client.open_append(&self.url, &Expect::Myself, stall)).await?;
        let begun = state.position.sent;
        // A file is in doubt from now on, until the server has confirmed.
        self.record(state, Position { standing: Standing::Open, ..state.position }).await?;
        let linger = if is_sink || state.ours { LINGER } else { Duration::ZERO };
        loop {
            let over = self.is_over();
            let record = is_sink.then_some(state.position);
            let block = self.source.block(state.position.sent, record).await;
            let block = block.map_err(|error| self.local(error))?;
            if !block.is_empty() {
                state.position.sent += block.len() as u64;
                self.patiently(appending.send(&block)).await?;
                if !is_sink && state.position.sent - begun > MAX_UNCONFIRMED {
                    break;
                }
                if block.len() < BLOCK {
                    let gathering = self.unless_over(sleep(GATHER));
                    tokio::select! {
                        biased;
                        error = appending.spoken() => return Err(error.into()),
                        () = gathering => {}
                    }
                }
                continue;
            }
            if over {
                break;
            }
            let mut until_over = self.over.clone();
            // A receiver that has gone is noticed before anything more is sent to it: that would be lost at a sink.
            tokio::select! {
                biased;
                error = appending.spoken() => return Err(error.into()),
                () = grown(&mut self.growing) => {}
                () = is_over(&mut until_over) => {}
                () = sleep(linger) => break,
            }
        }
        let head = self.patiently(appending.finish()).await?;
        state.ours = head.ours;
        state.unverified = true;
        self.record(state, Position { standing: Standing::Sure, ..state.position }).await
    }

    async fn record(&self, state: &mut State, position: Position) -> Result<(), CarryError> {
        state.position = position;
        self.source.record(position).await.map_err(|error| self.local(error))
    }

    /// Keeps appends to a file at a stock server apart: each costs both sides a handshake.
    async fn pace(&self, state: &mut State) {
        if self.kind == Kind::File && !state.ours {
            state.bursts += 1;
            self.unless_over(sleep(doubled(state.bursts - 1, PACE))).await;
        }
    }

    /// Waits before the next try; gives the error back when there should be none.
    async fn after_failure(
        &self,
        state: &mut State,
        step: Step,
        was_over: bool,
        error: CarryError,
    ) -> Result<(), CarryError> {
        let (job, url) = (self.job, &self.source.url);
        tracing::info!(%job, url, %error, sent = state.position.sent, "output not carried");
        let is_new = state.position.standing != Standing::Whole;
        if error.refusal().is_some() && is_new && (step == Step::Append || !was_over) {
            // Who does not append may take it as a whole; who refuses that is asked once more, at the end.
            return self.record(state, Position { standing: Standing::Whole, ..state.position }).await;
        }
        if was_over {
            return Err(error);
        }
        self.unless_over(sleep(doubled(state.failures, BACKOFF))).await;
        state.failures += 1;
        Ok(())
    }

    fn stall(&self) -> Duration {
        self.common.site.output_stall
    }

    /// Once the job is over, the destination must take something every now and then.
    async fn patiently<T>(&self, work: impl Future<Output = Result<T, GassError>>) -> Result<T, GassError> {
        let mut over = self.over.clone();
        let mut work = pin!(work);
        tokio::select! {
            result = &mut work => return result,
            () = is_over(&mut over) => {}
        }
        timeout(self.stall(), work).await.unwrap_or_else(|_| Err(self.stalled()))
    }

    /// The destination must take something every now and then.
    async fn while_it_moves<T>(
        &self,
        work: impl Future<Output = Result<T, GassError>>,
        moved: &AtomicU64,
    ) -> Result<T, GassError> {
        let mut work = pin!(work);
        let mut before = None;
        loop {
            if let Ok(result) = timeout(self.stall(), &mut work).await {
                return result;
            }
            let now = Some(moved.load(Ordering::Relaxed));
            if now == before {
                return Err(self.stalled());
            }
            before = now;
        }
    }

    fn stalled(&self) -> GassError {
        GassError::TimedOut { url: self.url.clone(), doing: "sending output", limit: self.stall() }
    }

    fn local(&self, source: io::Error) -> CarryError {
        CarryError::Local { path: self.source.output.clone(), source }
    }
}

/// The server wants none of it, and has taken none. (With 5xx it may have failed halfway.)
fn is_flat_refusal(error: &CarryError) -> bool {
    error.refusal().is_some_and(|status| status < 500)
}

/// 1, 2, 4 … seconds, at most `most`.
fn doubled(times: u32, most: Duration) -> Duration {
    Duration::from_secs(1 << times.min(16)).min(most)
}

/// Waits until there is more to carry; never, when only the end is awaited.
async fn grown(growing: &mut Option<Watching>) {
    match growing {
        Some(growing) => growing.grown().await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of the job; for ever when nobody can tell any more, because the carrier is about to be ended.
pub(super) async fn is_over(over: &mut watch::Receiver<bool>) {
    if over.wait_for(|over| *over).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Counts what is read.
struct Counted<R> {
    file: R,
    moved: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.file).poll_read(context, buffer);
        self.moved.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}
