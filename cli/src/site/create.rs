//! A new site directory: folders with the right permissions, an empty gridmap and a commented site file.

use crate::{exit::Exit, failure::Failure};
use gatekeeper::config::Limits;
use gsi::{
    Name,
    authority::{Authority, Holder},
    key::PrivateKey,
};
use std::{
    fmt::Write as _,
    fs::{DirBuilder, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::FILE_NAME;

/// What differs from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Address to listen on.
    pub listen: Option<String>,
    /// Name in contacts.
    pub host: Option<String>,
    /// Folder for the job managers' files.
    pub state: Option<PathBuf>,
    /// The gatekeeper's account, at a site for many accounts.
    pub user: Option<String>,
    /// Whether root may run all of it as root: for throw-away sites.
    pub run_as_root: bool,
}

/// Folders of a site and their permissions. Others may look up certificates, and pass through to the folder of their own
/// account; nobody else sees logs or keys.
const FOLDERS: [(&str, u32); 5] =
    [("", 0o755), ("certificates", 0o755), ("state", 0o711), ("log", 0o700), ("register", 0o700)];

/// Makes the site in `folder`, which may exist but must not hold a site yet. Gives the site file's absolute path.
pub fn create(folder: &Path, settings: &Settings) -> Result<PathBuf, Failure> {
    let file = folder.join(FILE_NAME);
    if file.exists() {
        return Err(Failure::new(Exit::Local, format!("{} exists: this is a site already", file.display()))
            .try_this(format!("gridiron check --config {}", file.display())));
    }
    for (name, mode) in FOLDERS {
        let path = if name.is_empty() { folder.to_owned() } else { folder.join(name) };
        make_folder(&path, mode)?;
    }
    write_new(&folder.join("grid-mapfile"), 0o644, GRIDMAP.as_bytes())?;
    write_new(&file, 0o644, text(settings).as_bytes())?;
    std::fs::canonicalize(&file)
        .map_err(|error| Failure::local(format!("cannot find {}", file.display()), &error))
}

/// Makes a folder with its parents; an existing one is left as it is.
pub fn make_folder(path: &Path, mode: u32) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| DirBuilder::new().mode(mode).create(path))
        .map_err(|error| Failure::local(format!("cannot make the folder {}", path.display()), &error))
}

/// Writes a file that must not exist yet.
pub fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), Failure> {
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content));
    result.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(Exit::Local, format!("{} exists already", path.display()))
            .try_this("move it away first, or choose another folder"),
        _ => Failure::local(format!("cannot write {}", path.display()), &error),
    })
}

/// Makes a key, has the authority sign it, and writes `<stem>cert.pem` and `<stem>key.pem` (not encrypted).
pub fn pair(
    authority: &Authority,
    subject: &str,
    holder: &Holder,
    days: u32,
    stem: &Path,
) -> Result<(), Failure> {
    let key = PrivateKey::generate_rsa(2048)?;
    let name = Name::parse_one_line(subject)?;
    let certificate = authority.issue(&name, &key.public_key_info(), holder, days)?;
    let path = |end: &str| PathBuf::from(format!("{}{end}", stem.display()));
    write_new(&path("cert.pem"), 0o644, certificate.to_pem().as_bytes())?;
    write_new(&path("key.pem"), 0o600, key.to_pem().as_bytes())
}

/// What the machine calls itself.
pub fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

const GRIDMAP: &str = "\
# Who may use this site, and as whom: \"certificate subject\" local-account
# Add lines with: gridiron gridmap add '/O=Grid/CN=Alice' alice
";

