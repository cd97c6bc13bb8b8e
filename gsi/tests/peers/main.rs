//! Connections, proxies and delegation against the real peers: stock Globus programs and openssl.
//!
//! Each test makes its own site (CA, host, user) in a temporary directory. A test whose peer is not installed says so
//! and passes.

mod gatekeeper;
mod globusrun;
mod openssl;
mod ourselves;
mod proxies;
mod site;
