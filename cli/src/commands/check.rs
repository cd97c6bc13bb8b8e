//! `gridiron check`: everything that is wrong with a site.

use crate::{
    exit::Exit,
    failure::Failure,
    site::{self, check},
    ui::Ui,
};
use serde_json::json;
use std::path::PathBuf;

/// Find everything that is wrong in a site: configuration, certificates, trust directory, gridmap, services
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron check --config /etc/gridiron/gridiron.toml")]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let (file, text) = site::read(&site::find(self.config.as_deref()))?;
        let problems = match site::parse(&text, &file) {
            Ok(site) => check::problems(&site, &file, jiff::Timestamp::now()),
            Err(problems) => problems,
        };
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let verdict = if problems.is_empty() { format!("{}: ok", file.display()) } else { lines.join("\n") };
        ui.result(&json!({ "ok": problems.is_empty(), "file": file, "problems": problems }), verdict);
        Ok(if problems.is_empty() { Exit::Success } else { Exit::Negative })
    }
}
