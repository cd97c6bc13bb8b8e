//! Connections, proxies and delegation against the real peers: stock Globus programs and openssl.
//!
//! Each test makes its own site (CA, host, user) in a temporary directory. A test whose peer is not installed says so
//! and passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a test stops where it is surprised, and says why it is skipped"
)]

mod gatekeeper;
mod globusrun;
mod limits;
mod openssl;
mod ourselves;
mod proxies;
mod site;
