//! `gridiron serve`: the site's front door, until it is told to stop.

use crate::{exit::Exit, failure::Failure, runtime::block_on_all_cores, site, ui::Ui};
use serde_json::json;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Run a site's gatekeeper until SIGTERM or Ctrl-C
///
/// Prints the GRAM contact on stdout when ready. Job managers are started as needed and outlive it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron serve --config /etc/gridiron/gridiron.toml")]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let site = site::load_with_commands(&site::find(self.config.as_deref()))?;
        block_on_all_cores(async {
            let stop = stop_signal()?;
            let listen = site.gatekeeper.listen.clone();
            let bound = gatekeeper::Gatekeeper::bind(site.gatekeeper).await.map_err(|error| {
                Failure::new(Exit::Configuration, format!("cannot serve on {listen}: {error}"))
                    .try_this("gridiron check; or another `listen` address in the site file")
            })?;
            let contact = bound.contact();
            ui.result(&json!({ "contact": contact }), format!("GRAM contact: {contact}"));
            bound.run(stop).await.map_err(|error| Failure::local("the gatekeeper stopped", &error))?;
            Ok(Exit::Success)
        })
    }
}

/// Completes at SIGTERM or SIGINT. The handlers are in place when this returns, so that no signal is missed.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error: std::io::Error| Failure::local("cannot listen for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
