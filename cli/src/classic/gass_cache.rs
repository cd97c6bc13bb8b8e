//! `globus-gass-cache`: operations on a GASS cache, here or at a service.

mod remote;

use super::{
    Original, Program, block_on, globusrun,
    options::{Opt, OptionError, Order, Parsed, flag, parse, valued},
    pages,
    terminal::{err, out},
};
use crate::cache;
use gass::{
    Cache, CacheError,
    cache::{Listed, NO_TAG},
};
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-gass-cache",
    summary: "look at and change a cache of files by URL",
    synopsis: "[-help] -op [-r resource][-t tag]...[URL]",
    options: OPTIONS,
    notes: NOTES,
    example: "globus-gass-cache -add -t mine https://host.example.org:2811/data/input",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-add", "-a"], "add a reference of the tag to the URL, fetching it unless it is there"),
    flag(&["-delete", "-d"], "drop one reference of the tag to the URL"),
    flag(&["-query", "-q"], "print the path of the URL's file for the tag; exit status 1 if there is none"),
    flag(&["-cleanup-tag"], "drop all references of the tag, or all of it to the URL"),
    flag(&["-cleanup-url"], "drop all references of all tags to the URL"),
    flag(&["-list", "-l"], "list the entries, all or those of the tag or URL, a line for each reference"),
    flag(&["-mangle", "-m"], "print the URL and the tag as they stand in paths"),
    flag(&["-dirs"], "print the directories of the cache, of the URL and of the tag"),
    flag(&["-type"], "print the type of the cache"),
    flag(&["-long"], "with -list: size and mangled name as well"),
    valued(&["-tag", "-t"], "tag", "the tag (default: null)"),
    valued(&["-newname", "-n"], "name", "with -add: store it under this name"),
    valued(&["-resource", "-r"], "contact", "the cache at this service, by a job there"),
    flag(&["-verbose"], "accepted for old scripts"),
    flag(&["-help"], "show this page"),
    flag(&["-usage"], "show the syntax in one line"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
];

const NOTES: &str = "The cache is $GLOBUS_GASS_CACHE_DEFAULT, else ~/.globus/.gass_cache. The source
file:///dev/null makes an empty entry; with -n its name can be anything.
Exit status: 0, 1 for a wrong command line and for what is not there, 255 for failures.";

/// The package that the version is that of.
const PACKAGE: &str = "globus-gass-cache-program";
/// What the original exits with when an operation fails.
const FAILED: u8 = 255;
/// The original's words for an entry that is not there.
const UNKNOWN_URL: &str = "the URL was not found in the GASS cache";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Delete,
    Query,
    CleanupTag,
    CleanupUrl,
    List,
    Mangle,
    Dirs,
    Type,
}

const OPERATIONS: [(&str, Operation); 9] = [
    ("-add", Operation::Add),
    ("-delete", Operation::Delete),
    ("-query", Operation::Query),
    ("-cleanup-tag", Operation::CleanupTag),
    ("-cleanup-url", Operation::CleanupUrl),
    ("-list", Operation::List),
    ("-mangle", Operation::Mangle),
    ("-dirs", Operation::Dirs),
    ("-type", Operation::Type),
];

impl Operation {
    fn needs_url(self) -> bool {
        matches!(self, Self::Add | Self::Delete | Self::Query | Self::CleanupUrl)
    }

    /// The option it is asked for with.
    fn option(self) -> &'static str {
        OPERATIONS.iter().find(|(_, operation)| *operation == self).map_or("", |(option, _)| option)
    }
}

/// A command line that makes sense.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    operation: Operation,
    url: Option<String>,
    tag: Option<String>,
    name: Option<String>,
    long: bool,
}

impl Asked {
    fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or(NO_TAG)
    }

    fn url(&self) -> &str {
        self.url.as_deref().unwrap_or_default()
    }
}

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        _ if double_dashed(arguments).is_some() => return refuse_double_dash(arguments),
        Ok(parsed) => parsed,
        Err(OptionError::Unknown { position, text }) => {
            return bad_argument(position, &text, "unknown option");
        }
        Err(OptionError::MissingValue { position, text }) => {
            return bad_argument(position, &text, "not enough arguments");
        }
    };
    if let Some(code) = page(&parsed) {
        return code;
    }
    let asked = match asked(&parsed) {
        Ok(asked) => asked,
        Err(message) => return wrong(message),
    };
    match parsed.text("-resource") {
        Some(resource) => globusrun::drive(remote::run(&resource, &asked)),
        None => match Cache::open(&Cache::default_root()) {
            Ok(cache) => perform(&cache, &asked),
            Err(error) => {
                err(format_args!("ERROR: Could not open GASS cache because {error}"));
                ExitCode::from(FAILED)
            }
        },
    }
}

