//! The front door of a site: accept, authenticate, map, authorise, hand over. Never reads RSL, never runs as root.

pub mod audit;
pub mod config;
pub mod connection;
pub mod launch;
pub mod policy;
pub mod server;
pub mod service;

pub use config::Config;
pub use server::{Gatekeeper, serve};
