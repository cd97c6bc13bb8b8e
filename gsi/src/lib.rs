//! Grid Security Infrastructure: who is asking.
//!
//! Names, certificates, proxy certificates, trust anchors, chain checking, delegation, gridmap, and TLS set-up.
//! The only crate of the workspace that names the TLS and X.509 libraries.

pub mod admission;
mod attribute;
pub mod authority;
pub mod authorization;
pub mod banlist;
pub mod certificate;
pub mod chain;
pub mod connection;
pub mod credential;
pub mod crl;
pub mod delegation;
pub mod der;
pub mod digest;
pub mod endpoint;
pub mod error;
#[cfg(test)]
mod forge;
pub mod gridmap;
pub mod key;
pub mod name;
pub mod proxy;
pub mod request;
pub mod settings;
pub mod signature;
pub mod signing_policy;
pub mod tls;
pub mod trust;

pub use authorization::Expect;
pub use banlist::BanList;
pub use certificate::{Certificate, ProxyFormat, ProxyKind};
pub use chain::Peer;
pub use connection::{Acceptor, Connector, SecureStream};
pub use credential::Credential;
pub use delegation::{DelegationMode, KeyPool};
pub use error::GsiError;
pub use gridmap::Gridmap;
pub use name::{Name, Subject};
pub use trust::TrustDirectory;
