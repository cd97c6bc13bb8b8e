//! Global Access to Secondary Storage (gass.md): files by URL, over https with GSI (SSL-compatible style, mutual
//! certificates) or plain http. What stdout, stderr, stdin and executable URLs use: a client, and the small server that
//! `run -s`/`-o` embeds.
//!
//! | Module | Subject |
//! |---|---|
//! | [`url`] | URLs and their rules |
//! | [`cache`] | the URL-keyed cache on disk, shared with stock programs |
//! | [`mod@file`] | files as a program sees them: open a URL, read, write, seek, close |
//! | [`client`] | GET, PUT and append of one file |
//! | [`server`] | the embedded server: who may do what, files, our stdout and stderr |
//! | [`error`] | what can go wrong, sorted by blame |
//!
//! Not supported: `Range` (nobody sends it), keep-alive (one request per connection, as stock has it), ASCII mode.

mod body;
pub mod cache;
pub mod client;
pub mod digest;
pub mod error;
pub mod file;
pub mod server;
pub mod url;

pub use cache::{Cache, CacheError};
pub use client::Client;
pub use digest::ReprDigest;
pub use error::GassError;
pub use file::{FileError, Files};
pub use server::{Access, Server};
pub use url::Url;
