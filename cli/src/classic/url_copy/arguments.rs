//! The command line of `globus-url-copy`, told apart as the original does.

use super::OPTIONS;
use crate::classic::options::{OptionError, Order, Parsed, parse as parse_options};
use crate::copying::list::{self, Pair};
use gass::copy::{Options, many::MAX_PARALLEL, retry};
use gsi::{Expect, Subject};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// What is asked for.
#[derive(Debug)]
pub(super) enum Action {
    Help,
    Usage,
    Version,
    Versions,
    /// The dump file is empty: all was copied.
    NothingToDo,
    Copy(Box<Copy>),
}

/// Copies.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) pairs: Vec<Pair>,
    /// They come from a list, in which all are URLs.
    pub(super) listed: bool,
    /// List this instead.
    pub(super) list: Option<String>,
    /// Whom the server of the source must be.
    pub(super) source: Expect,
    /// Whom the server of the destination must be.
    pub(super) destination: Expect,
    pub(super) credential: Option<PathBuf>,
    pub(super) recursive: bool,
    pub(super) keep_going: bool,
    pub(super) text: bool,
    pub(super) verbose: bool,
    pub(super) speed: bool,
    pub(super) debug: bool,
    pub(super) concurrency: usize,
    pub(super) time: Option<Duration>,
    pub(super) dump: Option<PathBuf>,
    pub(super) dump_only: Option<PathBuf>,
    pub(super) options: Options,
}

/// A command line that is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// `position` counts from 1.
    Argument {
        position: usize,
        text: String,
        reason: &'static str,
    },
    Usage(&'static str),
    /// Of the file of `-f`, from 1.
    BadLine(usize),
    /// The file of `-f` cannot be read.
    NoList(String),
}

impl From<OptionError> for Mistake {
    fn from(error: OptionError) -> Self {
        match error {
            OptionError::Unknown { position, text } => {
                Self::Argument { position, text, reason: "unknown option" }
            }
            OptionError::MissingValue { position, text } => {
                Self::Argument { position, text, reason: "not enough arguments" }
            }
        }
    }
}

/// Options whose argument is a number.
const NUMBERS: [&str; 11] = [
    "-rst-retries",
    "-rst-interval",
    "-rst-timeout",
    "-stall-timeout",
    "-tcp-buffer-size",
    "-block-size",
    "-parallel",
    "-partial-offset",
    "-partial-length",
    "-concurrency",
    "-striped-block-size",
];

pub(super) fn parse(arguments: &[OsString]) -> Result<Action, Mistake> {
    let parsed = parse_options(OPTIONS, Order::OptionsFirst, arguments)?;
    for name in parsed.names() {
        match name {
            "-help" => return Ok(Action::Help),
            "-usage" => return Ok(Action::Usage),
            "-version" => return Ok(Action::Version),
            "-versions" => return Ok(Action::Versions),
            _ => {}
        }
    }
    for name in NUMBERS {
        if let Some(text) = parsed.text(name).filter(|text| number(text).is_none()) {
            let reason = "argument is not a positive integer";
            return Err(Mistake::Argument { position: parsed.position(name), text, reason });
        }
    }
    let time = match parsed.text("-t").map(|text| text.parse()) {
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
        Some(Err(_)) => return Err(Mistake::Usage("Invalid value to -t.  Must be an integer")),
        None => None,
    };
    if let Some(refused) = ["-authz-assert", "-src-authz-assert", "-dst-authz-assert", "-sync"]
        .into_iter()
        .find(|name| parsed.has(name))
    {
        return Err(Mistake::Usage(match refused {
            "-sync" => "-sync needs FTP, which this program does not speak",
            _ => "authorization assertions need FTP, which this program does not speak",
        }));
    }
    let Some(pairs) = pairs(&parsed)? else { return Ok(Action::NothingToDo) };
    let path = |name: &str| parsed.value(name).map(PathBuf::from);
    let subject = |name: &str| parsed.text(name).map(|text| Expect::Identity(Subject::new(&text)));
    let both = subject("-subject").unwrap_or(Expect::Myself);
    let positive = |name: &str| parsed.text(name).and_then(|text| number(&text)).filter(|&number| number > 0);
    let credential = path("-cred").or_else(|| path("-src-cred")).or_else(|| path("-dst-cred"));
    Ok(Action::Copy(Box::new(Copy {
        pairs,
        listed: parsed.has("-f"),
        list: parsed.text("-list"),
        source: subject("-source-subject").unwrap_or_else(|| both.clone()),
        destination: subject("-dest-subject").unwrap_or(both),
        credential,
        recursive: parsed.has("-recurse"),
        keep_going: parsed.has("-continue-on-error"),
        // The last one counts.
        text: parsed.names().filter(|name| ["-ascii", "-binary"].contains(name)).last() == Some("-ascii"),
        verbose: parsed.has("-verbose") && !parsed.has("-quiet"),
        speed: parsed.has("-verbose-perf") && !parsed.has("-quiet"),
        debug: parsed.has("-debugftp"),
        concurrency: positive("-concurrency").map_or(1, |n| usize::try_from(n).unwrap_or(MAX_PARALLEL)),
        time,
        dump: path("-dumpfile"),
        dump_only: path("-dump-only"),
        options: options(&parsed),
    })))
}

