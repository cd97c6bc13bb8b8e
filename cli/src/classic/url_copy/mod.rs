//! `globus-url-copy`: copies files by URL: file:, https: and http:. (The original also speaks FTP and GridFTP.)
//!
//! Lists, order of what is printed, messages and exit status are those of the original; where its messages hide the cause,
//! ours adds it on a line of its own (docs/observed.md).

mod arguments;
mod expand;
mod messages;

use super::{
    Original, Program, block_on,
    options::{Opt, flag, valued},
    pages,
    terminal::{err, out, prompt},
};
use crate::{
    copying::{list, place},
    session::Session,
};
use arguments::{Action, Copy, Mistake};
use gass::{
    Client, GassError,
    copy::{
        Transfer, Watch,
        many::{Many, Outcome},
        tree,
    },
};
use messages::Shown;
use std::{
    ffi::OsString,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-url-copy",
    summary: "copy files by URL: file:, https: and http:",
    synopsis: SYNOPSIS,
    options: OPTIONS,
    notes: "A source that ends with a slash is a directory: all files in it are copied. Of https:\nservers only Gridiron's can list one.\nftp: and gsiftp: URLs are refused.",
    example: "globus-url-copy https://grid.example.org:40001/home/me/a file:///tmp/a",
    original: Original::Compiled,
    run,
};

const SYNOPSIS: &str = "[-help] [-vb] [-dbg] [-r] [-rst] [-s <subject>]
                        [-p <parallelism>] [-tcp-bs <size>] [-bs <size>]
                        -f <filename> | <sourceURL> <destURL>";

/// What this option does belongs to FTP; it is taken, as the original takes it, and changes nothing.
const FTP: &str = "of FTP; changes nothing here";