/// The site file: every key with its meaning, those with default values commented out.
pub fn text(settings: &Settings) -> String {
    let state = settings.state.as_ref().map(|path| path.display().to_string());
    let mut text = String::from(
        "# A Gridiron site. Lines that begin with # show defaults; paths are relative to this file.\n\
         # After a change: gridiron check --config THIS-FILE\n\n\
         # The front door: who comes in, and as whom.\n[gatekeeper]\n",
    );
    let mut key = |name: &str, default: &str, value: Option<&str>, meaning: &str| {
        let line = match value {
            Some(value) => format!("{name} = {}", toml::Value::from(value)),
            None => format!("#{name} = {}", toml::Value::from(default)),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {meaning}\n{line}");
    };
    key("listen", "[::]:2119", settings.listen.as_deref(), "Address and port; port 0 takes any free one.");
    key("host", "grid.example.org", settings.host.as_deref(), "Name in contacts, if not the machine's own.");
    key("certificate", "hostcert.pem", None, "The host's certificate.");
    key("key", "hostkey.pem", None, "Its private key, readable by the gatekeeper's account only.");
    key("trust", "certificates", None, "Folder of trusted CAs: HASH.0, HASH.signing_policy, HASH.r0.");
    key("gridmap", "grid-mapfile", None, "Certificate subjects and their local accounts.");
    key(
        "banned",
        "banned",
        None,
        "Who may not come in, whatever the gridmap says: lines such as: subject \"/O=Grid/CN=Eve\" until 2027-01-31 why",
    );
    key("gridmapdir", "gridmapdir", None, "Leases of pool accounts, for gridmap entries such as .grid");
    key("audit", "log/audit.jsonl", None, "One JSON line for every decision; ask it with: gridiron audit");
    key(
        "audit_database",
        "postgres:///gridiron?host=/run/postgresql",
        None,
        "A database that gets every audit line too: a sqlite: or postgres: URL without a password.",
    );
    key("metrics", "127.0.0.1:9119", None, "Where Prometheus finds the page /metrics; none without this.");
    key("register", "register", None, "The gatekeeper's own folder: which accounts have unfinished jobs.");
    key("state", "state", state.as_deref(), "Folder of the job managers' files.");
    key(
        "grid_services",
        "/etc/grid-services",
        None,
        "Classic service files, read in addition to [service.*].",
    );
    text += "# The audit file is put aside when it has so many megabytes (0: never), and so many files are kept.\n\
        #audit_megabytes = 64\n#audit_files = 16\n";
    text += "# Run everything as root when root starts it, without [launcher]? For throw-away sites only.\n";
    text += if settings.run_as_root { "run_as_root = true\n" } else { "#run_as_root = false\n" };
    text += "# A CA's revocation list that has run out: \"refuse\" everybody of that CA, or \"warn\" and go by the old one.\n\
        #crl_out_of_date = \"refuse\"\n\
        # Fewest bits of the RSA keys of clients, their proxies and their CAs; 2048 or more.\n#min_rsa_bits = 2048\n\
        # While one of these files exists nobody is let in.\n\
        #nologin = [\"/etc/nologin\", \"/etc/globus-nologin\"]\n\n\
        # Bounds on what clients can use up.\n#[gatekeeper.limits]\n";
    for limit in Limits::default().all() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {}\n#{} = {}", limit.meaning, limit.name, limit.default);
    }
    text += "\n# The job managers, one process per local account.\n[jobmanager]\n\
        # Seconds without jobs after which a job manager ends.\n#idle_exit_seconds = 60\n\
        # Seconds for which the receiver of a job's output may take nothing when the job has ended; then the job fails.\n\
        #output_stall_seconds = 60\n\
        # What $(GLOBUS_LOCATION) stands for in requests.\n#globus_location = \"/usr\"\n\
        # Files of an account's jobs that are moved at once, and of one job among them.\n\
        #transfers = 64\n#transfers_per_job = 4\n\
        # Seconds for which a transfer is tried again that fails for a reason that may pass: a server that is away or\n\
        # overloaded, a connection that breaks, a full disk. What a server refuses is never asked twice.\n\
        #transfer_patience_seconds = 60\n\n\
        # Services: clients name one after the host, as in grid.example.org/jobmanager-fork. Without any table there\n\
        # are jobmanager and jobmanager-fork, which run jobs on this machine.\n\
        #[service.jobmanager-fork]\n#scheduler = \"fork\"\n\
        # Let limited proxies submit jobs?\n#accept_limited = false\n\n";
    text + &launcher_text(settings.user.as_deref())
}

