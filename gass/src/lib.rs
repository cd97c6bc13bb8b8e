//! Global Access to Secondary Storage (gass.md): files by URL, over https with GSI (SSL-compatible style, mutual
//! certificates) or plain http. What stdout, stderr, stdin and executable URLs use: a client, and the server, which
//! `run -s`/`-o` embeds.
//!
//! | Module | Subject |
//! |---|---|
//! | [`url`] | URLs and their rules |
//! | [`cache`] | the URL-keyed cache on disk, shared with stock programs |
//! | [`mod@file`] | files as a program sees them: open a URL, read, write, seek, close |
//! | [`client`] | one request to one server: GET, PUT, append, listings; kept connections |
//! | [`appending`] | an append that stays open, for output that streams |
//! | [`copy`] | files from place to place, whole or not at all: retries, resuming, checksums, many at once |
//! | [`digest`] | checksums as HTTP names them |
//! | [`listing`] | what is in a directory of a server |
//! | [`range`] | parts of files, as HTTP names them |
//! | [`server`] | the server: who may do what, files, our stdout and stderr |
//! | [`error`] | what can go wrong, sorted by blame |
//!
//! Not supported: ASCII mode.

pub mod appending;
mod blocks;
mod body;
pub mod cache;
pub mod client;
pub mod copy;
pub mod digest;
pub mod error;
pub mod file;
pub mod listing;
pub mod range;
pub mod server;
pub mod url;

pub use appending::Appending;
pub use cache::{Cache, CacheError};
pub use client::Client;
pub use digest::ReprDigest;
pub use error::{Blame, GassError};
pub use file::{FileError, Files};
pub use server::{Access, Server};
pub use url::Url;
