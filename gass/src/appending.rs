//! An append that stays open (gass.md §3, §7.1): data goes out as it comes, with pauses of any length between, and its
//! caller knows at every moment what has left this process. That is why it is not a body of hyper's, which buffers.
//!
//! Nothing waits for ever: a peer that takes nothing for as long as `stall` is given up, and so is one that owes a reply.

use crate::client::APPEND_PATH;
use crate::{Client, GassError, Url};
use bytes::BytesMut;
use gsi::Expect;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Longest header block of a reply, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header lines of a reply.
const MAX_LINES: usize = 64;
/// How long a refusal is looked for after a write has failed: it may lie in the receive buffer.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(2);
/// How servers of this make begin their `Server` header.
const OURS: &str = "Gridiron-GASS/";

/// Any connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// An append under way. Dropping it breaks it off, and the server keeps what has come.
pub struct Appending {
    url: Url,
    stream: Box<dyn Duplex>,
    stall: Duration,
    received: BytesMut,
    frame: Vec<u8>,
}

/// What a server says to an append, or a reply head in general.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// Its text, at most 200 characters, none of them control characters.
    pub reason: String,
    /// The server is of this make: it can be asked what it holds.
    pub ours: bool,
    /// `Content-Length`, when it is a number.
    pub length: Option<u64>,
}

impl Client {
    /// Opens an append: connects and sends the header block. Data may follow at any time.
    ///
    /// # Errors
    /// Any [`GassError`] of connecting; refusals come later.
    pub async fn open_append(
        &self,
        url: &Url,
        expect: &Expect,
        stall: Duration,
    ) -> Result<Appending, GassError> {
        let path = url.request_path().unwrap_or_default();
        let mut appending = self.open_request(url, expect, stall).await?;
        let host = host_of(url);
        let head = format!(
            "POST {APPEND_PATH}?{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: \
             Gridiron-GASS/{}\r\nTransfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        appending.frame.extend_from_slice(head.as_bytes());
        appending.write_frame().await?;
        Ok(appending)
    }

    /// How many bytes a server of our make holds under this URL; None when it does not tell. Others close the connection when
    /// they are asked, so ask only those whose [`Head`] says that they are ours.
    ///
    /// # Errors
    /// Any [`GassError`] but a refusal.
    pub async fn held(&self, url: &Url, expect: &Expect, stall: Duration) -> Result<Option<u64>, GassError> {
        let mut asking = self.open_request(url, expect, stall).await?;
        let path = url.request_path().unwrap_or_default();
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host_of(url));
        asking.frame.extend_from_slice(head.as_bytes());
        asking.write_frame().await?;
        let head = asking.reply().await?;
        Ok(head.length.filter(|_| head.status == 200))
    }

    async fn open_request(
        &self,
        url: &Url,
        expect: &Expect,
        stall: Duration,
    ) -> Result<Appending, GassError> {
        let stream = self.dial(url, expect).await?;
        Ok(Appending { url: url.clone(), stream, stall, received: BytesMut::new(), frame: Vec::new() })
    }
}

/// The host as it stands in a `Host` line: without the port, as stock sends it.
fn host_of(url: &Url) -> String {
    match url {
        Url::Http { host, .. } if host.contains(':') => format!("[{host}]"),
        Url::Http { host, .. } => host.clone(),
        Url::File(_) | Url::Cache(_) => String::new(),
    }
}

impl Appending {
    /// Sends one block, as one chunk. When it returns, all of it has left this process; whether the server has it, only
    /// [`Appending::finish`] tells.
    ///
    /// # Errors
    /// [`GassError::Refused`] when the server has said no meanwhile, [`GassError::TimedOut`] when it takes nothing,
    /// [`GassError::Broken`].
    pub async fn send(&mut self, data: &[u8]) -> Result<(), GassError> {
        if data.is_empty() {
            // Such a chunk would be the last.
            return Ok(());
        }
        self.frame.clear();
        self.frame.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        self.frame.extend_from_slice(data);
        self.frame.extend_from_slice(b"\r\n");
        self.write_frame().await
    }

    /// Waits until the server says something or closes, which it should not before the end. Never returns otherwise; safe
    /// to be dropped while it waits.
    pub async fn spoken(&mut self) -> GassError {
        match self.head().await {
            Ok(head) => self.refusal(&head),
            Err(error) => error,
        }
    }