const OPTIONS: &[Opt] = &[
    flag(&["-help"], "show this page"),
    flag(&["-usage"], "show the syntax"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    flag(&["-continue-on-error", "-c"], "go on after errors"),
    flag(&["-ascii", "-a"], "text: seven bits, lines end with LF"),
    flag(&["-binary", "-b"], "bytes as they are (the default)"),
    valued(&["-f"], "filename", "read pairs of source and destination from this file"),
    flag(&["-create-dest", "-cd"], "make directories that the destination needs"),
    flag(&["-recurse", "-r"], "copy directories with all that is in them"),
    flag(&["-fast"], FTP),
    valued(&["-t"], "seconds", "end after this time"),
    flag(&["-quiet", "-q"], "print nothing but errors"),
    flag(&["-verbose", "-v"], "show what is copied"),
    flag(&["-verbose-perf", "-vb"], "show what is copied, and how fast"),
    flag(&["-debugftp", "-dbg"], "log to stderr what happens on the way"),
    flag(&["-restart", "-rst"], "try again what failed and may pass"),
    valued(&["-rst-retries"], "retries", "how often; 0 for ever, 5 by default"),
    valued(&["-rst-interval"], "seconds", "how long to wait before; 0, the default: longer and longer"),
    valued(&["-rst-timeout"], "seconds", "taken; what is tried again stops after -rst-retries"),
    valued(&["-stall-timeout", "-st"], "seconds", "taken; silence of 300 seconds ends a transfer"),
    valued(
        &["-dumpfile", "-df"],
        "filename",
        "write what was not copied to this file; read it if it is there",
    ),
    valued(&["-dump-only", "-do"], "filename", "copy nothing; write to this file what would be copied"),
    flag(&["-relative-paths", "-rp"], FTP),
    valued(&["-subject", "-s"], "subject", "whom both servers must be"),
    valued(&["-source-subject", "-ss"], "subject", "whom the server of the source must be"),
    valued(&["-dest-subject", "-ds"], "subject", "whom the server of the destination must be"),
    valued(&["-tcp-buffer-size", "-tcp-bs"], "size", FTP),
    valued(&["-block-size", "-bs"], "size", "taken; blocks have the size that is fastest"),
    valued(&["-parallel", "-p"], "parallelism", FTP),
    flag(&["-no-third-party-transfers", "-notpt"], FTP),
    flag(&["-no-data-channel-authentication", "-nodcau"], FTP),
    flag(&["-data-channel-safe", "-dcsafe"], FTP),
    flag(&["-data-channel-private", "-dcpriv"], FTP),
    valued(
        &["-partial-offset", "-off"],
        "offset",
        "copy from this byte on, to the same place in a local file",
    ),
    valued(&["-partial-length", "-len"], "length", "copy so many bytes at most"),
    valued(&["-list"], "url", "list this directory"),
    flag(&["-stripe"], FTP),
    valued(&["-striped-block-size", "-sbs"], "size", FTP),
    flag(&["-ipv6"], "taken; IPv6 is always used where it is there"),
    flag(&["-udt"], FTP),
    flag(&["-nogridftp2", "-no-g2"], FTP),
    flag(&["-delayed-pasv", "-dp"], FTP),
    valued(&["-module-name", "-mn"], "name", FTP),
    valued(&["-module-parameters", "-mp"], "parameters", FTP),
    valued(&["-src-module-name", "-smn"], "name", FTP),
    valued(&["-src-module-parameters", "-smp"], "parameters", FTP),
    valued(&["-dst-module-name", "-dmn"], "name", FTP),
    valued(&["-dst-module-parameters", "-dmp"], "parameters", FTP),
    valued(&["-authz-assert", "-aa"], "file", "refused: there are no assertions without FTP"),
    valued(&["-src-authz-assert", "-saa"], "file", "refused, likewise"),
    valued(&["-dst-authz-assert", "-daa"], "file", "refused, likewise"),
    flag(&["-cache-authz-assert", "-cache-aa"], FTP),
    flag(&["-cache-src-authz-assert", "-cache-saa"], FTP),
    flag(&["-cache-dst-authz-assert", "-cache-daa"], FTP),
    flag(&["-pipeline", "-pp"], FTP),
    valued(&["-concurrency", "-cc"], "number", "copy so many files at once"),
    flag(&["-nl-bottleneck", "-nlb"], FTP),
    valued(&["-src-pipe", "-SP"], "command line", FTP),
    valued(&["-dst-pipe", "-DP"], "command line", FTP),
    valued(&["-pipe"], "command line", FTP),
    valued(&["-data-channel-stack", "-dcstack"], "stack", FTP),
    valued(&["-file-system-stack", "-fsstack"], "stack", FTP),
    valued(&["-source-data-channel-stack", "-src-dcstack"], "stack", FTP),
    valued(&["-source-file-system-stack", "-src-fsstack"], "stack", FTP),
    valued(&["-dest-data-channel-stack", "-dst-dcstack"], "stack", FTP),
    valued(&["-dest-file-system-stack", "-dst-fsstack"], "stack", FTP),
    valued(&["-cred"], "file", "use this proxy"),
    valued(&["-src-cred", "-sc"], "file", "the same"),
    valued(&["-dst-cred", "-dc"], "file", "the same"),
    valued(&["-data-cred"], "file", FTP),
    valued(&["-alias-file", "-af"], "filename", FTP),
    flag(&["-sync"], "refused: it needs FTP"),
    valued(&["-sync-level"], "number", FTP),
    valued(&["-checksum-alg"], "algorithm", "taken; it is SHA-256"),
    flag(&["-verify-checksum"], "compare checksums, with a server of Gridiron"),
];

fn run(arguments: &[OsString]) -> ExitCode {
    let action = match arguments::parse(arguments) {
        Ok(action) => action,
        Err(mistake) => return refuse(&mistake),
    };
    match action {
        // The original ends with 1 after all four.
        Action::Help => PROGRAM.print_page(&pages::help(&PROGRAM)),
        Action::Usage => PROGRAM.print_page(&format!("{} {SYNOPSIS}", PROGRAM.name)),
        Action::Version => PROGRAM.print_version(),
        Action::Versions => PROGRAM.print_versions(),
        Action::NothingToDo => {
            prompt("Dumpfile exists and is empty.  Nothing to do.");
            return ExitCode::from(2);
        }
        Action::Copy(copy) => {
            if copy.debug {
                // Without a log the copy is as good.
                let _ = crate::logging::start(Some("gass=debug,gsi=debug"), "debug");
            }
            return match block_on(until_interrupted(&copy)) {
                Ok(code) => code,
                Err(error) => {
                    err(format_args!("globus-url-copy: cannot start: {error}"));
                    ExitCode::FAILURE
                }
            };
        }
    }
    ExitCode::FAILURE
}

fn refuse(mistake: &Mistake) -> ExitCode {
    match mistake {
        Mistake::Argument { position, text, reason } => err(format_args!(
            "\nError, argument #{position} ({text}) : {reason}\n\nSyntax : {} {SYNOPSIS}\n\n\nUse -help to display full usage.",
            PROGRAM.name
        )),
        Mistake::Usage(message) => err(format_args!(
            "\nERROR: {message}\n\nSyntax: {} {SYNOPSIS}\n\n\nUse -help to display full usage",
            PROGRAM.name
        )),
        Mistake::BadLine(line) => err(format_args!("Problem parsing url list: line {line}")),
        // The original says nothing.
        Mistake::NoList(reason) => err(reason),
    }
    ExitCode::FAILURE
}

/// Stops after `-t`, and on an interrupt; what is begun is dropped, and its temporary files with it.
async fn until_interrupted(copy: &Copy) -> ExitCode {
    let time = async {
        match copy.time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        code = copy_all(copy) => code,
        _ = tokio::signal::ctrl_c() => {
            err("\nCancelling copy...");
            ExitCode::FAILURE
        }
        () = time => ExitCode::SUCCESS,
    }
}

async fn copy_all(copy: &Copy) -> ExitCode {
    let client = match client(copy) {
        Ok(client) => client,
        Err(message) => {
            err(message);
            return ExitCode::FAILURE;
        }
    };
    if let Some(url) = &copy.list {
        return show_list(&client, copy, url).await;
    }
    let mut run =
        Run { client: client.as_ref(), copy, failed: 0, found: 0, left: Vec::new(), dumped: String::new() };
    let ended = run.pairs().await;
    run.write_dump();
    if let Err(text) = ended {
        err(format_args!("\nerror: {text}"));
        return ExitCode::FAILURE;
    }
    match run.failed {
        0 => ExitCode::SUCCESS,
        1 => {
            err("\nerror: There was an error with 1 transfer.\n");
            ExitCode::FAILURE
        }
        many => {
            err(format_args!("\nerror: There were errors with {many} transfers.\n"));
            ExitCode::FAILURE
        }
    }
}

/// With the credential of `-cred`, or of the user; without any there are still local files and http.
fn client(copy: &Copy) -> Result<Result<Client, String>, String> {
    if let Some(path) = &copy.credential {
        let failed = |error: &dyn std::fmt::Display| format!("Error loading source credential: {error}\n\n");
        let credential = gsi::Credential::read(path).map_err(|error| failed(&error))?;
        let trust = gsi::TrustDirectory::open_default().map_err(|error| failed(&error))?;
        return Client::new(&credential, &trust).map(Ok).map_err(|error| failed(&error));
    }
    // Why there is none is told when one is needed.
    Ok(Session::open().map_err(|failure| failure.to_string()).and_then(|session| {
        Client::new(&session.credential, &session.trust).map_err(|error| error.to_string())
    }))
}

/// All pairs, in turn.
struct Run<'a> {
    /// Or why there is none.
    client: Result<&'a Client, &'a String>,
    copy: &'a Copy,
    failed: usize,
    /// Files that matched.
    found: usize,
    /// What was not copied, for the dump file.
    left: Vec<(String, String)>,
    dumped: String,
}

