//! The front door of a site: accept, authenticate, map, authorise, hand over. Never reads RSL, never needs root.
//!
//! | module | subject |
//! |---|---|
//! | [`config`] | settings |
//! | [`server`] | the listener: accepts, bounds, stops gracefully |
//! | [`connection`] | one connection, step by step, each step its own type |
//! | [`policy`] | who may do what: yields a permit or a refusal |
//! | [`refusal`] | every refusal, and the one place where it gets its answer |
//! | [`service`] | the service table: own configuration and classic service files |
//! | [`rules`] | what the site's files say about who may come in |
//! | [`rate`] | how often one subject may ask |
//! | [`settings`] | what the configuration makes, and makes again when it changes |
//! | [`launch`] | finding the account's job manager, or having one started, and handing requests over |
//! | [`start`] | how a job manager's process is started |
//! | [`attendance`] | waiting for managers, replacing those that crash, and knowing after a crash which are needed |
//! | [`audit`] | one JSON line per decision |
//! | [`metrics`] | what is counted and measured, for Prometheus |
//! | [`reload`] | values made from files, made again when these change |
//!
//! Started by an ordinary user this is a personal gatekeeper: everything runs as that user, and only requests mapped to
//! that account are let in. A site's gatekeeper has an account of its own, and the root launcher starts the job managers.

pub mod attendance;
pub mod audit;
pub mod config;
pub mod connection;
#[cfg(test)]
mod fake;
pub mod launch;
pub mod metrics;
pub mod policy;
pub mod rate;
pub mod refusal;
pub mod reload;
pub mod rules;
pub mod server;
pub mod service;
pub mod settings;
pub mod start;

pub use config::Config;
pub use rules::SiteRules;
pub use server::{Gatekeeper, serve};
pub use settings::Source;
