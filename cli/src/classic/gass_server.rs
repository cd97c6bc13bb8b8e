//! `globus-gass-server` and `globus-gass-server-shutdown` (gass.md §5).

use super::{
    Original, Program, block_on,
    options::{Opt, OptionError, Order, Parsed, flag, parse, valued},
    pages,
    terminal::{err, out, prompt},
};
use crate::session::Session;
use gass::{
    Access, Client, Server, Url,
    server::{Files, Output, Scope, Security, Settings, Tildes},
};
use gsi::{Credential, Expect, TrustDirectory, credential::Purpose};
use std::{ffi::OsString, io, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// `globus-gass-server`.
pub(super) const SERVER: Program = Program {
    name: "globus-gass-server",
    summary: "serve the files of this account, its stdout and its stderr by URL",
    synopsis: "[-help][-{s,l,t,u,r,w,c,o,e}][-p port]",
    options: OPTIONS,
    notes: "Without any of -l -t -u -r -w -c -o -e it is -l -t -u -r -w -o -e. Over https only
you are served. To serve some directories only, or others: gridiron gass serve.",
    example: "globus-gass-server -r -t",
    original: Original::Compiled,
    run: serve,
};

/// `globus-gass-server-shutdown`.
pub(super) const SHUTDOWN: Program = Program {
    name: "globus-gass-server-shutdown",
    summary: "end a globus-gass-server that was started with -c",
    synopsis: "[-help] [-usage] [-version] <GASS-URL>",
    options: SHUTDOWN_OPTIONS,
    notes: "The server refuses the request whether it ends or not, so the exit code is 1 in any case.",
    example: "globus-gass-server-shutdown https://host.example.org:40001",
    original: Original::Script,
    run: shutdown,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help"], "show this page"),
    flag(&["-usage"], "show the syntax in one line"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    flag(&["-silent", "-s"], "do not print the URL"),
    flag(&["-linebuffer", "-l"], "keep the lines of several writers apart (they always are)"),
    flag(&["-tilde-expand", "-t"], "URL/~/x is x in your home directory"),
    flag(&["-user-expand", "-u"], "URL/~name/x is x in the home directory of name"),
    flag(&["-read", "-r"], "allow reading files"),
    flag(&["-write", "-w"], "allow writing files"),
    flag(&["-client-shutdown", "-c"], "let a client end the server"),
    flag(&["-o"], "URL/dev/stdout is written to stdout"),
    flag(&["-e"], "URL/dev/stderr is written to stderr"),
    valued(&["-port", "-p"], "port", "listen on this port"),
    flag(&["-insecure", "-i"], "plain http, open to everybody"),
    valued(&["-n"], "options", "switch off these of the options, given as letters out of sclturwoe"),
];

const SHUTDOWN_OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage", "-h"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
];

/// The switches by letter, in the order the original names them.
const LETTERS: &str = "sclturwoe";

/// How long running transfers may take once a client has ended the server.
const FAREWELL: Duration = Duration::from_secs(30);

/// What the original exits with when the library does not start (-1).
const FAILED: u8 = 255;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    silent: bool,
    secure: bool,
    port: Option<u16>,
    access: Access,
    tildes: Tildes,
    shutdown: bool,
}

/// An argument that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Misfit {
    position: usize,
    text: String,
    reason: &'static str,
}

