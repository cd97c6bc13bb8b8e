//! `gridiron ping`: may I run jobs there?

use super::arguments::Resource;
use crate::{exit::Exit, failure::Failure, runtime::block_on, session::Session, ui::Ui};
use serde_json::json;
use std::time::Instant;

/// Check that a resource answers and would let you in
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ping -r grid.example.org/jobmanager-fork --versions")]
pub struct Args {
    #[command(flatten)]
    resource: Resource,
    /// Also ask for the versions of its software
    #[arg(long)]
    versions: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let contact = self.resource.contact()?;
        let session = Session::open()?;
        block_on(async {
            let started = Instant::now();
            session.client.ping(&contact).await?;
            let milliseconds = started.elapsed().as_millis();
            let version = if self.versions { Some(session.client.version(&contact).await?) } else { None };
            let (manager, toolkit) = version.map_or((None, None), |found| (found.version, found.toolkit));
            let mut text = format!("{contact} lets {} in ({milliseconds} ms)", session.credential.identity());
            for (name, value) in [("job manager", &manager), ("toolkit", &toolkit)] {
                if let Some(value) = value {
                    text += &format!("\n{name} {value}");
                }
            }
            let value = json!({
                "resource": contact.to_string(), "identity": session.credential.identity().as_str(),
                "milliseconds": milliseconds, "version": manager, "toolkit": toolkit,
            });
            ui.result(&value, text);
            Ok(Exit::Success)
        })
    }
}
