//! The launcher: the only program of a site that is root. It starts job managers, each as its account, and nothing else.
//!
//! The gatekeeper, which reads what strangers send, has an account of its own without any privilege. When it needs a
//! job manager it asks the launcher over a Unix socket; the launcher decides again, by itself, whether the account may
//! have one. It never sees a byte that came from the network.
//!
//! | module | subject |
//! |---|---|
//! | [`protocol`] | the one request and its reply, as bytes |
//! | [`client`] | the gatekeeper's side of the socket |
//! | [`settings`] | the command line |
//! | [`socket`] | the launcher's side of the socket |
//! | [`serve`] | the daemon: waits for requests, signals and its children's ends |
//! | [`account`] | looking an account up, and whether it may have a job manager |
//! | [`folder`] | the account's folder below the state directory |
//! | [`privilege`] | becoming an account for good, and making sure of it |
//! | [`run`] | what the daemon's children do: prepare, drop, exec |
//! | [`pace`] | how often something may be started |
//!
//! The daemon starts this same program anew for every process, with one thread and nothing in its memory, and that one
//! turns into the account and then into `gridiron`. So nothing has to happen between fork and exec.

pub mod account;
pub mod client;
pub mod folder;
pub mod pace;
pub mod privilege;
pub mod protocol;
pub mod run;
pub mod serve;
pub mod settings;
pub mod socket;

/// Something could not be done: what, and why. For people; requests are refused with a [`protocol::Refusal`].
#[derive(Debug)]
pub struct Failure {
    /// What was being done, with the file or account it was done to.
    pub doing: String,
    /// Why it failed, and perhaps what would be right.
    pub why: String,
}

impl Failure {
    /// Not done because of this: an error, or a sentence.
    #[expect(clippy::needless_pass_by_value, reason = "errors come by value, as map_err hands them over")]
    pub fn new(doing: impl Into<String>, why: impl ToString) -> Self {
        Self { doing: doing.into(), why: why.to_string() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.doing, self.why)
    }
}

impl std::error::Error for Failure {}

/// Names what was being done when something failed.
trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: ToString> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(what(), error))
    }
}

/// The log: lines on standard error, which is the journal under systemd. Nobody reading it must not stop us.
pub fn log(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "gridiron-launcher: {line}");
}