impl Plan {
    fn of(parsed: &Parsed) -> Result<Self, Misfit> {
        let misfit = |option, reason| Misfit {
            position: parsed.position(option),
            text: parsed.text(option).unwrap_or_default(),
            reason,
        };
        let off = parsed.text("-n").unwrap_or_default();
        if parsed.has("-n") && !off.chars().all(|letter| LETTERS.contains(letter)) {
            return Err(misfit("-n", "other characters than \"sclturwoe\""));
        }
        let port = match parsed.text("-port") {
            None => None,
            Some(text) => {
                let port = text.parse::<u16>().ok().filter(|&port| port > 0);
                Some(port.ok_or_else(|| misfit("-port", "argument is not a positive integer"))?)
            }
        };
        const FUNCTIONS: [(&str, char); 8] = [
            ("-linebuffer", 'l'),
            ("-tilde-expand", 't'),
            ("-user-expand", 'u'),
            ("-read", 'r'),
            ("-write", 'w'),
            ("-client-shutdown", 'c'),
            ("-o", 'o'),
            ("-e", 'e'),
        ];
        let unspecific = !FUNCTIONS.iter().any(|(name, _)| parsed.has(name));
        let on = |wanted: char| {
            let given = FUNCTIONS.iter().any(|(name, letter)| *letter == wanted && parsed.has(name));
            !off.contains(wanted) && (given || (unspecific && wanted != 'c'))
        };
        Ok(Self {
            silent: parsed.has("-silent") && !off.contains('s'),
            secure: !parsed.has("-insecure"),
            port,
            access: Access { read: on('r'), write: on('w'), stdout: on('o'), stderr: on('e') },
            tildes: Tildes { own: on('t'), others: on('u') },
            shutdown: on('c'),
        })
    }
}

fn serve(arguments: &[OsString]) -> ExitCode {
    let plan = parse(OPTIONS, Order::Mixed, arguments).map_err(misfit);
    let plan = match plan {
        Ok(parsed) if parsed.has("-usage") && !parsed.has("-help") => {
            err(format_args!("{} {}", SERVER.name, SERVER.synopsis));
            return ExitCode::SUCCESS;
        }
        Ok(parsed) => match SERVER.page_asked_for(&parsed) {
            Some(code) => return code,
            None => Plan::of(&parsed),
        },
        Err(misfit) => Err(misfit),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(Misfit { position, text, reason }) => {
            err(format_args!(
                "\nError, argument #{position} ({text}) : {reason}\n\nSyntax : {} {}\n\nUse -help to display full usage.",
                SERVER.name, SERVER.synopsis
            ));
            return ExitCode::FAILURE;
        }
    };
    let security = if plan.secure { credentials() } else { Ok(Security::Nobody) };
    let result = security.and_then(|security| {
        crate::commands::gass::many_files();
        let work = run(plan, security);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(work)
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            out("Error: Failed to initialize gass server library");
            err(reason);
            ExitCode::from(FAILED)
        }
    }
}

fn misfit(error: OptionError) -> Misfit {
    match error {
        OptionError::Unknown { position, text } => Misfit { position, text, reason: "unknown option" },
        OptionError::MissingValue { position, text } => {
            Misfit { position, text, reason: "not enough arguments" }
        }
    }
}

/// The user's credential; root may have none and uses the host's.
fn credentials() -> Result<Security, String> {
    let warned = |reason: String| {
        err("Warning:  You do not have valid credentials at this time");
        reason
    };
    match Session::open() {
        Ok(session) => Ok(Security::Myself(session.credential, session.trust)),
        Err(failure) if rustix::process::geteuid().is_root() => {
            let host = Credential::find(Purpose::Host).ok();
            let host = host.and_then(|host| Some((host, TrustDirectory::open_default().ok()?)));
            let (host, trust) = host.ok_or_else(|| warned(failure.to_string()))?;
            Ok(Security::Myself(host, trust))
        }
        Err(failure) => Err(warned(failure.to_string())),
    }
}

/// Until a client or a signal ends it; the exit code.
async fn run(plan: Plan, security: Security) -> Result<u8, String> {
    let broken = |error: io::Error| error.to_string();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(broken)?, signal(SignalKind::interrupt()).map_err(broken)?);
    let settings = Settings {
        security,
        access: plan.access,
        stdout: Output::stdout(),
        stderr: Output::stderr(),
        port: plan.port,
    };
    let scope = Scope { files: Files::everything(plan.tildes), shutdown: plan.shutdown };
    let server = Server::start_within(settings, scope).map_err(|error| error.to_string())?;
    if !plan.silent {
        prompt(format_args!("{}\n", server.url()));
    }
    // As a shell sees the original, which the signal kills.
    tokio::select! {
        () = server.asked_to_stop() => {}
        _ = terminate.recv() => return Ok(128 + 15),
        _ = interrupt.recv() => return Ok(128 + 2),
    }
    server.drain(FAREWELL).await;
    Ok(0)
}

