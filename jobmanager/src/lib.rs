//! One local account's jobs: request → job, state machine, durable store, schedulers, stdio, call-backs.

pub mod config;
pub mod job;
pub mod launch;
pub mod machine;
pub mod octets;
pub mod reaper;
pub mod request;
pub mod scheduler;
pub mod store;

pub use config::Config;

/// Runs the account's job manager until it has had nothing to do for a while, or `stop` completes.
pub async fn run(_config: Config, _stop: impl std::future::Future<Output = ()>) -> std::io::Result<()> {
    todo!()
}