    /// Sends the end and waits for the answer: everything sent is then at the server.
    ///
    /// # Errors
    /// As [`Appending::send`]; what has been sent may be there or not.
    pub async fn finish(mut self) -> Result<Head, GassError> {
        self.frame.clear();
        self.frame.extend_from_slice(b"0\r\n\r\n");
        self.write_frame().await?;
        let head = self.reply().await?;
        if !(200..300).contains(&head.status) {
            return Err(self.refusal(&head));
        }
        // The peer closes too; a failure here takes nothing back.
        let _ = timeout(CLOSE, self.stream.shutdown()).await;
        Ok(head)
    }

    /// Writes the frame; the clock starts anew with every piece that the peer takes.
    async fn write_frame(&mut self) -> Result<(), GassError> {
        let mut written = 0;
        let failed = loop {
            let Some(rest) = self.frame.get(written..).filter(|rest| !rest.is_empty()) else {
                match timeout(self.stall, self.stream.flush()).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) => break error,
                    Err(_) => return Err(self.too_slow("sending")),
                }
            };
            match timeout(self.stall, self.stream.write(rest)).await {
                Ok(Ok(0)) => break io::ErrorKind::WriteZero.into(),
                Ok(Ok(count)) => written += count,
                Ok(Err(error)) => break error,
                Err(_) => return Err(self.too_slow("sending")),
            }
        };
        // A server that refuses answers and closes; its words may have come before its reset.
        match timeout(LAST_WORDS, self.head()).await {
            Ok(Ok(head)) => Err(self.refusal(&head)),
            _ => Err(self.broken(failed)),
        }
    }

    async fn reply(&mut self) -> Result<Head, GassError> {
        let stall = self.stall;
        timeout(stall, self.head()).await.map_err(|_| self.too_slow("waiting for the reply"))?
    }

    /// Reads until the head of a final reply is there.
    async fn head(&mut self) -> Result<Head, GassError> {
        loop {
            match decode_head(&self.received) {
                Ok(Some((head, taken))) => {
                    let _ = self.received.split_to(taken.min(self.received.len()));
                    if head.status >= 200 {
                        return Ok(head);
                    }
                }
                Ok(None) => {
                    let read = self.stream.read_buf(&mut self.received).await;
                    match read {
                        Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                        Ok(_) => {}
                        Err(error) => return Err(self.broken(error)),
                    }
                }
                Err(reason) => return Err(self.broken(io::Error::new(io::ErrorKind::InvalidData, reason))),
            }
        }
    }

    fn refusal(&self, head: &Head) -> GassError {
        if (200..300).contains(&head.status) {
            return self.broken(io::Error::other("the server answered before the end"));
        }
        GassError::Refused { url: self.url.clone(), status: head.status, reason: head.reason.clone() }
    }

    fn broken(&self, source: io::Error) -> GassError {
        GassError::Broken { url: self.url.clone(), source }
    }

    fn too_slow(&self, doing: &'static str) -> GassError {
        GassError::TimedOut { url: self.url.clone(), doing, limit: self.stall }
    }
}

