//! One local account's jobs: request → job, state machine, durable store, schedulers, stdio, call-backs.
//!
//! One process per account. The gatekeeper hands it requests over the control socket; clients reach their jobs at its job
//! contacts. It knows nothing that is not in its store: it may be killed at any instant and started again.
//!
//! | Module | Subject |
//! |---|---|
//! | [`request`] | RSL text → typed job, with every refusal's number; pure |
//! | [`job`], [`octets`] | the job record that the store keeps |
//! | [`machine`] | the state machine: event in, changed job and actions out; pure |
//! | [`manager`] | the task that owns all jobs and carries the actions out |
//! | [`intake`], [`control`], [`gate`] | submissions from the front door |
//! | [`bulk`] | submissions and questions about many jobs at once |
//! | [`identity`], [`listener`] | delegated credentials, and the job contacts that show them |
//! | [`callback`] | state updates to clients |
//! | [`environment`], [`description`] | what a job is started with, and telling its owner |
//! | [`staging`] | moving its files |
//! | [`stream`] | output while the job runs: to its URLs, and to whoever reads it |
//! | [`launch`], [`scheduler`], [`reaper`] | running jobs |
//! | [`timeline`] | what has happened to a job, for its owner |
//! | [`store`] | durability |
//! | [`clock`] | the time that deadlines are kept in |
//! | [`account`], [`site`], [`config`] | who and where we are |

pub mod account;
pub mod bulk;
pub mod callback;
pub mod clock;
pub mod config;
pub mod control;
pub mod description;
pub mod environment;
pub mod gate;
pub mod identity;
pub mod intake;
pub mod job;
pub mod launch;
pub mod listener;
pub mod machine;
pub mod manager;
pub mod octets;
pub mod reaper;
pub mod request;
pub mod scheduler;
mod serve;
pub mod site;
pub mod staging;
pub mod store;
pub mod stream;
pub mod timeline;

pub use config::Config;
pub use serve::run;

/// A key for a new job: two random numbers, as the halves of a UUID.
fn random_key() -> launch::JobKey {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    launch::JobKey { high, low }
}

#[cfg(test)]
mod testing;

/// A site below a temporary folder.
#[cfg(test)]
pub(crate) fn site_for_tests(folder: &std::path::Path) -> site::Site {
    site::Site {
        account: account::Account { name: "alice".into(), home: folder.join("home") },
        directory: folder.join("state/alice"),
        host: "localhost".into(),
        trust: gsi::TrustDirectory::open(folder).unwrap(),
        globus_location: "/usr".into(),
        machine: request::MachineFacts::default(),
        output_stall: std::time::Duration::from_secs(5),
        inherited: vec![("PATH".into(), "/usr/bin:/bin".into())],
        limits: staging::Limits::default(),
    }
}
