//! A site's way: the root launcher starts the manager as the account whose jobs it keeps.

use super::{Greeting, NotStarted, greeting};
use launcher::{
    client,
    protocol::{AccountName, Refusal, Reply},
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;

/// Has managers started by the launcher. It is asked anew each time, so it may come and go.
#[derive(Debug)]
pub struct ByLauncher {
    /// The launcher's socket.
    pub socket: PathBuf,
    /// The uid that must hold it: root's.
    pub owner: u32,
    /// State directory: a manager's log is `<state>/<account>/jobmanager.log`.
    pub state: PathBuf,
    /// How long the launcher has to answer, and then the manager to get ready.
    pub patience: Duration,
}

impl ByLauncher {
    /// Has a manager started and waits until it is ready.
    pub(super) async fn start(&self, account: &str) -> Result<(), NotStarted> {
        let refused = |refusal| NotStarted::Refused { account: account.to_owned(), refusal };
        let failed = |source| NotStarted::NoLauncher { socket: self.socket.clone(), source };
        let name = AccountName::new(account).ok_or(refused(Refusal::Name))?;
        let (output, input) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let output = Receiver::from_owned_fd(output).map_err(failed)?;
        let (socket, owner, patience) = (self.socket.clone(), self.owner, self.patience);
        // Our copy of the pipe's other end is closed before the manager is listened to.
        let ask = move || client::ask(&socket, owner, &name, input.as_fd(), patience);
        let reply = tokio::task::spawn_blocking(ask).await.map_err(io::Error::other).and_then(|reply| reply);
        match reply.map_err(failed)? {
            Reply::Started { pid } => tracing::info!(account, pid, "job manager started by the launcher"),
            Reply::Refused(refusal) => return Err(refused(refusal)),
        }
        let log = self.state.join(account).join("jobmanager.log");
        match tokio::time::timeout(self.patience, greeting(output)).await {
            Ok(Greeting::Ready) => Ok(()),
            Ok(Greeting::Ended { said }) => Err(NotStarted::Ended { status: said, log }),
            // It may get ready yet; then the next attempt finds it.
            Err(_) => Err(NotStarted::NotReady { patience: self.patience, log }),
        }
    }

    /// The account's uid, from the system's user database.
    pub(super) async fn uid(&self, account: &str) -> Result<u32, NotStarted> {
        let name = account.to_owned();
        let user = tokio::task::spawn_blocking(move || nix::unistd::User::from_name(&name)).await;
        match user.map_err(io::Error::other).and_then(|user| Ok(user?)) {
            Ok(Some(user)) => Ok(user.uid.as_raw()),
            Ok(None) => Err(NotStarted::Refused { account: account.to_owned(), refusal: Refusal::Unknown }),
            Err(source) => Err(NotStarted::Account { account: account.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use launcher::socket::Listener;
    use std::path::Path;

    /// Asks a launcher that does with the request what the test says.
    async fn ask(account: &str, launcher: impl FnOnce(Listener) + Send + 'static) -> Result<(), NotStarted> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = Listener::of_ourselves(&socket).unwrap();
        let serving = std::thread::spawn(move || launcher(listener));
        let answer = starter(&socket, Duration::from_secs(20)).start(account).await;
        serving.join().unwrap();
        answer
    }

    fn starter(socket: &Path, patience: Duration) -> ByLauncher {
        let owner = rustix::process::geteuid().as_raw();
        ByLauncher { socket: socket.to_owned(), owner, state: "/state".into(), patience }
    }

    fn says(text: &'static str) -> impl FnOnce(Listener) + Send + 'static {
        move |listener| {
            let peer = listener.accept().unwrap();
            let request = peer.request(launcher::account::Gatekeeper::ourselves()).unwrap();
            assert_eq!(request.account.as_str(), "alice");
            rustix::io::write(&request.output, text.as_bytes()).unwrap();
            peer.answer(Reply::Started { pid: 7 });
        }
    }

    #[tokio::test]
    async fn a_manager_that_gets_ready_and_one_that_does_not() {
        ask("alice", says("ready\n")).await.unwrap();
        let error = ask("alice", says("opening the log: no space\n")).await.unwrap_err();
        assert!(
            matches!(&error, NotStarted::Ended { status, .. } if status == "opening the log: no space"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn refusals_come_through() {
        let refuse = |listener: Listener| {
            let peer = listener.accept().unwrap();
            peer.request(launcher::account::Gatekeeper::ourselves()).unwrap();
            peer.answer(Reply::Refused(Refusal::Unlisted));
        };
        let error = ask("alice", refuse).await.unwrap_err();
        assert!(matches!(error, NotStarted::Refused { refusal: Refusal::Unlisted, .. }), "{error}");
        let error = ask("../alice", drop).await.unwrap_err();
        assert!(matches!(error, NotStarted::Refused { refusal: Refusal::Name, .. }), "{error}");
    }

    #[tokio::test]
    async fn no_launcher_is_told_as_such() {
        let starter = starter(Path::new("/nonexistent/socket"), Duration::from_secs(20));
        assert!(matches!(starter.start("alice").await, Err(NotStarted::NoLauncher { .. })));
    }

    #[tokio::test]
    async fn uids_come_from_the_database() {
        let starter = starter(Path::new("/nonexistent/socket"), Duration::from_secs(20));
        assert_eq!(starter.uid("root").await.unwrap(), 0);
        assert!(matches!(starter.uid("no-such-account-here").await, Err(NotStarted::Refused { .. })));
    }
}