/// What the command line asks for; an error is what the original says, if anything.
fn asked(parsed: &Parsed) -> Result<Asked, Option<&'static str>> {
    let mut operations =
        OPERATIONS.iter().filter(|(option, _)| parsed.has(option)).map(|(_, operation)| *operation);
    let operation = operations.next().ok_or(Some("need to specify an operation"))?;
    if operations.next().is_some() {
        return Err(Some("only one operation can be specified"));
    }
    let url = match parsed.operands.as_slice() {
        [] if operation.needs_url() => return Err(Some("operation requires an URL")),
        [] => None,
        [url] => Some(url.to_string_lossy().into_owned()),
        _ => return Err(None),
    };
    Ok(Asked {
        operation,
        url,
        tag: parsed.text("-tag"),
        name: parsed.text("-newname"),
        long: parsed.has("-long"),
    })
}

fn perform(cache: &Cache, asked: &Asked) -> ExitCode {
    let done = match asked.operation {
        Operation::Add => return add(cache, asked),
        Operation::Query => return query(cache, asked),
        Operation::Delete => told("delete cache entry", FAILED, cache.delete(asked.url(), asked.tag())),
        Operation::CleanupUrl => told("clean up file", 1, cache.remove_url(asked.url())),
        Operation::CleanupTag => told("clean up tag", FAILED, cleanup_tag(cache, asked)),
        Operation::List => cache.list(asked.url.as_deref(), asked.tag.as_deref()).map_or_else(
            |error| told("list the cache", FAILED, Err(error)),
            |listed| {
                listed.iter().for_each(|listed| out(list_lines(listed, asked.long)));
                Ok(())
            },
        ),
        Operation::Mangle => {
            for (title, name) in [("URL", &asked.url), ("TAG", &asked.tag)] {
                if let Some(name) = name {
                    out(format_args!("{title}: '{}'", cache.layout().mangle(name)));
                }
            }
            Ok(())
        }
        Operation::Dirs => {
            dirs(cache, asked);
            Ok(())
        }
        Operation::Type => {
            out(format_args!("CACHE_TYPE: '{}'", cache.layout().kind().name()));
            Ok(())
        }
    };
    done.map_or_else(ExitCode::from, |()| ExitCode::SUCCESS)
}

/// Says what failed, with the exit status for what is not there.
fn told(doing: &str, not_found: u8, result: Result<(), CacheError>) -> Result<(), u8> {
    result.map_err(|error| {
        if error.is_not_found() {
            err(format_args!("Could not {doing} because {UNKNOWN_URL}"));
            return not_found;
        }
        err(format_args!("Could not {doing} because {error}"));
        FAILED
    })
}

