//! Black-box tests against the real things: the stock Globus programs, as clients and as servers.
//!
//! A scenario is a function over a [`World`]: one site, one user with a proxy, and the user's commands. The
//! [`matrix!`] macro runs it four times, so that whatever the stock client sees at the stock site is what it
//! must see at ours, and the same for our commands:
//!
//! | client | site | what it proves |
//! |---|---|---|
//! | stock | stock | that the test itself is right |
//! | stock | ours | our server |
//! | ours | stock | our client |
//! | ours | ours | that Gridiron needs nobody |
//!
//! Everything here starts built programs and imports no crate of the workspace. Certificates are made with
//! `openssl`, so that our code is not only tested against itself. All files are below one temporary folder per
//! test, servers listen on ephemeral ports, and a world stops whatever it started when it is dropped.
//!
//! | module | subject |
//! |---|---|
//! | [`world`] | a site and a user of it; the matrix |
//! | [`user`] | a user's folder, proxy and commands |
//! | [`stock`] | which stock programs are installed; skipping what needs them |
//! | [`by_hand`] | the protocol through `openssl s_client`, for what no client says |
//! | [`accounts`] | throw-away local accounts, for root |
//! | [`pki`] | a certificate authority made with openssl |
//! | [`forgery`] | certificates that are wrong in one way each |
//! | [`gass`] | file servers of either make, and wires that break |
//! | [`stock_site`], [`our_site`] | a running site of either make |
//! | [`mortal_site`] | a site of ours whose processes are killed |
//! | [`crowd`] | very many live jobs, measured |
//! | [`command`] | running a program with a deadline |
//! | [`processes`] | stopping everything a site has started |
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is a test harness: it fails by panicking, as tests do"
)]

pub mod accounts;
pub mod by_hand;
pub mod command;
pub mod crowd;
pub mod forgery;
pub mod gass;
pub mod mortal_site;
pub mod our_site;
pub mod pki;
pub mod processes;
pub mod stock;
pub mod stock_site;
pub mod user;
pub mod world;

pub use command::{Finished, Running};
pub use user::{Kind, User};
pub use world::World;
