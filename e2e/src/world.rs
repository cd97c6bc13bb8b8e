//! One site and one user of it; and the matrix of both makes of both.

use crate::{
    by_hand::Speaker,
    command::Finished,
    our_site::OurSite,
    pki::{Identity, Pki},
    stock,
    stock_site::StockSite,
    user::{Kind, User},
};
use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
};

/// What differs from site to site.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Lines of the gridmap besides those for the two known users.
    pub gridmap_lines: Vec<String>,
    /// Environment of the site's programs besides the usual.
    pub site_environment: Vec<(&'static str, String)>,
    /// The site's certificate and key, when they are not the shared ones.
    pub host: Option<(PathBuf, PathBuf)>,
    /// The site's trust directory, when it is not the users'.
    pub trust: Option<PathBuf>,
    /// Lines of the `[gatekeeper]` table of a site of ours, and of the tables below it.
    pub gatekeeper_lines: Vec<String>,
    /// Lines of its `[jobmanager]` table.
    pub jobmanager_lines: Vec<String>,
}

impl Setup {
    /// The gridmap: Alice and Carol are whoever runs the tests.
    pub fn gridmap(&self, pki: &Pki) -> String {
        let account = account();
        let mut text = String::new();
        for known in [&pki.alice, &pki.carol] {
            text.push_str(&format!("\"{}\" {account}\n", known.subject));
        }
        for line in &self.gridmap_lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Whom the site trusts.
    pub fn trust<'a>(&'a self, pki: &'a Pki) -> &'a Path {
        self.trust.as_deref().unwrap_or(&pki.trust)
    }

    /// The services by name, with whether they take limited proxies.
    pub fn services(&self) -> [(&'static str, bool); 3] {
        [("jobmanager", false), ("jobmanager-fork", false), ("jobmanager-limited", true)]
    }
}

/// The account that runs the tests, and so the sites and the jobs.
pub fn account() -> String {
    let output = Command::new("id").arg("-un").output().expect("id(1) runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

enum Site {
    Stock(StockSite),
    Ours(OurSite),
}

/// A site, and a user of it with a proxy. Whatever a user can do, a world can: it is one, who has a site.
pub struct World {
    /// Whose site it is.
    pub server: Kind,
    site: Site,
    // Last, so that the folder goes after the site in it has stopped.
    user: User,
}

impl Deref for World {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

impl World {
    /// Starts the site and makes Alice's proxy. `None`, with the reason told, when stock programs are missing.
    pub fn new(client: Kind, server: Kind, setup: &Setup) -> Option<Self> {
        let missing = if server == Kind::Stock { stock::missing(stock::SITE) } else { Vec::new() };
        if !missing.is_empty() {
            stock::skip(&format!("not installed: {}", missing.join(" ")));
            return None;
        }
        let user = User::new(client)?;
        let folder = user.temporary().join("site");
        fs::create_dir(&folder).expect("writable");
        let site = match server {
            Kind::Stock => Site::Stock(StockSite::start(&folder, &user.pki, setup)),
            Kind::Ours => Site::Ours(OurSite::start(&folder, &user.pki, setup)),
        };
        user.proxy_init(&user.pki.alice, &[]);
        Some(Self { server, site, user })
    }

    /// The site's contact, `host:port`.
    pub fn contact(&self) -> &str {
        match &self.site {
            Site::Stock(site) => site.contact(),
            Site::Ours(site) => site.contact(),
        }
    }

    /// The site, when it is ours.
    #[track_caller]
    pub fn our_site(&self) -> &OurSite {
        match &self.site {
            Site::Ours(site) => site,
            Site::Stock(_) => panic!("this is a stock site"),
        }
    }

    /// The contact of one of the site's services.
    pub fn service(&self, name: &str) -> String {
        format!("{}/{name}", self.contact())
    }

    /// Somebody who speaks with the site by hand.
    pub fn speaker<'a>(&'a self, identity: &'a Identity) -> Speaker<'a> {
        Speaker { identity, pki: &self.pki, folder: self.temporary() }
    }

    /// `globusrun -s -r <contact> <rsl>`: runs a job and brings its output.
    #[track_caller]
    pub fn job(&self, rsl: &str) -> Finished {
        self.run("globusrun", ["-s", "-r", self.contact(), rsl])
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a failing test tells what the site logged")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            match &self.site {
                Site::Stock(site) => eprintln!("--- stock site\n{}", site.logs()),
                Site::Ours(site) => eprintln!("--- our site\n{}", site.logs()),
            }
        }
    }
}

/// Runs a scenario in one world. For `matrix!`.
pub fn play(client: Kind, server: Kind, scenario: fn(&World)) {
    if let Some(world) = World::new(client, server, &Setup::default()) {
        scenario(&world);
    }
}

/// Makes two tests of each scenario that needs no client: at the stock site, and at ours.
///
/// The user's commands are of the site's make, so that nothing stock is needed to test ours.
#[macro_export]
macro_rules! sites {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use $crate::{Kind::{Ours, Stock}, world::play};

            #[test]
            fn at_stock() {
                play(Stock, Stock, super::$scenario);
            }

            #[test]
            fn at_ours() {
                play(Ours, Ours, super::$scenario);
            }
        }
    )+};
}

/// Makes four tests of each scenario: both makes of client at both makes of site.
#[macro_export]
macro_rules! matrix {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use $crate::{Kind::{Ours, Stock}, world::play};

            #[test]
            fn stock_to_stock() {
                play(Stock, Stock, super::$scenario);
            }

            #[test]
            fn stock_to_ours() {
                play(Stock, Ours, super::$scenario);
            }

            #[test]
            fn ours_to_stock() {
                play(Ours, Stock, super::$scenario);
            }

            #[test]
            fn ours_to_ours() {
                play(Ours, Ours, super::$scenario);
            }
        }
    )+};
}
