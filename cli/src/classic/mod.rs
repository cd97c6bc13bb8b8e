//! The classic Globus programs: same names, options, output and exit codes as the originals, on Gridiron's libraries.
//!
//! Each program is one [`Program`]: its options are defined once and feed the parser ([`options`]), `-help`, the man page
//! and the shell completions ([`pages`]). What the originals print on success and failure was observed from the programs
//! in Debian bookworm; the help texts are our own.

mod cached_output;
mod cert_info;
mod certificate_text;
mod gass_cache;
mod gass_cache_destroy;
mod gass_server;
mod globusrun;
mod job_cancel;
mod job_clean;
mod job_get_output;
mod job_run;
mod job_status;
mod mapfile;
mod options;
pub mod pages;
mod proxy_destroy;
mod proxy_info;
mod proxy_init;
mod proxy_text;
mod terminal;
mod url_copy;

use options::{Opt, Parsed};
use std::{ffi::OsString, process::ExitCode};

/// One classic program.
pub struct Program {
    /// The name it is called by.
    pub name: &'static str,
    /// One line for lists and man pages.
    pub summary: &'static str,
    /// Arguments in short, without the name.
    pub synopsis: &'static str,
    /// Every option, in the order of the help.
    pub options: &'static [Opt],
    /// Paragraphs after the options.
    pub notes: &'static str,
    /// A command line that works, for the help.
    pub example: &'static str,
    /// Where its pages and its version go.
    original: Original,
    /// Runs it with the arguments after the name.
    run: fn(&[OsString]) -> ExitCode,
}

/// What the original is; scripts that capture `-help` or `-version` depend on the stream it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Original {
    /// A compiled program: pages and version on stderr.
    Compiled,
    /// A shell script: pages on stderr, version on stdout.
    Script,
    /// The two gridmap tools that put both on stdout.
    Plain,
}

/// All of them, by name.
pub const PROGRAMS: &[&Program] = &[
    &globusrun::PROGRAM,
    &job_run::RUN,
    &job_run::SUBMIT,
    &job_status::PROGRAM,
    &job_get_output::PROGRAM,
    &job_cancel::PROGRAM,
    &job_clean::PROGRAM,
    &gass_cache::PROGRAM,
    &gass_cache_destroy::PROGRAM,
    &gass_server::SERVER,
    &gass_server::SHUTDOWN,
    &proxy_init::PROGRAM,
    &proxy_info::PROGRAM,
    &proxy_destroy::PROGRAM,
    &cert_info::PROGRAM,
    &mapfile::ADD,
    &mapfile::DELETE,
    &mapfile::CHECK,
    &url_copy::PROGRAM,
];

/// The program of this name, if it is a classic one.
pub fn lookup(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().copied().find(|program| program.name == name)
}

impl Program {
    /// Runs the program to its exit code.
    pub fn run(&self, arguments: &[OsString]) -> ExitCode {
        (self.run)(arguments)
    }

    /// `-version`: the name and our version.
    fn print_version(&self) {
        self.print_versions_line(format_args!("{}: {}", self.name, env!("CARGO_PKG_VERSION")));
    }

    /// `-versions`: as `-version`, with the product behind it.
    fn print_versions(&self) {
        self.print_versions_line(format_args!("{}: {} (gridiron)", self.name, env!("CARGO_PKG_VERSION")));
    }

    fn print_versions_line(&self, line: std::fmt::Arguments<'_>) {
        match self.original {
            Original::Compiled => terminal::err(line),
            Original::Script | Original::Plain => terminal::out(line),
        }
    }

    /// A page: the help, or the syntax.
    fn print_page(&self, page: &str) {
        match self.original {
            Original::Compiled | Original::Script => terminal::err(page),
            Original::Plain => terminal::out(page),
        }
    }

    /// The refusal all script tools print: what is wrong, the syntax, where to read more. Gives exit code 1.
    fn usage_error(&self, message: &str) -> ExitCode {
        terminal::err(format_args!(
            "\nERROR: {message}\n\nSyntax : {} {}\n\nUse -help to display full usage.\n",
            self.name, self.synopsis
        ));
        ExitCode::FAILURE
    }
}

impl Program {
    /// The refusal of the compiled proxy tools. Gives exit code 1.
    fn option_error(&self, message: &str) -> ExitCode {
        terminal::err(format_args!(
            "\nERROR: {message}\n\nSyntax: {} {}\n\nUse -help to display full usage.",
            self.name, self.synopsis
        ));
        ExitCode::FAILURE
    }

    /// What the script tools print when nothing was asked of them. Gives exit code 1.
    fn syntax_only(&self) -> ExitCode {
        terminal::err(format_args!(
            "\nSyntax : {} {}\n\nUse -help to display full usage.\n",
            self.name, self.synopsis
        ));
        ExitCode::FAILURE
    }

    /// A refusal without the blank line and the `ERROR:` of the others. Gives exit code 1.
    fn bare_refusal(&self, message: &str) -> ExitCode {
        terminal::err(format_args!(
            "{message}{}Syntax : {} {}\n\nUse -help to display full usage.\n",
            if message.is_empty() { "" } else { "\n" },
            self.name,
            self.synopsis
        ));
        ExitCode::FAILURE
    }

    /// `-help`, `-version` and `-versions`, if one was given: printed.
    fn page_asked_for(&self, parsed: &Parsed) -> Option<ExitCode> {
        match parsed.names().find(|name| ["-help", "-version", "-versions"].contains(name))? {
            "-help" => self.print_page(&pages::help(self)),
            "-version" => self.print_version(),
            _ => self.print_versions(),
        }
        Some(ExitCode::SUCCESS)
    }
}

/// Runs an asynchronous tool on one thread: a client needs no more.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