fn options(parsed: &Parsed) -> Options {
    let value = |name: &str| parsed.text(name).and_then(|text| number(&text));
    let restart =
        ["-restart", "-rst-retries", "-rst-interval", "-rst-timeout"].iter().any(|name| parsed.has(name));
    let retries = match value("-rst-retries") {
        _ if !restart => 0,
        None => retry::RETRIES,
        // For ever.
        Some(0) => u32::MAX,
        Some(retries) => u32::try_from(retries).unwrap_or(u32::MAX),
    };
    let pause =
        value("-rst-interval").filter(|&seconds| seconds > 0).and_then(|seconds| u64::try_from(seconds).ok());
    Options {
        checksum: parsed.has("-verify-checksum"),
        retries,
        pause: pause.map(Duration::from_secs),
        make_directories: parsed.has("-create-dest"),
    }
}

/// The pairs to copy; None when a dump file says that nothing is left.
fn pairs(parsed: &Parsed) -> Result<Option<Vec<Pair>>, Mistake> {
    let value = |name: &str| parsed.text(name).and_then(|text| number(&text));
    let (offset, length) = (value("-partial-offset"), value("-partial-length"));
    let with_range = |pair: Pair| Pair {
        offset: pair.offset.or_else(|| u64::try_from(offset?).ok()),
        length: pair.length.or_else(|| u64::try_from(length?).ok()),
        ..pair
    };
    let read = |path: PathBuf| {
        let text = std::fs::metadata(&path)
            .and_then(|file| match file.len() {
                ..=list::MAX_LIST => std::fs::read_to_string(&path),
                _ => Err(std::io::ErrorKind::FileTooLarge.into()),
            })
            .map_err(|error| Mistake::NoList(format!("{}: {error}", path.display())))?;
        list::parse(&text).map_err(|list::BadLine(line)| Mistake::BadLine(line))
    };
    let left = parsed.value("-dumpfile").map(PathBuf::from).filter(|path| path.exists());
    if let Some(path) = left {
        let pairs = read(path)?;
        return Ok((!pairs.is_empty()).then(|| pairs.into_iter().map(with_range).collect()));
    }
    if let Some(path) = parsed.value("-f") {
        if !parsed.operands.is_empty() {
            return Err(Mistake::Usage(
                "No urls are provided on the command line when using the -f option.\n",
            ));
        }
        return Ok(Some(read(path.into())?.into_iter().map(with_range).collect()));
    }
    let text = |operand: &OsString| operand.to_string_lossy().into_owned();
    match parsed.operands.as_slice() {
        _ if parsed.has("-list") => Ok(Some(Vec::new())),
        [from, to] => {
            let pair = Pair { from: text(from), to: text(to), offset: None, length: None };
            Ok(Some(vec![with_range(pair)]))
        }
        [] | [_] => Err(Mistake::Usage("source and dest url strings are required")),
        _ => Err(Mistake::Usage("too many url strings specified")),
    }
}

/// A number with K, M, G or T behind it; negative ones stand for "not given".
fn number(text: &str) -> Option<i64> {
    let factor = match text.chars().next_back()? {
        'k' | 'K' => 1_i64 << 10,
        'm' | 'M' => 1 << 20,
        'g' | 'G' => 1 << 30,
        't' | 'T' => 1 << 40,
        _ => return text.parse().ok(),
    };
    text.get(..text.len() - 1)?.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Result<Action, Mistake> {
        parse(&words.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn copy(words: &str) -> Copy {
        match line(words) {
            Ok(Action::Copy(copy)) => *copy,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn mistakes_are_those_of_the_original() {
        let argument =
            |position, text: &str, reason| Mistake::Argument { position, text: text.to_owned(), reason };
        for (words, expected) in [
            ("", Mistake::Usage("source and dest url strings are required")),
            ("a", Mistake::Usage("source and dest url strings are required")),
            ("a b c", Mistake::Usage("too many url strings specified")),
            ("a b -v", Mistake::Usage("too many url strings specified")),
            ("-bogus", argument(1, "-bogus", "unknown option")),
            ("-v -f", argument(2, "-f", "not enough arguments")),
            ("-p x a b", argument(2, "x", "argument is not a positive integer")),
            ("-t x a b", Mistake::Usage("Invalid value to -t.  Must be an integer")),
        ] {
            assert_eq!(line(words).unwrap_err(), expected, "{words}");
        }
    }

    #[test]
    fn options_mean_what_they_say() {
        let plain = copy("a b");
        assert_eq!((plain.options.retries, plain.concurrency, plain.text), (0, 1, false));
        assert_eq!(plain.source, Expect::Myself);
        assert_eq!(copy("-rst a b").options.retries, retry::RETRIES);
        assert_eq!(copy("-rst-retries 0 a b").options.retries, u32::MAX);
        assert_eq!(copy("-rst-retries 2 -rst-interval 3 a b").options.pause, Some(Duration::from_secs(3)));
        assert!(copy("-a a b").text && !copy("-a -b a b").text);
        let subjects = copy("-s /CN=x -ds /CN=y a b");
        assert_eq!(subjects.source, Expect::Identity(Subject::new("/CN=x")));
        assert_eq!(subjects.destination, Expect::Identity(Subject::new("/CN=y")));
        let part = copy("-off 1K -len 3 a b").pairs.remove(0);
        assert_eq!((part.offset, part.length), (Some(1024), Some(3)));
        let part = copy("-off -1 a b").pairs.remove(0);
        assert_eq!((part.offset, part.length), (None, None));
        assert_eq!(copy("-cc 3 -p 4 a b").concurrency, 3);
    }
}
