//! Call-backs (gram.md §9): the listener of a client, which hears state updates of its jobs, and the sending side.

use crate::client::ClientError;
use crate::endpoint;
use crate::exchange::{self, ExchangeError};
use crate::wire::{self, body, http};
use crate::{CallbackContact, GramError, JobContact, JobState};
use gsi::admission::{Admission, Bounds, Crowded, Stranger};
use gsi::{Acceptor, Connector, Credential, Expect, GsiError, SecureStream, Subject, TrustDirectory};
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// How long one peer may take from connecting to the end of its update.
const EXCHANGE: Duration = Duration::from_secs(60);
/// How long nothing may come from a peer while something is waited for.
const IDLE: Duration = Duration::from_secs(15);
/// Most connections at once. Only one identity is heard, and one site's job managers share an address.
const BOUNDS: Bounds = Bounds { strangers: 64, guests: 64, per_address: 128, per_identity: 64 };
/// Most updates kept until somebody asks for them.
const MAX_WAITING: usize = 4096;
/// How long to wait after a failed accept (out of descriptors), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// One state update.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which job; only the numbers count, the port changes when a job manager restarts.
    pub job: JobContact,
    /// Its state.
    pub state: JobState,
    /// Why it failed.
    pub failure: GramError,
    /// Exit code, when sent.
    pub exit_code: Option<i32>,
    /// All extensions.
    pub extensions: Vec<(String, String)>,
}

/// An update that makes no sense.
#[derive(Debug, thiserror::Error)]
enum BadUpdate {
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    #[error(transparent)]
    Contact(#[from] crate::contact::ContactError),
    #[error("{0} is not a job state")]
    State(u32),
}

impl Update {
    fn decode(body: &[u8]) -> Result<Self, BadUpdate> {
        let update = wire::Update::decode(body)?;
        Ok(Self {
            job: update.contact.parse()?,
            state: JobState::from_value(update.status).ok_or(BadUpdate::State(update.status))?,
            failure: update.failure_code,
            exit_code: body::extension(&update.extensions, "exit-code").and_then(|code| code.parse().ok()),
            extensions: update.extensions,
        })
    }
}

/// A running listener; dropping it stops it.
#[derive(Debug)]
pub struct Listener {
    url: String,
    updates: mpsc::Receiver<Update>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listens on `GLOBUS_TCP_PORT_RANGE` or an ephemeral port; `GLOBUS_HOSTNAME` or the local name stands in the URL.
    /// Only peers with the credential's own identity are heard.
    pub async fn start(credential: &Credential, trust: &TrustDirectory) -> Result<Self, ClientError> {
        let failed = |code: GramError, what: String| ClientError::new(code, what);
        let listener = endpoint::listen_in(endpoint::port_range()).map_err(|error| {
            failed(GramError::NO_RESOURCES, format!("cannot listen for call-backs: {error}"))
        })?;
        let port =
            listener.local_addr().map_err(|error| failed(GramError::NO_RESOURCES, error.to_string()))?.port();
        let acceptor = Acceptor::new(credential, trust).map_err(|error| {
            failed(GramError::AUTHORIZATION, format!("cannot use this credential for call-backs: {error}"))
        })?;
        let acceptor = acceptor.patient_for(IDLE);
        let (sender, updates) = mpsc::channel(MAX_WAITING);
        let serving = Serving { acceptor, own: credential.identity().clone(), sender };
        let task = tokio::spawn(serving.run(listener));
        Ok(Self { url: format!("https://{}:{port}/", endpoint::host_name()), updates, task })
    }

