//! Starting the demo's gatekeeper as a process of its own and waiting until it is ready.

use super::Layout;
use crate::{exit::Exit, failure::Failure};
use gram::ResourceContact;
use std::{fs::File, process::Stdio, time::Duration};
use tokio::io::{AsyncBufReadExt, BufReader};

/// What `gridiron serve` prints when ready, before the contact.
const READY: &str = "GRAM contact: ";
/// Reading certificates and binding a port takes milliseconds; this is for machines in trouble.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts it; gives the contact for clients on this machine. It goes on running when the handle here is gone.
pub(super) async fn start(layout: &Layout) -> Result<ResourceContact, Failure> {
    let log_path = layout.folder().join("log/gatekeeper.log");
    let failed = |error: std::io::Error| Failure::local("cannot start the gatekeeper", &error);
    let log = File::create(&log_path).map_err(failed)?;
    let mut command = tokio::process::Command::new(std::env::current_exe().map_err(failed)?);
    let mut child = command
        .args(["serve", "--config"])
        .arg(layout.site_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // Ctrl-C is for us; we stop the gatekeeper ourselves, in the right order.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let mut lines =
        BufReader::new(child.stdout.take().ok_or_else(|| failed(std::io::Error::other("no pipe")))?).lines();
    let ready = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(contact) = line.strip_prefix(READY) {
                return Some(contact.to_owned());
            }
        }
        None
    };
    match tokio::time::timeout(PATIENCE, ready).await {
        // Without the subject: the certificate has the host's name, and subjects may hold blanks, which shells split.
        Ok(Some(contact)) => match contact.parse::<ResourceContact>() {
            Ok(contact) => Ok(ResourceContact { subject: None, ..contact }),
            Err(error) => Err(Failure::new(
                Exit::Local,
                format!("the gatekeeper gave a bad contact, {contact}: {error}"),
            )),
        },
        Ok(None) => {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            Err(Failure::new(Exit::Local, format!("the gatekeeper did not start:\n{}", log.trim_end())))
        }
        Err(_) => Err(Failure::new(Exit::Local, format!("the gatekeeper was not ready after {PATIENCE:?}"))),
    }
}
