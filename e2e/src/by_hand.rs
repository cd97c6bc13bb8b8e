//! Speaking GRAM by hand, through `openssl s_client`: what no client would say, and when no client would say it.

use crate::{
    command::{DEADLINE, Running},
    pki::{Identity, Pki, certify_request},
};
use std::{path::Path, process::Command, time::Instant};

/// A reply: HTTP status and body, as text without its closing NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The number in the status line; 0 when the connection was closed without a reply.
    pub status: u16,
    /// What follows the header.
    pub body: String,
}

impl Reply {
    /// The reply among these bytes, whatever came before it; `None` while some of it has yet to come.
    ///
    /// The stock job manager leaves some connections open after its reply, so their end is not waited for.
    fn read(bytes: &[u8]) -> Option<Self> {
        let start = bytes.windows(5).position(|window| window == b"HTTP/")?;
        let text = String::from_utf8_lossy(bytes.get(start..)?);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
        let length =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        (body.len() >= length.unwrap_or_default())
            .then(|| Self { status, body: body.trim_end_matches('\0').to_owned() })
    }

    /// The reply on this connection, status 0 if it is closed without one.
    #[track_caller]
    fn from(connection: &Running) -> Self {
        let bytes = connection.wait_for_bytes(|bytes| Self::read(bytes).is_some());
        Self::read(&bytes).unwrap_or(Self { status: 0, body: String::new() })
    }

    /// The value of a body line, without its quotes.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(|value| value.trim_matches('"'))
    }

    /// The value of a body line that must be a number.
    #[track_caller]
    pub fn number(&self, name: &str) -> i64 {
        let value = self.field(name).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("no number {name:?} in {self:?}"))
    }
}

/// What follows the handshake with a gatekeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delegation {
    /// Flag `0`.
    None,
    /// Flag `D`, then a full proxy for the key that the gatekeeper sends.
    Full,
}

/// Somebody who speaks with a certificate of this authority.
pub struct Speaker<'a> {
    /// The certificate shown, and the key that signs delegated proxies: no proxy comes in between.
    pub identity: &'a Identity,
    /// Whom to trust.
    pub pki: &'a Pki,
    /// Where the files of a delegation go.
    pub folder: &'a Path,
}

impl Speaker<'_> {
    /// Sends the bytes of a request to the gatekeeper at `host:port`, and reads the reply.
    #[track_caller]
    pub fn tell_gatekeeper(&self, contact: &str, delegation: Delegation, request: &[u8]) -> Reply {
        let mut connection = self.connect(contact);
        match delegation {
            Delegation::None => connection.send_apart(b"0"),
            Delegation::Full => {
                connection.send_apart(b"D");
                let asked = connection.wait_for_bytes(|bytes| whole_der(after_nul(bytes)).is_some());
                let request = whole_der(after_nul(&asked)).unwrap_or_default();
                connection.send_apart(&certify_request(self.identity, request, self.folder));
            }
        }
        connection.send(request);
        Reply::from(&connection)
    }

    /// Begins a request to the gatekeeper, without delegation.
    #[track_caller]
    pub fn begin(&self, contact: &str, request: &[u8]) -> Begun {
        let mut connection = self.connect(contact);
        connection.send_apart(b"0");
        connection.send_apart(request);
        Begun(connection)
    }

    /// Submits a job; the reply tells status and contact. No call-backs.
    #[track_caller]
    pub fn submit(&self, contact: &str, rsl: &str) -> Reply {
        let rsl = rsl.replace('\\', "\\\\").replace('"', "\\\"");
        let body = format!(
            "protocol-version: 2\r\njob-state-mask: 1048575\r\ncallback-url: \"\"\r\nrsl: \"{rsl}\"\r\n\0"
        );
        self.tell_gatekeeper(contact, Delegation::Full, post("/jobmanager", &body).as_bytes())
    }

    /// Sends the bytes of a request to the job manager behind a job contact, and reads the reply.
    #[track_caller]
    pub fn tell_job_manager(&self, job: &str, request: &[u8]) -> Reply {
        let authority = job.trim_start_matches("https://").split('/').next().unwrap_or_default();
        let mut connection = self.connect(authority);
        connection.send(request);
        Reply::from(&connection)
    }

    /// Asks a job: `status`, `cancel`, `signal 5 commit` …
    #[track_caller]
    pub fn ask(&self, job: &str, query: &str) -> Reply {
        let body = format!("protocol-version: 2\r\n\"{query}\"\r\n\0");
        let path = job.trim_start_matches("https://").split_once('/').map_or("", |(_, path)| path);
        self.tell_job_manager(job, post(&format!("/{path}"), &body).as_bytes())
    }

    /// Asks for the status until the answer is as wanted: some changes come without any event for us.
    #[track_caller]
    pub fn ask_until(&self, job: &str, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let start = Instant::now();
        loop {
            let reply = self.ask(job, "status");
            if wanted(&reply) {
                return reply;
            }
            assert!(start.elapsed() < DEADLINE, "the last answer was {reply:?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn connect(&self, authority: &str) -> Running {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-nocommands", "-noservername", "-connect", authority]);
        command.arg("-cert").arg(&self.identity.certificate).arg("-key").arg(&self.identity.key);
        command.arg("-CApath").arg(&self.pki.trust);
        Running::interactive(command)
    }
}

/// A request of which a part has been sent.
pub struct Begun(Running);

impl Begun {
    /// Sends the rest, and reads the reply.
    #[track_caller]
    pub fn end(mut self, rest: &[u8]) -> Reply {
        self.0.send(rest);
        Reply::from(&self.0)
    }
}

/// A request as the stock clients frame it.
pub fn post(uri: &str, body: &str) -> String {
    format!(
        "POST {uri} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-globus-gram\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The acceptor's one token after the handshake may be a NUL byte (gram.md §2).
fn after_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(&[0]).unwrap_or(bytes)
}

/// The DER object at the start, when all of it is there: a sequence with a length of two bytes, as every request has.
fn whole_der(bytes: &[u8]) -> Option<&[u8]> {
    let &[0x30, 0x82, high, low, ..] = bytes else { return None };
    bytes.get(..4 + usize::from(u16::from_be_bytes([high, low])))
}
