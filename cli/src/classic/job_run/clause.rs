//! A host clause: `contact [options] [-l|-s] executable [arguments]`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// One job as words on a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Clause {
    /// Where.
    pub(super) contact: String,
    /// `-x`, without a leading `&`.
    pub(super) extra: Option<Vec<u8>>,
    /// The program.
    pub(super) executable: File,
    /// `-p`.
    pub(super) project: Option<Vec<u8>>,
    /// `-q`.
    pub(super) queue: Option<Vec<u8>>,
    /// `-m`, minutes.
    pub(super) max_time: Option<u32>,
    /// `-d`.
    pub(super) directory: Option<Vec<u8>>,
    /// `-env`, in order.
    pub(super) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// `-np`.
    pub(super) count: Option<u32>,
    /// `-host-count`.
    pub(super) host_count: Option<u32>,
    /// After the executable.
    pub(super) arguments: Vec<Vec<u8>>,
    /// `-stdin`.
    pub(super) stdin: Option<File>,
    /// `-stdout`.
    pub(super) stdout: Option<File>,
    /// `-stderr`.
    pub(super) stderr: Option<File>,
}

/// A file at the service or here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    /// `-l`: its name at the service.
    Local(Vec<u8>),
    /// `-s`: its absolute path here.
    Staged(Vec<u8>),
}

impl Default for File {
    fn default() -> Self {
        Self::Local(Vec::new())
    }
}

/// Why the words are no host clause.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClauseError {
    #[error("option {0} : contact string must be first in host-clause")]
    NoContact(String),
    #[error("option {0} : unrecognized option")]
    Unknown(String),
    #[error("option {0} : missing argument")]
    Missing(String),
    #[error("option {option} : \"{value}\" is not an integer")]
    NotANumber { option: String, value: String },
    #[error("option -env : invalid environment string \"{0}\"")]
    NotABinding(String),
    #[error("option {0} : needs a filename argument")]
    NoFile(String),
    #[error("no executable in host-clause")]
    NoExecutable,
}

impl Clause {
    /// Reads the words; the first is the contact.
    pub(super) fn parse(words: &[OsString]) -> Result<Self, ClauseError> {
        let mut words = words.iter().map(OsString::as_os_str);
        let contact = words.next().ok_or(ClauseError::NoExecutable)?;
        if is_option(contact) {
            return Err(ClauseError::NoContact(lossy(contact)));
        }
        let mut clause = Self { contact: lossy(contact), ..Self::default() };
        loop {
            let word = words.next().ok_or(ClauseError::NoExecutable)?;
            let option = lossy(word);
            match option.as_str() {
                "-np" | "-count" => clause.count = Some(number(&option, words.next())?),
                "-host-count" => clause.host_count = Some(number(&option, words.next())?),
                "-m" | "-maxtime" => clause.max_time = Some(number(&option, words.next())?),
                "-p" | "-project" => {
                    clause.project = Some(argument(&option, words.next())?.as_bytes().to_vec());
                }
                "-q" | "-queue" => clause.queue = Some(argument(&option, words.next())?.as_bytes().to_vec()),
                "-d" | "-dir" => {
                    clause.directory = Some(argument(&option, words.next())?.as_bytes().to_vec());
                }
                "-env" => clause.environment.push(binding(argument(&option, words.next())?)?),
                "-x" | "-extrarsl" => {
                    let relations = argument(&option, words.next())?.as_bytes();
                    clause.extra = Some(relations.strip_prefix(b"&").unwrap_or(relations).to_vec());
                }
                "-stdin" => clause.stdin = Some(file(&option, &mut words)?),
                "-stdout" => clause.stdout = Some(file(&option, &mut words)?),
                "-stderr" => clause.stderr = Some(file(&option, &mut words)?),
                "-l" | "-local" | "-s" | "-stage" => {
                    let name = argument(&option, words.next())?;
                    clause.executable = placed(&option, name);
                    break;
                }
                _ if is_option(word) => return Err(ClauseError::Unknown(option)),
                _ => {
                    clause.executable = File::Local(word.as_bytes().to_vec());
                    break;
                }
            }
        }
        // `--` is dropped and what follows it is an argument whatever it looks like, so `-- --` is a `--`.
        while let Some(word) = words.next() {
            let argument = if word == "--" { words.next() } else { Some(word) };
            clause.arguments.extend(argument.map(|argument| argument.as_bytes().to_vec()));
        }
        Ok(clause)
    }

