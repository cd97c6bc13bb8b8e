//! `gridiron gass serve`: a file server until it is told to stop.

use crate::{
    commands::serve::stop_signal, exit::Exit, failure::Failure, runtime::block_on_all_cores,
    session::Session, ui::Ui,
};
use gass::{
    Access, Server,
    server::{Clients, Export, Files, Output, Scope, Security, Settings, Tildes},
};
use gsi::Subject;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

/// How long running transfers may take after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(30);

/// Serve directories, and this program's stdout and stderr, until SIGTERM or Ctrl-C
///
/// Prints its URL on stdout when ready. Over https it serves the owner of its credential (your proxy) and whom else you
/// allow; nothing outside the given directories can be reached. Stock clients (globus-url-copy), gridiron cp and
/// curl can use it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron gass serve --root ~/data:ro
  gridiron gass serve --root /inbox=/srv/inbox:rw --allow-subject '/O=Grid/CN=Bob'
  gridiron gass serve --root /srv/public --insecure --port 8080

A file has the path it has on this machine, https://HOST:PORT/home/ann/data/file, or starts with the path before the `=`.")]
pub(super) struct Args {
    /// Serve this directory: [URLPATH=]DIR[:ro|:rw], read-only unless :rw; may be repeated [default: the working directory,
    /// read-only, unless --stdout or --stderr is given]
    #[arg(short, long, value_name = "DIR")]
    root: Vec<OsString>,
    /// Listen on this port [default: one of GLOBUS_TCP_PORT_RANGE, or any]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Also serve this identity; may be repeated
    #[arg(long, value_name = "DN", conflicts_with = "insecure")]
    allow_subject: Vec<String>,
    /// Also serve everybody with a line in this grid-mapfile, read again when it changes
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    gridmap: Option<PathBuf>,
    /// Plain http: no certificates, everybody who can connect is served
    #[arg(short, long)]
    insecure: bool,
    /// What clients write to URL/dev/stdout goes to standard output
    #[arg(short = 'o', long)]
    stdout: bool,
    /// What clients write to URL/dev/stderr goes to standard error
    #[arg(short = 'e', long)]
    stderr: bool,
    /// Let a client end the server: globus-gass-server-shutdown URL
    #[arg(short, long)]
    client_shutdown: bool,
    /// Do not print the URL
    #[arg(short, long)]
    silent: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let scope = Scope { files: self.files()?, shutdown: self.client_shutdown };
        let exports = scope.files.exports().unwrap_or_default();
        let writable = exports.iter().any(Export::writable);
        let access =
            Access { read: !exports.is_empty(), write: writable, stdout: self.stdout, stderr: self.stderr };
        let shown: Vec<_> = exports
            .iter()
            .map(|export| json!({ "path": export.path(), "writable": export.writable() }))
            .collect();
        let settings = Settings {
            security: self.security()?,
            access,
            stdout: Output::stdout(),
            stderr: Output::stderr(),
            port: self.port,
        };
        many_files();
        block_on_all_cores(async {
            let stop = stop_signal()?;
            let server = Server::start_within(settings, scope)
                .map_err(|error| Failure::new(Exit::Local, error.to_string()))?;
            if !self.silent {
                ui.result(&json!({ "url": server.url(), "roots": shown }), server.url());
            }
            tokio::select! {
                () = stop => {}
                () = server.asked_to_stop() => {}
            }
            server.drain(FAREWELL).await;
            Ok(Exit::Success)
        })
    }

    fn files(&self) -> Result<Files, Failure> {
        let here = [OsString::from(".")];
        let roots = match self.root.as_slice() {
            [] if !self.stdout && !self.stderr => &here,
            given => given,
        };
        let wrong = |error: gass::server::ExportError| {
            Failure::new(Exit::Usage, error.to_string())
                .try_this("--root DIR, --root DIR:rw, --root /name=DIR")
        };
        let exports: Result<Vec<Export>, _> = roots.iter().map(|root| Export::parse(root)).collect();
        Files::exported(exports.map_err(wrong)?, Tildes { own: true, others: true }).map_err(wrong)
    }

    fn security(&self) -> Result<Security, Failure> {
        if self.insecure {
            return Ok(Security::Nobody);
        }
        let session = Session::open()?;
        let mut clients = Clients::none().with_subjects(self.allow_subject.iter().map(Subject::new));
        if let Some(gridmap) = &self.gridmap {
            clients = clients.with_gridmap(gridmap.clone())?;
        }
        Ok(Security::Known(session.credential, session.trust, Arc::new(clients)))
    }
}

/// As many open files as the system lets us have: each connection is one, and each transfer another.
pub(crate) fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::info!(%error, "the limit of open files stays as it is");
    }
}
