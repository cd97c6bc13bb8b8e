//! `gridiron serve`: the site's front door, until it is told to stop.

use crate::{
    exit::Exit,
    failure::Failure,
    runtime::block_on_all_cores,
    site::{
        self, Site,
        launcher::{FrontDoor, open_to_others},
    },
    ui::Ui,
};
use gatekeeper::{Gatekeeper, Source};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Run a site's gatekeeper until SIGTERM or Ctrl-C
///
/// Prints the GRAM contact on stdout when ready. Job managers are started as needed and outlive it. Changed files are read
/// again when they are next needed, and all of them at SIGHUP; what is broken is logged and changes nothing. At SIGTERM
/// nobody else is let in, and running requests finish.
///
/// Started by root, at a site whose file has [launcher], the gatekeeper and the job managers run as accounts of their own,
/// none of them as root.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron serve --config /etc/gridiron/gridiron.toml")]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui, log: Option<&str>) -> Result<Exit, Failure> {
        let file = site::find(self.config.as_deref());
        if nix::unistd::geteuid().is_root() {
            let (file, site) = load_as_root(&file)?;
            match &site.launcher {
                Some(launcher) => return Err(launcher.exec(&site, &file, FrontDoor::Start, log)),
                None if site.gatekeeper.run_as_root => tracing::warn!("everything runs as root, jobs too"),
                None => {
                    return Err(Failure::new(Exit::Configuration, "the gatekeeper does not run as root").try_this(
                        "an ordinary user's own site; or the [launcher] table in the site file, for jobs of many accounts",
                    ));
                }
            }
        }
        let site = site::load_with_commands(&file)?;
        is_ours(&site)?;
        // Taken before there are threads: its description is in the environment, and is taken out of it.
        let socket = listenfd::ListenFd::from_env()
            .take_tcp_listener(0)
            .map_err(|error| Failure::local("cannot take the socket over from systemd", &error))?;
        block_on_all_cores(async {
            let stop = stop_signal()?;
            let look_again = hangups()?;
            let listen = site.gatekeeper.listen;
            let source = Source::file(file.clone(), move || {
                site::load_with_commands(&file).map(|site| site.gatekeeper).map_err(|failure| failure.what)
            });
            let bound = Gatekeeper::bind_to(source, socket).await.map_err(|error| {
                // A port in use may be free soon: whoever restarts us may try again.
                let is_taken = error.kind() == std::io::ErrorKind::AddrInUse;
                let exit = if is_taken { Exit::Local } else { Exit::Configuration };
                Failure::new(exit, format!("cannot serve on {listen}: {error}"))
                    .try_this("gridiron check; or another `listen` address in the site file")
            })?;
            let bound = bound.looking_again_on(look_again);
            let contact = bound.contact();
            ui.result(&json!({ "contact": contact }), format!("GRAM contact: {contact}"));
            // Whether somebody wanted to know (systemd, with Type=notify) does not matter to us.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            bound.run(stop).await.map_err(|error| Failure::local("the gatekeeper stopped", &error))?;
            Ok(Exit::Success)
        })
    }
}

/// The site file, which must be one that only root can have written, and its absolute path.
pub(super) fn load_as_root(file: &Path) -> Result<(PathBuf, Site), Failure> {
    let (file, _) = site::read(file)?;
    if let Some(problem) = open_to_others(&file) {
        return Err(Failure::new(Exit::Configuration, problem));
    }
    let site = site::load(&file)?;
    Ok((file, site))
}

/// At a site for many accounts the gatekeeper has an account of its own, and no other can do its work.
fn is_ours(site: &Site) -> Result<(), Failure> {
    let Some(launcher) = &site.launcher else { return Ok(()) };
    if launcher.gatekeeper()?.uid == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let what = format!("this is a site for many accounts, whose gatekeeper runs as {}", launcher.user);
    Err(Failure::new(Exit::Configuration, what)
        .try_this("start it as root; or make a site of your own: gridiron init"))
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
