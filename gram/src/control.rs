//! The control interface (proto/control.proto) over a Unix socket with peer credentials checked on both ends.

/// Generated messages, client and server.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("gridiron.control.v1");
}

use std::path::{Path, PathBuf};

/// The control socket of an account's job manager below the site's state directory: `<state>/<account>/control.sock`.
pub fn socket_path(state_dir: &Path, account: &str) -> PathBuf {
    state_dir.join(account).join("control.sock")
}

/// Connects to a job manager, checking that the socket's owner has uid `uid`.
pub async fn connect(
    _socket: &Path,
    _uid: u32,
) -> std::io::Result<v1::job_manager_client::JobManagerClient<tonic::transport::Channel>> {
    todo!()
}

/// Binds the socket (0600, stale file removed) and gives a stream of connections from `allowed` uids only, for `tonic`'s
/// `serve_with_incoming`.
pub fn listen(
    _socket: &Path,
    _allowed: &[u32],
) -> std::io::Result<tokio_stream::wrappers::UnixListenerStream> {
    todo!()
}
