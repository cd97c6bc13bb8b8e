//! The door: accepts connections, finds out who is there, and lets in or not. Nobody can keep others out, however many
//! connections he opens and leaves idle ([`gsi::admission`]).

use super::clients::Clients;
use super::serve::{self, Service};
use super::{BOUNDS, Failure, GREETING, PAUSE};
use gsi::admission::{Admission, Crowded, Guest, Stranger};
use gsi::{Acceptor, Subject, endpoint};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Who gets in.
pub(super) enum Guard {
    /// The owner of the credential, and these.
    Gsi(Acceptor, Arc<Clients>),
    /// Everybody.
    None,
}

/// Accepts until it is dropped, and all connections with it.
pub(super) async fn accept(listener: TcpListener, guard: Arc<Guard>, service: Arc<Service>) {
    let admission = Admission::new(BOUNDS);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (guard, service) = (Arc::clone(&guard), Arc::clone(&service));
                let place = admission.enter(peer.ip());
                connections.spawn(async move {
                    if let Err(error) = Box::pin(admit(stream, &guard, service, place)).await {
                        tracing::warn!(%peer, error = error.as_ref(), "transfer connection ended badly");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept transfers");
                admission.make_room();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn admit(
    stream: TcpStream,
    guard: &Guard,
    service: Arc<Service>,
    place: Result<Stranger, Crowded>,
) -> Result<(), Failure> {
    let mut place = place?;
    endpoint::prepare(&stream)?;
    match guard {
        Guard::Gsi(acceptor, clients) => {
            let stream = tokio::select! {
                accepted = timeout(GREETING, acceptor.accept(stream)) => accepted??,
                () = place.pushed_out() => return Err(Crowded::PushedOut.into()),
            };
            let peer = stream.peer();
            clients.admits(peer, acceptor.credential().identity())?;
            // Kept to the end.
            let _place: Guest = place.welcome(peer.owner())?;
            let owner = Arc::from(peer.identity.as_str());
            serve::connection(stream, service, owner, Arc::default()).await
        }
        Guard::None => unknown(stream, service, place).await,
    }
}

/// Without certificates, who has made a request is no stranger any more.
async fn unknown<S>(stream: S, service: Arc<Service>, mut place: Stranger) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let greeted = Arc::new(Notify::new());
    let mut serving = Box::pin(serve::connection(stream, service, Arc::from(""), Arc::clone(&greeted)));
    tokio::select! {
        ended = &mut serving => return ended,
        () = place.pushed_out() => return Err(Crowded::PushedOut.into()),
        () = greeted.notified() => {}
    }
    let _place = place.welcome(&Subject::new("anonymous"))?;
    serving.await
}