fn add(cache: &Cache, asked: &Asked) -> ExitCode {
    let name = asked.name.as_deref().unwrap_or(asked.url());
    match block_on(cache::add(cache, asked.url(), name, asked.tag())) {
        Ok(Ok(_)) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            // On stdout, as scripts know it; the reason, which the original keeps to itself, is for people.
            out(format_args!("Error transferring {}", asked.url()));
            err(failure);
            ExitCode::from(FAILED)
        }
        Err(error) => {
            err(format_args!("globus-gass-cache: cannot start: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn query(cache: &Cache, asked: &Asked) -> ExitCode {
    match cache.query(asked.url(), asked.tag()) {
        Ok(Some(path)) => {
            out(path.display());
            ExitCode::SUCCESS
        }
        Ok(None) => {
            err(format_args!("Could not query cache because {UNKNOWN_URL}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            err(format_args!("Could not query cache because {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn cleanup_tag(cache: &Cache, asked: &Asked) -> Result<(), CacheError> {
    match &asked.url {
        Some(url) => cache.delete_all(url, asked.tag()),
        None if cache.has_tag(asked.tag())? => cache.remove_tag(asked.tag()),
        None => Err(CacheError::NotFound { url: "*".to_owned(), tag: asked.tag().to_owned() }),
    }
}

/// An entry, with a line for each reference.
fn list_lines(listed: &Listed, long: bool) -> String {
    let mut lines = format!("URL: {}", listed.url);
    if long {
        lines += &format!("\n\tSize: {}\n\tMangled: {}", listed.size, listed.mangled);
    }
    for tagged in &listed.tags {
        lines += &format!("\n\tTag:{}", tagged.tag).repeat(tagged.references);
    }
    lines
}

fn dirs(cache: &Cache, asked: &Asked) {
    let layout = cache.layout();
    let line = |title: &str, path: &std::path::Path| out(format_args!("{title}: '{}'", path.display()));
    line("CACHE_DIRECTORY", layout.root());
    line("GLOBAL_ROOT", &layout.globals());
    line("LOCAL_ROOT", &layout.locals());
    line("TMP_ROOT", &layout.temporary());
    line("LOG_ROOT", &layout.temporary());
    if let Some(url) = &asked.url {
        line("GLOBAL_DIR", &layout.global(url));
        line("LOCAL_DIR", &layout.entry(asked.tag(), url));
    }
}

/// Help goes to stdout, the rest to stderr, as the script and the program behind it have it.
fn page(parsed: &Parsed) -> Option<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match parsed.names().find(|name| ["-help", "-usage", "-version", "-versions"].contains(name))? {
        "-help" => out(pages::help(&PROGRAM)),
        "-usage" => err(format_args!("{} {}", PROGRAM.name, PROGRAM.synopsis)),
        "-version" => err(format_args!("{PACKAGE}: {version}")),
        _ => err(format_args!("{PACKAGE}: {version} (gridiron)")),
    }
    Some(ExitCode::SUCCESS)
}

fn wrong(message: Option<&str>) -> ExitCode {
    let error = message.map(|message| format!("\nERROR: {message}\n")).unwrap_or_default();
    err(format_args!(
        "{error}\nSyntax: {} {}\n\nUse -help to display full usage",
        PROGRAM.name, PROGRAM.synopsis
    ));
    ExitCode::FAILURE
}

fn bad_argument(position: usize, text: &str, reason: &str) -> ExitCode {
    err(format_args!(
        "\nError, argument #{position} ({text}) : {reason}\n\nSyntax : {} {}\n\nUse -help to display full usage.",
        PROGRAM.name, PROGRAM.synopsis
    ));
    ExitCode::FAILURE
}

/// The first argument with two dashes, which the original does not take; from 1.
fn double_dashed(arguments: &[OsString]) -> Option<usize> {
    arguments
        .iter()
        .position(|argument| argument.as_encoded_bytes().starts_with(b"--"))
        .map(|index| index + 1)
}

fn refuse_double_dash(arguments: &[OsString]) -> ExitCode {
    let position = double_dashed(arguments).unwrap_or_default();
    let text =
        arguments.get(position.saturating_sub(1)).map(|text| text.to_string_lossy()).unwrap_or_default();
    bad_argument(position, &text, "double-dashed option syntax is not allowed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gass::cache::Tagged;

    fn ask(words: &[&str]) -> Result<Asked, Option<&'static str>> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        asked(&parse(OPTIONS, Order::Mixed, &words).unwrap())
    }

    #[test]
    fn one_operation_with_what_it_needs() {
        let add = ask(&["-a", "-t", "T", "-n", "name", "u"]).unwrap();
        assert_eq!(
            (add.operation, add.url(), add.tag(), add.name.as_deref()),
            (Operation::Add, "u", "T", Some("name"))
        );
        assert_eq!(ask(&["-l"]).unwrap().tag(), "null");
        assert_eq!(ask(&["u"]), Err(Some("need to specify an operation")));
        assert_eq!(ask(&["-add", "-query", "u"]), Err(Some("only one operation can be specified")));
        assert_eq!(ask(&["-delete"]), Err(Some("operation requires an URL")));
        assert_eq!(ask(&["-type", "a", "b"]), Err(None));
    }

    #[test]
    fn a_line_for_each_reference() {
        let tagged = |tag: &str, references| Tagged { tag: tag.to_owned(), references };
        let listed = Listed {
            url: "u".to_owned(),
            mangled: "md5/x".to_owned(),
            size: 5,
            ready: true,
            tags: vec![tagged("a", 2), tagged("b", 1)],
        };
        assert_eq!(list_lines(&listed, false), "URL: u\n\tTag:a\n\tTag:a\n\tTag:b");
        assert_eq!(
            list_lines(&Listed { tags: Vec::new(), ..listed }, true),
            "URL: u\n\tSize: 5\n\tMangled: md5/x"
        );
    }
}
