//! `gridiron support-bundle`: everything about a site that somebody needs who is to help.

use crate::{
    bundle,
    exit::Exit,
    failure::Failure,
    site::{self, create::machine_name, launcher::open_to_others},
    ui::Ui,
};
use jiff::Timestamp;
use serde_json::json;
use std::path::PathBuf;

/// Gather what is needed to find out what is wrong with a site, in one archive
///
/// Versions, the site file, the gridmap and the bans, facts of certificates, what `check` says, limits, the jobs' states, the last part
/// of logs and audit, processes and sockets, room on the disks. No key, no proxy, no password, no request of a job: the archive's
/// manifest.json says what is in and what was left out, and why. It names people and addresses: give it only to whom you trust.
///
/// Root gathers from all accounts of a site; anybody else what is his own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gridiron support-bundle --config /etc/gridiron/gridiron.toml --out site.tar.gz"
)]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The archive, a new file [default: gridiron-support-HOST-TIME.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let now = Timestamp::now();
        let file = site::find(self.config.as_deref());
        if nix::unistd::geteuid().is_root() {
            // What the file names is read as root, so it must be root's word.
            let (file, _) = site::read(&file)?;
            if let Some(problem) = open_to_others(&file) {
                return Err(Failure::new(Exit::Configuration, problem));
            }
        }
        let name =
            || format!("gridiron-support-{}-{}.tar.gz", machine_name(), now.strftime("%Y%m%dT%H%M%SZ"));
        let out = self.out.unwrap_or_else(|| name().into());
        let bar = ui.progress("gathering");
        let manifest = bundle::gather(&file, &out, now)?;
        bar.finish_and_clear();
        let left_out = manifest.left_out.iter().map(|left| format!("\n  {}: {}", left.what, left.why));
        let text = format!(
            "{}: {} files; left out:{}",
            out.display(),
            manifest.files.len(),
            left_out.collect::<String>()
        );
        ui.result(&json!({ "out": out, "manifest": manifest }), text);
        Ok(Exit::Success)
    }
}
