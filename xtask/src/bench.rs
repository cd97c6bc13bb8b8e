//! `cargo xtask bench`: what things cost here and at the stock programs, both measured in turn. The measuring itself is done
//! by `e2e/benches/gram`, `e2e/benches/gass` and `rsl/benches/stock.rs`; here everything they need is built, in release.

use crate::{peers, step::cargo};

/// What to measure, and for whom the figures are.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(clap::Subcommand)]
enum Subject {
    /// Jobs per second, latency, processor time and memory per job at the stock gatekeeper and at ours (two minutes, once built)
    Gram {
        /// Print JSON; the table otherwise
        #[arg(long)]
        json: bool,
        /// Submit a tenth of the jobs to ours: for a quick look while working
        #[arg(long)]
        quick: bool,
    },
    /// Files to and from GASS servers: a large one, many small ones, many clients at once (three minutes, once built)
    Gass {
        /// Print JSON; the table otherwise
        #[arg(long)]
        json: bool,
        /// Less of everything: for a quick look while working
        #[arg(long)]
        quick: bool,
    },
    /// Parsing of RSL by libglobus-rsl and by ours
    Rsl {
        /// Print JSON; the table otherwise
        #[arg(long)]
        json: bool,
    },
}

/// Builds, measures, prints; false when something failed or a goal was missed.
pub(crate) fn run(options: &Options) -> bool {
    let (bench, json, quick) = match options.subject {
        Subject::Gram { json, quick } => (["--package", "e2e", "--bench", "gram"], json, quick),
        Subject::Gass { json, quick } => (["--package", "e2e", "--bench", "gass"], json, quick),
        Subject::Rsl { json } => (["--package", "rsl", "--bench", "stock"], json, false),
    };
    // Of a run for programs standard output is the figures alone; what is missing the bench itself says.
    if !json {
        match options.subject {
            Subject::Gram { .. } | Subject::Gass { .. } => peers::install(),
            Subject::Rsl { .. } => peers::install_libraries(),
        };
    }
    let built = match options.subject {
        Subject::Gram { .. } => cargo(["build", "--release", "--locked", "--package", "gridiron"])
            .args(["--bins", "--example", "load"])
            .status()
            .is_ok_and(|status| status.success()),
        Subject::Gass { .. } => cargo(["build", "--release", "--locked", "--package", "gridiron"])
            .status()
            .is_ok_and(|status| status.success()),
        Subject::Rsl { .. } => true,
    };
    let mut command = cargo(["bench", "--locked", "--quiet"]);
    command.args(bench).arg("--");
    command.args(json.then_some("--json")).args(quick.then_some("--quick"));
    built && command.status().is_ok_and(|status| status.success())
}