/// The `[launcher]` table.
fn launcher_text(user: Option<&str>) -> String {
    let (mark, name) = if user.is_some() { ("", "user") } else { ("#", "#user") };
    let user = toml::Value::from(user.unwrap_or("gridiron"));
    format!(
        "# A site for many accounts, started by root: a small program that stays root starts job managers, each as its\n\
         # account, and the gatekeeper as one without any privilege. Without this table everything runs as one account.\n\
         {mark}[launcher]\n\
         # The gatekeeper's account; make it with: useradd --system --user-group --no-create-home gridiron\n\
         {name} = {user}\n\
         # Where the gatekeeper asks for job managers.\n#socket = \"/run/gridiron/launcher.sock\"\n\
         # The program, if it is not beside gridiron.\n#program = \"/usr/libexec/gridiron-launcher\"\n\
         # Accounts with a smaller uid run no jobs, whatever the gridmap says; nor does root, ever.\n#minimum_uid = 1000\n\
         # A file of root's with the only accounts that do, one in a line.\n#accounts = \"accounts\"\n\
         # File creation mask of jobs.\n#umask = \"077\"\n\
         # Take the power from set-user-id programs in jobs? Some schedulers' commands need it.\n\
         #no_new_privileges = false\n\
         # Resource limits of jobs; also cpu_seconds, file_bytes, memory_bytes, open_files, processes, stack_bytes.\n\
         #[launcher.limits]\n#core_bytes = 0\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_new_site_file_is_a_site_and_says_what_was_asked() {
        let settings = Settings {
            listen: Some("127.0.0.1:0".to_owned()),
            host: Some("localhost".to_owned()),
            state: Some("/var/\"odd\"".into()),
            user: Some("gatekeeper".to_owned()),
            run_as_root: true,
        };
        let site = site::parse(&text(&settings), Path::new("/site/gridiron.toml")).unwrap();
        assert_eq!(site.gatekeeper.listen, "127.0.0.1:0");
        assert_eq!(site.gatekeeper.host.as_deref(), Some("localhost"));
        assert_eq!(site.jobmanager.state, Path::new("/var/\"odd\""));
        assert_eq!(site.launcher.unwrap().user.as_str(), "gatekeeper");
        assert!(site.gatekeeper.run_as_root);
    }

    /// What the comments offer is understood when the # is taken away, and is the default.
    #[test]
    fn the_commented_keys_are_real() {
        let plain = text(&Settings::default());
        let uncommented = plain.replace("\n#[", "\n[");
        let is_key = |line: &str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
        let lines = uncommented.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if is_key(rest) => rest,
            _ => line,
        });
        let uncommented = lines.collect::<Vec<_>>().join("\n");
        let site = site::parse(&uncommented, Path::new("/site/gridiron.toml")).unwrap();
        let default = site::parse("", Path::new("/site/gridiron.toml")).unwrap();
        assert_eq!(site.gatekeeper.listen, default.gatekeeper.listen);
        assert_eq!(site.gatekeeper.audit, default.gatekeeper.audit);
        assert_eq!(site.jobmanager.idle_exit_seconds, default.jobmanager.idle_exit_seconds);
        assert_eq!(site.jobmanager.output_stall_seconds, default.jobmanager.output_stall_seconds);
        assert_eq!(site.jobmanager.globus_location, default.jobmanager.globus_location);
        assert_eq!(site.jobmanager.limits(), default.jobmanager.limits());
        assert_eq!(site.gatekeeper.limits, default.gatekeeper.limits);
        assert_eq!(site.gatekeeper.services.len(), 1);
        assert!(!site.gatekeeper.run_as_root && default.launcher.is_none());
        let (launcher, default) =
            (site.launcher.unwrap(), site::parse("[launcher]", Path::new("/site/f")).unwrap());
        let default = default.launcher.unwrap();
        assert_eq!((&launcher.user, &launcher.socket), (&default.user, &default.socket));
        assert_eq!((launcher.minimum_uid, launcher.umask), (default.minimum_uid, default.umask));
        assert_eq!(
            (launcher.no_new_privileges, launcher.limits),
            (default.no_new_privileges, default.limits)
        );
    }

    #[test]
    fn a_site_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("deep/site");
        create(&site, &Settings::default()).unwrap();
        assert!(create(&site, &Settings::default()).is_err());
        assert_eq!(std::fs::metadata(site.join("log")).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
