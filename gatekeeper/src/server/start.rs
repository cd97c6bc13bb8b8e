//! What keeps a gatekeeper from starting, and the socket it starts with.

use gram::endpoint;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;

/// Why a gatekeeper does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not one.
    #[error("listen = {address:?}: {reason}; expected address:port, such as [::]:2119")]
    Address {
        /** as configured */
        address: String,
        /** why not */
        reason: String,
    },
    /// It cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /** which */
        address: SocketAddr,
        /** why */
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /** which */
        path: PathBuf,
        /** why */
        reason: String,
    },
    /// Certificates, services or limits cannot be used.
    #[error("{0}")]
    Setup(String),
    /// The network is no place for root.
    #[error("the gatekeeper does not run as root")]
    Root,
    /// Who we are cannot be found out.
    #[error("uid {0} has no name in /etc/passwd, and LOGNAME is not set")]
    Nameless(u32),
}

impl From<StartError> for io::Error {
    /// Of the kind of the failed call, where there was one.
    fn from(error: StartError) -> Self {
        match &error {
            StartError::Listen { source, .. } => Self::new(source.kind(), error),
            _ => Self::other(error),
        }
    }
}

/// Binds; the listener and its port.
pub(crate) fn listen(address: &str) -> Result<(TcpListener, u16), StartError> {
    let wrong = |reason: String| StartError::Address { address: address.to_owned(), reason };
    let address = address
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?
        .next()
        .ok_or_else(|| wrong("no such host".to_owned()))?;
    let failed = |source| StartError::Listen { address, source };
    let listener = endpoint::listen(address).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

/// A socket that somebody else has made and bound.
pub(crate) fn adopt(socket: std::net::TcpListener) -> Result<(TcpListener, u16), StartError> {
    let adopted = socket.set_nonblocking(true).and_then(|()| {
        let listener = TcpListener::from_std(socket)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    });
    adopted.map_err(|error| StartError::Setup(format!("the socket handed over cannot be used: {error}")))
}

/// The name of our account: `/etc/passwd` first; accounts that live elsewhere are named by LOGNAME.
pub(crate) fn account_name(uid: u32) -> Result<String, StartError> {
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    name_in(&passwd, uid)
        .map(str::to_owned)
        .or_else(|| std::env::var("LOGNAME").ok().filter(|name| !name.is_empty()))
        .ok_or(StartError::Nameless(uid))
}

fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbad line\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(name_in(passwd, 0), Some("root"));
        assert_eq!(name_in(passwd, 1000), Some("alice"));
        assert_eq!(name_in(passwd, 7), None);
    }

    #[tokio::test]
    async fn addresses() {
        assert!(listen("[::]:0").is_ok());
        assert!(listen("127.0.0.1:0").is_ok());
        for address in ["2119", "[::]", "[::]:x"] {
            let error = listen(address).unwrap_err();
            assert!(error.to_string().contains("expected address:port"), "{error}");
        }
    }
}
