//! `gridiron init`: a new site's folder.

use crate::{
    exit::Exit,
    failure::Failure,
    site::create::{self, Settings},
    ui::Ui,
};
use gsi::authority::{Authority, Holder, NewAuthority};
use nix::unistd::User;
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

A site for many accounts, as root:
  useradd --system --user-group --no-create-home gridiron
  gridiron init --ca --host grid.example.org --user gridiron /etc/gridiron

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
    /// Make a site for many accounts, to be started by root: the gatekeeper runs as this account
    #[arg(long, value_name = "ACCOUNT")]
    user: Option<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let gatekeeper = self.user.as_deref().map(gatekeeper).transpose()?;
        let settings = Settings {
            listen: self.listen,
            host: self.host.clone(),
            user: self.user.clone(),
            ..Settings::default()
        };
        let file = create::create(&self.folder, &settings)?;
        if self.ca {
            let host = self.host.unwrap_or_else(create::machine_name);
            let bar = ui.progress("making keys");
            certify(&self.folder, &self.ca_name, &host)?;
            bar.finish_and_clear();
        }
        if let Some(account) = &gatekeeper {
            give_away(&self.folder, account)?;
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

/// The account that is to be the gatekeeper's.
fn gatekeeper(name: &str) -> Result<User, Failure> {
    match User::from_name(name) {
        Ok(Some(user)) if !user.uid.is_root() => Ok(user),
        Ok(Some(_)) => Err(Failure::new(Exit::Usage, "the gatekeeper must not run as root")),
        Ok(None) => Err(Failure::new(Exit::Usage, format!("there is no account {name}"))
            .try_this(format!("useradd --system --user-group --no-create-home {name}"))),
        Err(error) => Err(Failure::local("cannot read the user database", &error)),
    }
}

/// What the gatekeeper writes, and its key, are its own; all else stays root's.
fn give_away(folder: &Path, account: &User) -> Result<(), Failure> {
    for name in ["log", "register", "hostkey.pem"] {
        let path = folder.join(name);
        match std::os::unix::fs::chown(&path, Some(account.uid.as_raw()), Some(account.gid.as_raw())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::local(
                    format!("cannot give {} to {}", path.display(), account.name),
                    &error,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn certify(folder: &Path, name: &str, host: &str) -> Result<(), Failure> {
    let new = NewAuthority { name, days: AUTHORITY_DAYS, bits: 2048, passphrase: None };
    let authority = Authority::create(&folder.join("ca"), &new)?;
    authority.install(&folder.join("certificates"))?;
    let subject = format!("{}/CN={host}", authority.namespace());
    let holder = Holder::Host { names: vec![host.to_owned()] };
    create::pair(&authority, &subject, &holder, HOST_DAYS, &folder.join("host"))
}
