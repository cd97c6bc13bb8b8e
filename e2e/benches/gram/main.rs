//! What a job costs at the stock gatekeeper and at ours: both driven in turn, on this machine, by the same load client
//! (`cli/examples/load.rs`) and the same stock commands. `cargo xtask bench gram` builds everything and runs it; `--json`
//! prints the figures for programs, `--quick` takes fewer jobs, for trying the bench itself.
//!
//! | module | subject |
//! |---|---|
//! | [`site`] | the figures of one site |
//! | [`held`] | a site in a process of its own |
//! | [`usage`] | processor time and memory of everything a site has started |
//! | [`report`] | both sites side by side: table, JSON, goals |
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench stops where it is surprised, and speaks to the person who runs it"
)]

mod held;
mod report;
mod site;
mod usage;

use e2e::{Kind, User, crowd::Crowd, mortal_site::MortalSite, stock};
use report::{Machine, Report};
use std::{env, fs, path::Path, process::ExitCode, time::Duration};

/// How many clients at once, and how many jobs they submit together, to a stock site and to ours. Stock sites are so much
/// slower that the same number would take an hour there.
const ROUNDS: [Round; 3] = [
    Round { clients: 1, jobs_at_stock: 6, jobs_at_ours: 400 },
    Round { clients: 8, jobs_at_stock: 64, jobs_at_ours: 3000 },
    Round { clients: 64, jobs_at_stock: 192, jobs_at_ours: 3000 },
];

/// Jobs alive at once when their memory is measured.
const LIVE_AT_STOCK: usize = 40;
const LIVE_AT_OURS: usize = 1000;

/// Clients and jobs whose program is fetched from the client before it is run.
const STAGED: Round = Round { clients: 8, jobs_at_stock: 32, jobs_at_ours: 500 };

/// Live jobs in one job manager of ours; short ones come and go beside them for so many seconds, or as many as
/// `GRIDIRON_CHURN_SECONDS` says: 600 are what the project's goal is about.
const CROWD: usize = 10_000;
const CHURN_SECONDS: u64 = 30;

/// `--quick` divides the numbers of our jobs by this.
const QUICK: usize = 10;

/// One run of the load client.
#[derive(Debug, Clone, Copy)]
struct Round {
    clients: usize,
    jobs_at_stock: usize,
    jobs_at_ours: usize,
}

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`, which says nothing new.
    let mut options: Vec<String> = env::args().skip(1).filter(|option| option != "--bench").collect();
    if let [hold, server, group @ ..] = &*options
        && hold == held::HOLD
    {
        held::hold(server, group.first().map(Path::new));
        return ExitCode::SUCCESS;
    }
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
    let missing = [stock::SITE, stock::CLIENT].map(stock::missing).concat();
    if !missing.is_empty() {
        eprintln!("nothing to compare with; not installed: {} (cargo xtask peers)", missing.join(" "));
        return ExitCode::FAILURE;
    }
    let machine = Machine::here();
    let divisor = if quick { QUICK } else { 1 };
    let stock = site::measure(Kind::Stock, LIVE_AT_STOCK, |round| round.jobs_at_stock);
    let ours = site::measure(Kind::Ours, LIVE_AT_OURS / divisor, |round| round.jobs_at_ours / divisor);
    let report = Report::new(machine, stock, ours, crowd(CROWD / divisor));
    if json {
        println!("{}", serde_json::to_string_pretty(&report).expect("figures are JSON"));
    } else {
        println!("{report}");
    }
    if report.goals.iter().all(|goal| goal.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Very many live jobs in one job manager of ours. A stock site has nothing of the kind: it would run 10,000 Perl scripts.
fn crowd(jobs: usize) -> e2e::crowd::Figures {
    eprintln!("Ours: {jobs} live jobs, asked about and ended at once");
    let user = User::new(Kind::Ours).expect("nothing more is needed");
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).expect("the folder is new");
    let mut site = MortalSite::start(&folder, &user.pki);
    let seconds = env::var("GRIDIRON_CHURN_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Crowd::measure(&user, &mut site, jobs, Duration::from_secs(seconds.unwrap_or(CHURN_SECONDS)))
}
