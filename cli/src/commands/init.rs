//! `gridiron init`: a new site's folder.

use crate::{
    exit::Exit,
    failure::Failure,
    site::create::{self, Settings},
    ui::Ui,
};
use gsi::authority::{Authority, Holder, NewAuthority};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Lifetime of the site's own CA, and of the host certificate it signs.
const AUTHORITY_DAYS: u32 = 3650;
const HOST_DAYS: u32 = 395;

/// Make a site's folder: commented gridiron.toml, empty gridmap, folders for certificates, state and logs
///
/// With --ca also a certification authority of its own and a host certificate, so that the site can be served at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron init --ca --host grid.example.org /etc/gridiron

Next: gridiron check, gridiron gridmap add, gridiron serve (each with --config DIR/gridiron.toml).")]
pub struct Args {
    /// Folder of the site
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Also make a certification authority (in DIR/ca) and a host certificate
    #[arg(long)]
    ca: bool,
    /// Name of the authority
    #[arg(long, value_name = "DN", requires = "ca", default_value = "/O=Grid/CN=Gridiron CA")]
    ca_name: String,
    /// Name of this host in contacts and in its certificate [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Address and port to listen on [default: [::]:2119]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let settings = Settings { listen: self.listen, host: self.host.clone(), state: None };
        let file = create::create(&self.folder, &settings)?;
        if self.ca {
            let host = self.host.unwrap_or_else(create::machine_name);
            let bar = ui.progress("making keys");
            certify(&self.folder, &self.ca_name, &host)?;
            bar.finish_and_clear();
        }
        let advice = if self.ca {
            "The key of the authority, ca/cakey.pem, is not encrypted: keep the folder ca on a machine of its own."
        } else {
            "It needs hostcert.pem and hostkey.pem (gridiron cert request --host), and its CAs in certificates/."
        };
        let file = file.display();
        let text =
            format!("{file}\n{advice}\nNext: gridiron check --config {file}; gridiron serve --config {file}");
        ui.result(&json!({ "config": file.to_string(), "ca": self.ca }), text);
        Ok(Exit::Success)
    }
}

fn certify(folder: &Path, name: &str, host: &str) -> Result<(), Failure> {
    let new = NewAuthority { name, days: AUTHORITY_DAYS, bits: 2048, passphrase: None };
    let authority = Authority::create(&folder.join("ca"), &new)?;
    authority.install(&folder.join("certificates"))?;
    let subject = format!("{}/CN={host}", authority.namespace());
    let holder = Holder::Host { names: vec![host.to_owned()] };
    create::pair(&authority, &subject, &holder, HOST_DAYS, &folder.join("host"))
}