    /// `https://host:port/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next update. One that arrives before its job's contact is known is kept like any other: match by
    /// [`JobContact::same_job`].
    pub async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the accepting task works with.
#[derive(Clone)]
struct Serving {
    acceptor: Acceptor,
    own: Subject,
    sender: mpsc::Sender<Update>,
}

impl Serving {
    async fn run(self, listener: TcpListener) {
        let admission = Admission::new(BOUNDS);
        let mut connections = JoinSet::new(); // dropped with this task, which ends them
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (serving, place) = (self.clone(), admission.enter(peer.ip()));
                    connections.spawn(async move {
                        if let Err(error) = serving.serve(stream, place).await {
                            tracing::warn!(%peer, %error, "call-back not taken");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "call-back listener cannot accept");
                    admission.make_room();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, stream: TcpStream, place: Result<Stranger, Crowded>) -> Result<(), DeliveryError> {
        let deadline = Instant::now() + EXCHANGE;
        let mut place = place?;
        let accepting = tokio::time::timeout_at(deadline, self.acceptor.accept(stream));
        let mut stream = tokio::select! {
            accepted = accepting => accepted.map_err(|_| ExchangeError::Deadline)??,
            () = place.pushed_out() => return Err(Crowded::PushedOut.into()),
        };
        // Kept to the end.
        let _place = place.welcome(&stream.peer().identity)?;
        Expect::Myself.accepts(stream.peer(), &self.own)?;
        let (_, body) = exchange::read_request(&mut stream, deadline).await?;
        match Update::decode(&body) {
            Ok(update) => {
                // Nobody waits for it any more when this fails: the listener is being dropped.
                let _ = self.sender.send(update).await;
                exchange::write_message(&mut stream, &http::encode_acknowledgement(), deadline).await?;
            }
            Err(error) => {
                tracing::warn!(%error, "state update not understood");
                exchange::write_message(&mut stream, &http::encode_refusal(400), deadline).await?;
            }
        }
        exchange::close(stream).await;
        Ok(())
    }
}

/// An update that was not delivered or not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// TLS, or the peer is not who it must be.
    #[error(transparent)]
    Security(#[from] GsiError),
    /// The message did not get through, or was not acknowledged.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// There is no room for the connection.
    #[error("too many connections: {0}")]
    Crowded(#[from] Crowded),
    /// The listener refused it.
    #[error("the listener answered HTTP {0}")]
    Refused(u16),
}

/// Sends one state update to a call-back contact and waits for its acknowledgement, all before `deadline`. The listener
/// must have the identity the contact names, or our own.
pub async fn deliver(
    connector: &Connector,
    contact: &CallbackContact,
    update: &wire::Update,
    deadline: Instant,
) -> Result<(), DeliveryError> {
    let expect = contact.subject.clone().map_or(Expect::Myself, Expect::Identity);
    let connecting = async {
        let stream = endpoint::dial(&contact.host, contact.port).await?;
        Ok::<SecureStream, DeliveryError>(connector.connect(stream, &expect).await?)
    };
    let mut stream =
        tokio::time::timeout_at(deadline, connecting).await.map_err(|_| ExchangeError::Deadline)??;
    let message = update.encode(contact.path(), &contact.host);
    exchange::write_message(&mut stream, &message, deadline).await?;
    let (head, _) = exchange::read_acknowledgement(&mut stream, deadline).await?;
    if head.status == 200 { Ok(()) } else { Err(DeliveryError::Refused(head.status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_in_terms_of_jobs() {
        let message = wire::Update {
            contact: "https://h:1/2/3/".into(),
            status: 8,
            failure_code: GramError::SUCCESS,
            extensions: vec![("exit-code".into(), "-7".into())],
        };
        let bytes = message.encode("/", "h");
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let update = Update::decode(&bytes[at..]).unwrap();
        assert_eq!((update.job.high, update.job.low, update.state), (2, 3, JobState::Done));
        assert_eq!(update.exit_code, Some(-7));
        for (contact, status) in [("https://h:1/2/3/", 3), ("https://h:1/2/", 8)] {
            let bytes = wire::Update { contact: contact.into(), status, ..message.clone() }.encode("/", "h");
            assert!(Update::decode(&bytes[at..]).is_err(), "{contact} {status}");
        }
    }
}
