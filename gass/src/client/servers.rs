//! What is known of servers, and the connections to them that are kept between requests.

use super::connection::Connection;
use crate::Url;
use gsi::Expect;
use hyper::HeaderMap;
use hyper::header::SERVER;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection without a request is kept. Servers of ours close theirs after 30 s.
const KEPT_FOR: Duration = Duration::from_secs(20);
/// Most connections kept, over all servers.
const MAX_KEPT: usize = 64;
/// Most servers remembered; beyond that it starts anew.
const MAX_SERVERS: usize = 1024;
/// How the `Server` header of ours begins.
const OURS: &[u8] = b"Gridiron-GASS/";

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Gridiron's: knows ranges, checksums, listings, and uploads that are taken up again.
    Ours,
    /// Stock, or whatever else: nothing but GET, PUT and append, once per connection.
    Other,
}

/// Scheme, host and port.
type Address = (bool, String, u16);

/// Shared by all clones of a client.
#[derive(Default)]
pub(super) struct Servers(Mutex<Known>);

#[derive(Default)]
struct Known {
    makes: HashMap<Address, Make>,
    kept: Vec<Kept>,
}

/// A connection between two requests.
struct Kept {
    address: Address,
    /// The server was checked against this.
    expect: Expect,
    connection: Connection,
    since: Instant,
}

impl Servers {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None before the first reply.
    pub(super) fn make_of(&self, url: &Url) -> Option<Make> {
        self.lock().makes.get(&address(url)?).copied()
    }

    /// A reply of this server has come.
    pub(super) fn saw(&self, url: &Url, headers: &HeaderMap) {
        let Some(address) = address(url) else { return };
        let ours = headers.get(SERVER).is_some_and(|server| server.as_bytes().starts_with(OURS));
        let mut known = self.lock();
        if known.makes.len() >= MAX_SERVERS {
            known.makes.clear();
        }
        known.makes.insert(address, if ours { Make::Ours } else { Make::Other });
    }

    /// A kept connection to this server, the one used last.
    pub(super) fn take(&self, url: &Url, expect: &Expect) -> Option<Connection> {
        let address = address(url)?;
        let mut known = self.lock();
        known.kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        let at = known.kept.iter().rposition(|kept| kept.address == address && kept.expect == *expect)?;
        Some(known.kept.remove(at).connection)
    }

    fn keep(&self, url: &Url, expect: Expect, connection: Connection) {
        let Some(address) = address(url) else { return };
        let mut known = self.lock();
        known.kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        if known.kept.len() >= MAX_KEPT {
            known.kept.remove(0);
        }
        known.kept.push(Kept { address, expect, connection, since: Instant::now() });
    }
}

fn address(url: &Url) -> Option<Address> {
    let Url::Http { secure, host, port, .. } = url else { return None };
    Some((*secure, host.clone(), *port))
}

/// A connection while a request is on it. Dropped, it is closed; given back, it is kept.
pub(super) struct Lease {
    connection: Connection,
    servers: Arc<Servers>,
    url: Url,
    expect: Expect,
}

impl Lease {
    pub(super) fn new(servers: &Arc<Servers>, url: &Url, expect: &Expect, connection: Connection) -> Self {
        Self { connection, servers: Arc::clone(servers), url: url.clone(), expect: expect.clone() }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// A reply has come on it.
    pub(super) fn saw(&self, headers: &HeaderMap) {
        self.servers.saw(&self.url, headers);
    }

    /// Whether the server is ours.
    pub(super) fn is_ours(&self) -> bool {
        self.servers.make_of(&self.url) == Some(Make::Ours)
    }

    /// The reply has been read to its end. Connections that the server closes are found out when they are to be used.
    pub(super) fn give_back(self) {
        if self.is_ours() {
            self.servers.keep(&self.url, self.expect, self.connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_name_makes_a_server_ours() {
        let servers = Servers::default();
        let url: Url = "https://h:1/f".parse().unwrap();
        assert_eq!(servers.make_of(&url), None);
        let mut headers = HeaderMap::new();
        for (name, expected) in [
            ("Globus-GASS-HTTP/1.1.0", Make::Other),
            ("Gridiron-GASS/0.1.0", Make::Ours),
            ("nginx", Make::Other),
        ] {
            headers.insert(SERVER, name.parse().unwrap());
            servers.saw(&url, &headers);
            assert_eq!(servers.make_of(&url), Some(expected));
            assert_eq!(servers.make_of(&"http://h:1/f".parse().unwrap()), None);
        }
        headers.clear();
        servers.saw(&url, &headers);
        assert_eq!(servers.make_of(&url), Some(Make::Other));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let servers = Servers::default();
        for port in 1..=3000 {
            servers.saw(&format!("https://h:{port}/").parse().unwrap(), &HeaderMap::new());
        }
        assert!(servers.lock().makes.len() <= MAX_SERVERS);
    }
}
