//! Global Access to Secondary Storage (gass.md): files by URL, over https with GSI (SSL-compatible style, mutual
//! certificates) or plain http. This issue needs what stdout, stderr, stdin and executable URLs use: a client, and the
//! small server that `run -s`/`-o` embeds.

pub mod cache;
pub mod client;
pub mod error;
pub mod server;
pub mod url;

pub use cache::{Cache, CacheError};
pub use client::Client;
pub use error::GassError;
pub use server::{Access, Server};
pub use url::Url;
