//! What lies between the socket and TLS: token lengths taken out, the invalid SNI hidden, the handshake bounded.

use super::framing::Deframer;
use super::invalid_sni::HelloFilter;
use rustix::net::sockopt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// The most a peer may send before it is authenticated, in bytes. A chain of ten certificates has some 15,000.
pub const MAX_HANDSHAKE: usize = 256 * 1024;

/// How much is read at a time while the ClientHello is looked at.
const READ_SIZE: usize = 4096;

/// How much is read at a time while data comes faster than it is taken. TLS itself asks for 4 KiB, which would make five
/// system calls of every record.
const READ_AHEAD: usize = 128 * 1024;

/// How the peer's tokens arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// GSI-wrapped: lengths may stand before tokens.
    Tokens,
    /// SSL-compatible: plain TLS.
    Plain,
}

/// A socket as TLS sees it.
#[derive(Debug)]
pub(crate) struct Transport {
    tcp: TcpStream,
    deframer: Option<Deframer>,
    hello: Option<HelloFilter>,
    /// Bytes that TLS may read, from `ready_at` on.
    ready: Vec<u8>,
    ready_at: usize,
    ahead: Ahead,
    /// How much more may arrive before [`Transport::established`].
    allowance: Option<usize>,
    idle: Option<Idle>,
}

/// Bytes read before TLS asked for them; from the first read that the socket could fill to the first that it could not, so
/// that connections with little to say have no buffer.
#[derive(Debug, Default)]
struct Ahead {
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    on: bool,
}

impl Ahead {
    fn is_empty(&self) -> bool {
        self.at == self.end
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let end = self.end.min(self.at + buf.remaining());
        buf.put_slice(self.buffer.get(self.at..end).unwrap_or_default());
        self.at = end;
        if self.is_empty() && !self.on {
            *self = Self::default();
        }
    }
}

/// How long nothing may arrive while something is waited for.
#[derive(Debug)]
struct Idle {
    patience: Duration,
    /// Runs from when the waiting began, or something last arrived.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Something has arrived.
    fn rest(&mut self) {
        self.alarm = None;
    }

    /// Nothing has arrived yet.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(end) = Instant::now().checked_add(self.patience) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        alarm.as_mut().poll(cx).map(|()| {
            let silence = format!("nothing came for {} s", self.patience.as_secs_f32());
            io::Error::new(io::ErrorKind::TimedOut, silence)
        })
    }
}

impl Transport {
    /// For the accepting side.
    pub(crate) fn accepting(tcp: TcpStream, framing: Framing) -> Self {
        Self { hello: Some(HelloFilter::default()), ..Self::connecting(tcp, framing) }
    }

    /// For the initiating side.
    pub(crate) fn connecting(tcp: TcpStream, framing: Framing) -> Self {
        Self {
            tcp,
            deframer: (framing == Framing::Tokens).then(Deframer::default),
            hello: None,
            ready: Vec::new(),
            ready_at: 0,
            ahead: Ahead::default(),
            allowance: Some(MAX_HANDSHAKE),
            idle: None,
        }
    }

    /// Gives up with [`io::ErrorKind::TimedOut`] when nothing arrives for so long while something is waited for.
    pub(crate) fn patient_for(mut self, patience: Option<Duration>) -> Self {
        self.idle = patience.map(|patience| Idle { patience, alarm: None });
        self
    }

    /// The peer is authenticated: what it sends is bounded by the protocol above from now on.
    pub(crate) fn established(&mut self) {
        self.allowance = None;
    }

    /// The socket.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads from the socket; token lengths are gone from what is returned. Zero bytes is the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
            if read.is_pending() {
                self.acknowledge();
            }
            match (read, &mut self.idle) {
                (Poll::Ready(read), idle) => {
                    idle.as_mut().map(Idle::rest);
                    read?;
                }
                (Poll::Pending, Some(idle)) => return Poll::Ready(Err(ready!(idle.poll_wait(cx)))),
                (Poll::Pending, None) => return Poll::Pending,
            }
            let arrived = buf.filled().len() - before;
            if arrived == 0 {
                return Poll::Ready(Ok(()));
            }
            self.spend(arrived)?;
            let Some(deframer) = &mut self.deframer else { return Poll::Ready(Ok(())) };
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            let kept =
                deframer.strip(fresh).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            buf.set_filled(before + kept);
            // Nothing but a length is not the end of the stream.
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads what is asked for, or more, for later, when much is coming.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let asked = buf.remaining();
            if !self.ahead.on || asked >= READ_AHEAD {
                ready!(self.poll_fill(cx, buf))?;
                self.ahead.on = buf.remaining() == 0;
                return Poll::Ready(Ok(()));
            }
            let mut buffer = std::mem::take(&mut self.ahead.buffer);
            buffer.resize(READ_AHEAD, 0);
            let mut more = ReadBuf::new(&mut buffer);
            let filled = self.poll_fill(cx, &mut more);
            let end = more.filled().len();
            self.ahead = Ahead { buffer, at: 0, end, on: filled.is_pending() || end > asked };
            ready!(filled)?;
        }
        self.ahead.give(buf);
        Poll::Ready(Ok(()))
    }

    /// Acknowledges what has come before more is waited for. Stock peers write twice in a row with Nagle's algorithm on:
    /// their second message (the request after the delegation, the query after the handshake) waits for the
    /// acknowledgement of the first, which the system would hold back for 40 ms. The option wears off by itself.
    fn acknowledge(&self) {
        // Where it cannot be set, all goes well but slowly.
        let _ = sockopt::set_tcp_quickack(&self.tcp, true);
    }

    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        let Some(allowance) = &mut self.allowance else { return Ok(()) };
        *allowance = allowance.checked_sub(bytes).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than {MAX_HANDSHAKE} bytes before authentication"),
            )
        })?;
        Ok(())
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let ready = this.ready.get(this.ready_at..).unwrap_or_default();
            if !ready.is_empty() {
                let (now, _) = ready.split_at(ready.len().min(buf.remaining()));
                buf.put_slice(now);
                this.ready_at += now.len();
                return Poll::Ready(Ok(()));
            }
            let Some(mut hello) = this.hello.take_if(|hello| !hello.is_finished()) else {
                this.hello = None;
                this.ready = Vec::new();
                return match this.allowance {
                    // Not more than is needed from a peer that nobody knows yet.
                    Some(_) => this.poll_fill(cx, buf),
                    None => this.poll_ahead(cx, buf),
                };
            };
            let mut chunk = [0; READ_SIZE];
            let mut chunk = ReadBuf::new(&mut chunk);
            let filled = this.poll_fill(cx, &mut chunk);
            this.ready.clear();
            this.ready_at = 0;
            match (&filled, chunk.filled()) {
                (Poll::Ready(Ok(())), []) => hello.finish(&mut this.ready),
                (Poll::Ready(Ok(())), bytes) => hello.push(bytes, &mut this.ready),
                _ => {}
            }
            this.hello = Some(hello);
            ready!(filled)?;
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