    /// Something here is read by the job.
    pub(super) fn stages_in(&self) -> bool {
        let staged = |file: &File| matches!(file, File::Staged(_));
        staged(&self.executable) || self.stdin.as_ref().is_some_and(staged)
    }

    /// Something here is written by the job.
    pub(super) fn stages_out(&self) -> bool {
        let staged = |file: &Option<File>| matches!(file, Some(File::Staged(_)));
        staged(&self.stdout) || staged(&self.stderr)
    }
}

fn is_option(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-")
}

fn lossy(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

fn argument<'a>(option: &str, word: Option<&'a OsStr>) -> Result<&'a OsStr, ClauseError> {
    word.ok_or_else(|| ClauseError::Missing(option.to_owned()))
}

/// A positive integer.
fn number(option: &str, word: Option<&OsStr>) -> Result<u32, ClauseError> {
    let value = lossy(argument(option, word)?);
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(ClauseError::NotANumber { option: option.to_owned(), value }),
    }
}

fn binding(word: &OsStr) -> Result<(Vec<u8>, Vec<u8>), ClauseError> {
    let bytes = word.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if at > 0 => {
            let (name, value) = bytes.split_at(at);
            Ok((name.to_vec(), value.iter().skip(1).copied().collect()))
        }
        _ => Err(ClauseError::NotABinding(lossy(word))),
    }
}

/// `[-l|-s] name` after `-stdin` and its like.
fn file<'a>(option: &str, words: &mut impl Iterator<Item = &'a OsStr>) -> Result<File, ClauseError> {
    let missing = || ClauseError::NoFile(option.to_owned());
    let word = words.next().ok_or_else(missing)?;
    match word.as_bytes() {
        b"-l" | b"-local" | b"-s" | b"-stage" => Ok(placed(&lossy(word), words.next().ok_or_else(missing)?)),
        _ if is_option(word) => Err(missing()),
        name => Ok(File::Local(name.to_vec())),
    }
}

fn placed(modifier: &str, name: &OsStr) -> File {
    match modifier {
        "-s" | "-stage" => File::Staged(absolute(name)),
        _ => File::Local(name.as_bytes().to_vec()),
    }
}

/// Staged files are named by absolute path: the job does not know where we are.
fn absolute(name: &OsStr) -> Vec<u8> {
    let path = std::path::absolute(Path::new(name)).unwrap_or_else(|_| Path::new(name).to_owned());
    path.into_os_string().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Clause, ClauseError> {
        Clause::parse(&words.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_end_at_the_executable() {
        let clause = parse("h -np 3 /bin/echo -np 2 -- x").unwrap();
        assert_eq!(clause.count, Some(3));
        assert_eq!(clause.executable, File::Local(b"/bin/echo".to_vec()));
        assert_eq!(clause.arguments, [&b"-np"[..], b"2", b"x"]);
    }

    #[test]
    fn separators_are_dropped_unless_doubled() {
        assert_eq!(parse("h e -- -a -- -b").unwrap().arguments, [&b"-a"[..], b"-b"]);
        assert_eq!(parse("h e -- -- x").unwrap().arguments, [&b"--"[..], b"x"]);
    }

    #[test]
    fn refusals_name_the_word() {
        for (words, message) in [
            ("-x h", "option -x : contact string must be first in host-clause"),
            ("h -foo e", "option -foo : unrecognized option"),
            ("h -np", "option -np : missing argument"),
            ("h -np 0 e", "option -np : \"0\" is not an integer"),
            ("h -stdin -x e", "option -stdin : needs a filename argument"),
            ("h -env AB e", "option -env : invalid environment string \"AB\""),
            ("h -np 2", "no executable in host-clause"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), message, "{words}");
        }
    }

    #[test]
    fn staging_decides_what_our_server_allows() {
        assert!(parse("h -s /bin/echo").unwrap().stages_in());
        assert!(parse("h -stdin -s /x e").unwrap().stages_in());
        let clause = parse("h -stdout -s /x e").unwrap();
        assert!(clause.stages_out() && !clause.stages_in());
        assert_eq!(clause.stdout, Some(File::Staged(b"/x".to_vec())));
    }
}