impl Run<'_> {
    /// The text of the error that ended it, if one did.
    async fn pairs(&mut self) -> Result<(), String> {
        for (index, pair) in self.copy.pairs.iter().enumerate() {
            if let Err(text) = self.pair(pair).await {
                let after = self.copy.pairs.iter().skip(index + 1);
                self.left.extend(after.map(|pair| (pair.from.clone(), pair.to.clone())));
                return Err(text);
            }
        }
        if self.found == 0 && self.failed == 0 {
            Err("No files matched the source url.\n".to_owned())
        } else {
            Ok(())
        }
    }

    async fn pair(&mut self, pair: &list::Pair) -> Result<(), String> {
        let insecure = Client::insecure();
        let client = self.client.unwrap_or(&insecure);
        let items = match expand::expand(client, self.copy, pair).await {
            Ok(items) => items,
            Err(text) if self.copy.keep_going => {
                self.left.push((pair.from.clone(), pair.to.clone()));
                self.failed += 1;
                err(format_args!("\ncontinuing on error: {text}\n"));
                return Ok(());
            }
            Err(text) => return Err(text),
        };
        self.found += items.len();
        if self.copy.dump_only.is_some() {
            items.iter().for_each(|item| self.dumped.push_str(&item.dump_line()));
            return Ok(());
        }
        if self.copy.concurrency > 1 {
            return self.at_once(client, &items).await;
        }
        for (index, item) in items.iter().enumerate() {
            let watch = Arc::new(Speed::new(self.copy.speed));
            self.announce(item);
            let result = match &item.transfer {
                Some(transfer) => client.copy(transfer, &self.copy.options, &*watch).await.map(drop),
                None => item.make_directory(client).await,
            };
            watch.end();
            if let Err(error) = result {
                self.failure(item, &error).inspect_err(|_| {
                    let after = items.iter().skip(index + 1);
                    self.left.extend(after.map(|item| (item.from.clone(), item.to.clone())));
                })?;
            }
        }
        Ok(())
    }

    /// `-cc`: directories first, then files as they come.
    async fn at_once(&mut self, client: &Client, items: &[expand::Item]) -> Result<(), String> {
        for item in items {
            self.announce(item);
            if item.transfer.is_none()
                && let Err(error) = item.make_directory(client).await
            {
                self.failure(item, &error)?;
            }
        }
        let transfers: Vec<Transfer> = items.iter().filter_map(|item| item.transfer.clone()).collect();
        let options = self.copy.options;
        let many = Many { parallel: self.copy.concurrency, keep_going: self.copy.keep_going };
        let mut ended = Ok(());
        let each = |Outcome { transfer, result }| {
            let item = items.iter().find(|item| item.transfer.as_ref() == Some(&transfer));
            if let (Err(error), Some(item)) = (result, item) {
                ended = self.failure(item, &error);
            }
        };
        client.copy_all(transfers, many, options, Arc::new(()), each).await;
        ended
    }

    fn announce(&self, item: &expand::Item) {
        if self.copy.verbose || self.copy.speed {
            if let Some(text) = item.announcement() {
                out(text);
            }
            if self.copy.speed && self.copy.concurrency > 1 {
                out("");
            }
        }
    }

    /// A transfer has failed: with `-c` it is told, else it is the end.
    fn failure(&mut self, item: &expand::Item, error: &GassError) -> Result<(), String> {
        self.left.push((item.from.clone(), item.to.clone()));
        let reason = self.client.err();
        let text = Shown { item, error, reason: reason.map(String::as_str) }.to_string();
        if !self.copy.keep_going {
            return Err(text);
        }
        self.failed += 1;
        err(format_args!("\ncontinuing on error: {text}\n"));
        Ok(())
    }

    fn write_dump(&self) {
        let lines = self.left.iter().map(|(from, to)| format!("\"{from}\" \"{to}\"\n"));
        for (path, text) in
            [(&self.copy.dump, lines.collect::<String>()), (&self.copy.dump_only, self.dumped.clone())]
        {
            if let Some(path) = path
                && let Err(error) = std::fs::write(path, text)
            {
                err(format_args!("cannot write {}: {error}", path.display()));
            }
        }
    }
}

