//! `gridiron check`: everything that is wrong with a site.

use crate::{
    exit::Exit,
    failure::Failure,
    site::{self, check, launcher, limits},
    ui::Ui,
};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};

/// Find everything that is wrong in a site: configuration, certificates, trust directory, gridmap, bans, services
///
/// Also shows the limits that hold for clients, and how jobs run at a site for many accounts.
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
        let site = site::parse(&text, &file);
        let problems = match &site {
            Ok(site) => check::problems(site, &file, jiff::Timestamp::now()),
            Err(problems) => problems.clone(),
        };
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let mut verdict =
            if problems.is_empty() { format!("{}: ok", file.display()) } else { lines.join("\n") };
        let settable = site.as_ref().map(|site| site.gatekeeper.limits.all()).unwrap_or_default();
        if !settable.is_empty() {
            verdict = format!("{verdict}\n\n{}", limits::text(&settable));
        }
        let for_accounts = site.as_ref().ok().and_then(|site| site.launcher.as_ref());
        if let Some(settings) = for_accounts {
            verdict = format!("{verdict}\n\n{}", launcher::check::text(settings));
        }
        let accounts: Option<BTreeMap<_, _>> =
            for_accounts.map(|settings| launcher::check::shown(settings).into_iter().collect());
        let value = json!({
            "ok": problems.is_empty(), "file": file, "problems": problems, "limits": limits::json(&settable),
            "launcher": accounts,
        });
        ui.result(&value, verdict);
        Ok(if problems.is_empty() { Exit::Success } else { Exit::Negative })
    }
}