impl std::fmt::Debug for Appending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appending").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Decodes the head of a reply and tells how many bytes it takes; None while it is not whole.
///
/// # Errors
/// Why these bytes never become one.
pub fn decode_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut reply = httparse::Response::new(&mut lines);
    match reply.parse(bytes) {
        Ok(httparse::Status::Complete(taken)) => {
            let value = |name: &str| {
                reply.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
            };
            let length = value("content-length").and_then(|value| std::str::from_utf8(value).ok());
            Ok(Some((
                Head {
                    status: reply.code.unwrap_or_default(),
                    reason: reply
                        .reason
                        .unwrap_or_default()
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(200)
                        .collect(),
                    ours: value("server").is_some_and(|value| value.starts_with(OURS.as_bytes())),
                    length: length.and_then(|length| length.trim().parse().ok()),
                },
                taken,
            )))
        }
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => Ok(None),
        Ok(httparse::Status::Partial) => Err("the header block of the reply is too long"),
        Err(_) => Err("the reply is not HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::{TcpListener, TcpStream};

    const STALL: Duration = Duration::from_secs(5);

    async fn server() -> (TcpListener, Url) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/dev/stdout", listener.local_addr().unwrap().port());
        (listener, url.parse().unwrap())
    }

    async fn open(listener: &TcpListener, url: &Url, stall: Duration) -> (Appending, TcpStream) {
        let client = Client::insecure();
        let (opened, accepted) =
            tokio::join!(client.open_append(url, &Expect::Myself, stall), listener.accept());
        (opened.unwrap(), accepted.unwrap().0)
    }

    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(stream.read_u8().await.unwrap()));
        }
        text
    }

    /// gass.md §3: the header block of the stock client, our own name in it.
    #[tokio::test]
    async fn each_block_is_one_chunk_and_leaves_at_once() {
        let (listener, url) = server().await;
        let (mut appending, mut peer) = open(&listener, &url, STALL).await;
        let head = read_until(&mut peer, "\r\n\r\n").await;
        assert!(head.starts_with(
            "POST /globus-bins/GASSappend?/dev/stdout HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        ));
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        appending.send(b"").await.unwrap();
        appending.send(b"hello\nworld\n!").await.unwrap();
        assert_eq!(read_until(&mut peer, "!\r\n").await, "d\r\nhello\nworld\n!\r\n");
        let answering = async {
            assert_eq!(read_until(&mut peer, "0\r\n\r\n").await, "0\r\n\r\n");
            let reply =
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Ok\r\nServer: Globus-GASS-HTTP/1.1.0\r\n\r\n";
            peer.write_all(reply).await.unwrap();
        };
        let (finished, ()) = tokio::join!(appending.finish(), answering);
        assert_eq!(finished.unwrap(), Head { status: 200, reason: "Ok".into(), ours: false, length: None });
    }

    #[tokio::test]
    async fn a_server_of_ours_tells_what_it_holds() {
        let (listener, url) = server().await;
        for (reply, held) in [
            ("HTTP/1.1 200 Ok\r\nContent-Length: 17\r\n\r\n", Some(17)),
            ("HTTP/1.1 200 Ok\r\n\r\n", None),
            ("HTTP/1.1 404 File Not Found\r\nContent-Length: 17\r\n\r\n", None),
        ] {
            let client = Client::insecure();
            let asking = client.held(&url, &Expect::Myself, STALL);
            let answering = async {
                let mut peer = listener.accept().await.unwrap().0;
                let asked = read_until(&mut peer, "\r\n\r\n").await;
                assert!(asked.starts_with("HEAD /dev/stdout HTTP/1.1\r\n"), "{asked}");
                peer.write_all(reply.as_bytes()).await.unwrap();
            };
            assert_eq!(tokio::join!(asking, answering).0.unwrap(), held);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_heard_while_nothing_is_sent() {
        let (listener, url) = server().await;
        let (mut appending, mut peer) = open(&listener, &url, STALL).await;
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let error = appending.spoken().await;
        assert!(
            matches!(&error, GassError::Refused { status: 400, reason, .. } if reason == "Bad Request"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_peer_that_goes_away_is_noticed() {
        let (listener, url) = server().await;
        let (mut appending, peer) = open(&listener, &url, STALL).await;
        drop(peer);
        assert!(matches!(appending.spoken().await, GassError::Broken { .. }));
    }

    #[tokio::test]
    async fn a_peer_that_never_reads_is_given_up() {
        let (listener, url) = server().await;
        let (mut appending, _peer) = open(&listener, &url, Duration::from_millis(200)).await;
        let block = vec![b'x'; 1 << 20];
        let error = loop {
            if let Err(error) = appending.send(&block).await {
                break error;
            }
        };
        assert!(matches!(error, GassError::TimedOut { doing: "sending", .. }), "{error}");
    }

    #[tokio::test]
    async fn a_peer_that_never_answers_is_given_up() {
        let (listener, url) = server().await;
        let (appending, _peer) = open(&listener, &url, Duration::from_millis(200)).await;
        let error = appending.finish().await.unwrap_err();
        assert!(matches!(error, GassError::TimedOut { doing: "waiting for the reply", .. }), "{error}");
    }

    #[test]
    fn heads_have_limits() {
        assert_eq!(decode_head(b"HTTP/1.1 20"), Ok(None));
        assert!(decode_head(b"SSH-2.0-x\r\n\r\n").is_err());
        let endless = [b"HTTP/1.1 200 Ok\r\nX: ".as_slice(), &[b'a'; MAX_HEAD]].concat();
        assert!(decode_head(&endless).is_err());
        let ours = decode_head(b"HTTP/1.1 200 Ok\r\nSERVER: Gridiron-GASS/9\r\n\r\n").unwrap().unwrap().0;
        assert!(ours.ours);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, tail in "[ -~\r\n]{0,80}") {
            let _ = decode_head(&bytes);
            let _ = decode_head(format!("HTTP/1.1 200 {tail}").as_bytes());
        }
    }
}
