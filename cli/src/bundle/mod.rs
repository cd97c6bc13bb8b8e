//! The support bundle: what somebody who is to help with a site needs to see, in one archive, and nothing that is secret.
//!
//! | File | Subject |
//! |---|---|
//! | `archive.rs` | the archive and its manifest |
//! | `mask.rs` | taking secrets out of text; everything passes there |
//! | `place.rs` | reading below a site's folders without being led out |
//! | `facts.rs` | versions, certificates, disks |
//! | `jobs.rs` | what the job managers say of their jobs |
//! | `processes.rs` | processes and sockets |

mod archive;
mod facts;
mod jobs;
mod mask;
mod place;
mod processes;

pub use archive::{Included, LeftOut, Manifest};
pub use jobs::own_jobs;

use crate::{
    failure::Failure,
    site::{self, Site, check, limits},
};
use archive::Archive;
use jiff::Timestamp;
use place::Place;
use std::{ffi::OsStr, path::Path};

/// The last so many bytes of each log and of the audit.
const TAIL: u64 = 256 * 1024;
/// Accounts that are looked at.
const MAX_ACCOUNTS: usize = 1000;
/// What is never looked at, and why.
const NEVER: [(&str, &str); 3] = [
    ("private keys, proxies and delegated credentials", "they are secrets"),
    ("requests, arguments and environments of jobs, and their files and output", "they are their owners'"),
    (
        "the job store and the audit database",
        "the job managers' own words and the audit file say what is in them",
    ),
];

/// Gathers what there is of the site and writes it to `out`, which must not exist.
pub fn gather(file: &Path, out: &Path, now: Timestamp) -> Result<Manifest, Failure> {
    let (file, text) = site::read(file)?;
    let mut archive = Archive::create(out, now)?;
    NEVER.iter().for_each(|(what, why)| archive.leave_out(*what, *why));
    archive.add_json("versions.json", "versions of this program and of the system", &facts::versions(now))?;
    archive.add("site/gridiron.toml", format!("{}", file.display()), &text)?;
    match site::parse(&text, &file) {
        Ok(site) => the_site(&mut archive, &site, &file, now)?,
        Err(problems) => {
            let lines: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            archive.add("check.txt", "what is wrong with the site file", &lines)?;
            archive.leave_out("everything that the site file names", "it has mistakes: check.txt");
        }
    }
    the_processes(&mut archive, &file)?;
    archive.finish()
}

fn the_site(archive: &mut Archive, site: &Site, file: &Path, now: Timestamp) -> Result<(), Failure> {
    let gatekeeper = &site.gatekeeper;
    let problems = check::problems(site, file, now);
    let lines: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let lines = if problems.is_empty() { "ok\n".to_owned() } else { lines };
    archive.add("check.txt", "what gridiron check says", &lines)?;
    archive.add("limits.txt", "limits for clients", &(limits::text(&gatekeeper.limits.all()) + "\n"))?;
    archive.add_json(
        "certificates.json",
        "facts of certificates and revocation lists",
        &facts::certificates(gatekeeper),
    )?;
    let folders = [
        file.parent().unwrap_or(Path::new("/")),
        &gatekeeper.state,
        parent(&gatekeeper.audit),
        &gatekeeper.register,
    ];
    archive.add_json("disk.json", "room on the disks", &folders.map(facts::disk))?;

    for (name, path) in [("grid-mapfile", &gatekeeper.gridmap), ("banned", &gatekeeper.bans_file())] {
        let (place, base) = (parent(path), base(path));
        let read = Place::open(place).and_then(|place| place.tail(base, TAIL));
        archive.add_read(&format!("site/{name}"), &path.display().to_string(), read)?;
    }
    let audit =
        Place::open(parent(&gatekeeper.audit)).and_then(|place| place.tail(base(&gatekeeper.audit), TAIL));
    archive.add_read("log/audit.jsonl", &gatekeeper.audit.display().to_string(), audit)?;
    archive.leave_out(
        "the gatekeeper's own log",
        "it goes to its standard error, or where --log says: journalctl -u gridiron, or that file",
    );
    the_accounts(archive, file, &gatekeeper.state)
}

/// What each account's job manager says and has logged.
fn the_accounts(archive: &mut Archive, file: &Path, state: &Path) -> Result<(), Failure> {
    let found = Place::open(state).and_then(|place| Ok((place.folders(MAX_ACCOUNTS)?, place)));
    let (accounts, place) = match found {
        Ok(found) => found,
        Err(error) => {
            archive.leave_out(state.display().to_string(), error.to_string());
            return Ok(());
        }
    };
    for (account, uid) in accounts {
        for log in ["jobmanager.log", "reaper/log"] {
            let name = format!("accounts/{account}/{}", log.replace('/', "-"));
            let path = Path::new(&account).join(log);
            archive.add_read(&name, &state.join(&path).display().to_string(), place.tail(&path, TAIL))?;
        }
        match jobs::of(file, state, &account, uid) {
            Ok(told) => {
                let name = format!("accounts/{account}/jobs.json");
                archive.add_json(&name, format!("the jobs of {account}, as its job manager tells"), &told)?;
            }
            Err(why) => archive.leave_out(format!("the jobs of {account}"), why),
        }
    }
    Ok(())
}

fn the_processes(archive: &mut Archive, file: &Path) -> Result<(), Failure> {
    let processes = processes::of_site(file)?;
    for hidden in processes.iter().filter(|process| process.open_files.is_none()) {
        let why = "its account is another: ask as root";
        archive.leave_out(format!("sockets of process {} ({})", hidden.pid, hidden.role), why);
    }
    archive.add_json("processes.json", "the site's processes and their sockets", &processes)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn base(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