/// `-list`.
async fn show_list(client: &Result<Client, String>, copy: &Copy, url: &str) -> ExitCode {
    out(url);
    let listed = match (client, place::parse(url, &copy.source)) {
        (_, Err(error)) => Err(error.to_string()),
        (Err(reason), _) if url.starts_with("https:") => Err(reason.clone()),
        (client, Ok(place)) => {
            let insecure = Client::insecure();
            let client = client.as_ref().unwrap_or(&insecure);
            tree::list(client, &place, false).await.map_err(|error| match error {
                GassError::Unable { .. } => messages::CANNOT_LIST.to_owned(),
                error => error.to_string(),
            })
        }
    };
    match listed {
        Ok(found) => {
            for entry in found {
                let mark = if entry.directory { "/" } else { " " };
                out(format_args!("    {}{mark}", entry.path.display()));
            }
            out("");
            ExitCode::SUCCESS
        }
        Err(text) => {
            out("");
            err(format_args!("\nerror: {text}"));
            ExitCode::FAILURE
        }
    }
}

/// `-vb`: how fast it is, now and then.
struct Speed {
    on: bool,
    start: Instant,
    bytes: AtomicU64,
    /// Tenths of a second from the start to the last line, and the bytes at that time.
    told: AtomicU64,
    told_bytes: AtomicU64,
}

/// How often it is told.
const EVERY: Duration = Duration::from_secs(5);

impl Speed {
    fn new(on: bool) -> Self {
        let zero = AtomicU64::default;
        Self { on, start: Instant::now(), bytes: zero(), told: zero(), told_bytes: zero() }
    }

    fn end(&self) {
        if self.on {
            if self.start.elapsed() >= Duration::from_secs(1) {
                self.tell();
            }
            out("");
        }
    }

    fn tell(&self) {
        let (bytes, took) = (self.bytes.load(Ordering::Relaxed), self.start.elapsed());
        let before = Duration::from_millis(100 * self.told.load(Ordering::Relaxed));
        let fresh = bytes.saturating_sub(self.told_bytes.load(Ordering::Relaxed));
        let rate =
            |bytes: u64, took: Duration| bytes as f64 / (1024.0 * 1024.0) / took.as_secs_f64().max(0.001);
        let (average, instant) = (rate(bytes, took), rate(fresh, took.saturating_sub(before)));
        if before.is_zero() {
            out("");
        }
        prompt(format_args!(" {bytes:>13} bytes {average:>12.2} MB/sec avg {instant:>12.2} MB/sec inst\r"));
        self.told.store(u64::try_from(took.as_millis() / 100).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.told_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Watch for Speed {
    fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let told = Duration::from_millis(100 * self.told.load(Ordering::Relaxed));
        if self.on && self.start.elapsed().saturating_sub(told) >= EVERY {
            self.tell();
        }
    }

    fn lost(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The absolute form of a local path, for URLs of it.
fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
