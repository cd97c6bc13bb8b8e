//! Names, chains, signing policies and gridmaps compared with `openssl` and the stock Globus programs.
//!
//! Each test makes its own CA in a temporary directory. A test whose peer is not installed says so and passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod chains;
mod gridmap;
mod names;
mod site;
