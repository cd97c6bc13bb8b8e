//! `gridiron serve`: the site's front door, until it is told to stop.

use crate::{exit::Exit, failure::Failure, runtime::block_on_all_cores, site, ui::Ui};
use gatekeeper::{Gatekeeper, Source};
use serde_json::json;
use std::path::PathBuf;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Run a site's gatekeeper until SIGTERM or Ctrl-C
///
/// Prints the GRAM contact on stdout when ready. Job managers are started as needed and outlive it. Changed files are read
/// again when they are next needed, and all of them at SIGHUP; what is broken is logged and changes nothing. At SIGTERM
/// nobody else is let in, and running requests finish.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron serve --config /etc/gridiron/gridiron.toml")]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let file = site::find(self.config.as_deref());
        let site = site::load_with_commands(&file)?;
        block_on_all_cores(async {
            let stop = stop_signal()?;
            let look_again = hangups()?;
            let listen = site.gatekeeper.listen;
            let source = Source::file(file.clone(), move || {
                site::load_with_commands(&file).map(|site| site.gatekeeper).map_err(|failure| failure.what)
            });
            let bound = Gatekeeper::bind_to(source).await.map_err(|error| {
                Failure::new(Exit::Configuration, format!("cannot serve on {listen}: {error}"))
                    .try_this("gridiron check; or another `listen` address in the site file")
            })?;
            let bound = bound.looking_again_on(look_again);
            let contact = bound.contact();
            ui.result(&json!({ "contact": contact }), format!("GRAM contact: {contact}"));
            bound.run(stop).await.map_err(|error| Failure::local("the gatekeeper stopped", &error))?;
            Ok(Exit::Success)
        })
    }
}

/// One message for each SIGHUP; several that come at once are one.
fn hangups() -> Result<mpsc::Receiver<()>, Failure> {
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|error| Failure::local("cannot listen for signals", &error))?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() && !sender.is_closed() {
            // When one is waiting already it stands for this one too.
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
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
