//! What moving files costs with the stock GASS programs and with ours: a large file to and from a server, many small ones, and
//! many clients at once; all on this machine, over https, in one run. `cargo xtask bench gass` builds everything and runs it;
//! `--json` prints the figures for programs, `--quick` takes less of everything, for trying the bench itself.
//!
//! | module | subject |
//! |---|---|
//! | [`pairing`] | a server and a client, and what one task costs each of them |
//! | [`usage`] | processor time and memory of processes |
//! | [`report`] | all pairings side by side: table, JSON, goals |
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench stops where it is surprised, and speaks to the person who runs it"
)]

mod pairing;
mod report;
mod usage;

use e2e::{Kind, stock};
use pairing::Pairing;
use report::Report;
use std::{env, process::ExitCode};

/// How much of everything.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Sizes {
    /// MiB of the large file.
    pub(crate) large_mib: usize,
    /// Small files that our client copies.
    pub(crate) small: usize,
    /// Small files that the stock client copies; it takes a minute for 1000.
    pub(crate) small_at_stock: usize,
    /// Clients at once.
    pub(crate) clients: usize,
    /// MiB of the file that each of them fetches.
    pub(crate) client_mib: usize,
}

const FULL: Sizes = Sizes { large_mib: 1024, small: 1000, small_at_stock: 200, clients: 50, client_mib: 10 };
const QUICK: Sizes = Sizes { large_mib: 128, small: 200, small_at_stock: 40, clients: 10, client_mib: 5 };

/// Server, then client. The first is what the others are compared with.
const PAIRINGS: [(Kind, Kind); 4] = [
    (Kind::Stock, Kind::Stock),
    (Kind::Stock, Kind::Ours),
    (Kind::Ours, Kind::Stock),
    (Kind::Ours, Kind::Ours),
];

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`, which says nothing new.
    let mut options: Vec<String> = env::args().skip(1).filter(|option| option != "--bench").collect();
    let mut taken = |option: &str| {
        let before = options.len();
        options.retain(|other| other != option);
        options.len() < before
    };
    let (json, quick) = (taken("--json"), taken("--quick"));
    if let Some(unknown) = options.first() {
        eprintln!("unknown option {unknown}; there are --json and --quick");
        return ExitCode::from(2);
    }
    let missing = [stock::CLIENT, &["globus-gass-server", "globus-url-copy"]].map(stock::missing).concat();
    if !missing.is_empty() {
        eprintln!("nothing to compare with; not installed: {} (cargo xtask peers)", missing.join(" "));
        return ExitCode::FAILURE;
    }
    let sizes = if quick { QUICK } else { FULL };
    let load_average = usage::load_average();
    let measured = PAIRINGS.map(|(server, client)| {
        eprintln!("{server:?} server, {client:?} client");
        Pairing::new(server, client, sizes).measure()
    });
    let report = Report::new(sizes, load_average, measured);
    if json {
        println!("{}", serde_json::to_string_pretty(&report).expect("figures are JSON"));
    } else {
        println!("{report}");
    }
    if report.goals.iter().all(|goal| goal.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