fn shutdown(arguments: &[OsString]) -> ExitCode {
    let Ok(parsed) = parse(SHUTDOWN_OPTIONS, Order::Mixed, arguments) else {
        // An option it does not know is a URL to the original, and leads nowhere.
        return if arguments.len() == 1 { ExitCode::FAILURE } else { no_url() };
    };
    if parsed.has("-help") {
        SHUTDOWN.print_page(&pages::help(&SHUTDOWN));
        return ExitCode::SUCCESS;
    }
    if let Some(code) = SHUTDOWN.page_asked_for(&parsed) {
        return code;
    }
    let [url] = parsed.operands.as_slice() else {
        return no_url();
    };
    let url = format!("{}/dev/globus_gass_client_shutdown", url.to_string_lossy());
    // What the original copies there is of no importance; that it says nothing, and always fails, is.
    let _ = block_on(async move {
        let url: Url = url.parse().map_err(drop)?;
        let client = match &url {
            Url::Http { secure: true, .. } => {
                let session = Session::open().map_err(drop)?;
                Client::new(&session.credential, &session.trust).map_err(drop)?
            }
            _ => Client::insecure(),
        };
        client.put(&url, &Expect::Myself, &mut io::Cursor::new(b"stop\n")).await.map(drop).map_err(drop)
    });
    ExitCode::FAILURE
}

fn no_url() -> ExitCode {
    SHUTDOWN.usage_error("option  : GASS URL must be provided")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Result<Plan, Misfit> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Plan::of(&parse(OPTIONS, Order::Mixed, &words).map_err(misfit)?)
    }

    /// The letters of what is on.
    fn letters(words: &[&str]) -> String {
        let plan = plan(words).unwrap();
        let all = [
            ('t', plan.tildes.own),
            ('u', plan.tildes.others),
            ('r', plan.access.read),
            ('w', plan.access.write),
            ('o', plan.access.stdout),
            ('e', plan.access.stderr),
            ('c', plan.shutdown),
        ];
        all.iter().filter(|(_, on)| *on).map(|(letter, _)| *letter).collect()
    }

    #[test]
    fn one_functional_option_switches_the_others_off() {
        for (words, expected) in [
            (&[][..], "turwoe"),
            (&["-s", "-i", "-p", "4000"], "turwoe"),
            (&["-r"], "r"),
            (&["-read", "-tilde-expand"], "tr"),
            (&["-l"], ""),
            (&["-c", "-o"], "oc"),
            (&["-r", "-w", "-n", "w"], "r"),
            (&["-n", "wr"], "tuoe"),
            (&["-n", "sclturwoe"], ""),
        ] {
            assert_eq!(letters(words), expected, "{words:?}");
        }
        assert!(plan(&["-silent"]).unwrap().silent && !plan(&["-s", "-n", "s"]).unwrap().silent);
        assert_eq!(plan(&["-p", "4000"]).unwrap().port, Some(4000));
        assert!(!plan(&["-insecure"]).unwrap().secure);
    }

    #[test]
    fn misfits_are_placed() {
        for (words, position, reason) in [
            (&["-r", "-bogus"][..], 2, "unknown option"),
            (&["-p"], 1, "not enough arguments"),
            (&["-p", "0"], 2, "argument is not a positive integer"),
            (&["-p", "abc"], 2, "argument is not a positive integer"),
            (&["-n", "x"], 2, "other characters than \"sclturwoe\""),
        ] {
            let misfit = plan(words).unwrap_err();
            assert_eq!((misfit.position, misfit.reason), (position, reason), "{words:?}");
        }
    }
}
