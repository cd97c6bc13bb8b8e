//! Signals to a job manager (gram.md §8): number, name and argument rule of each of the ten.

use crate::GramError;
use std::fmt;

/// A signal with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// 1: ends the job; the text goes to the scheduler. Clients use the `cancel` query instead.
    Cancel(String),
    /// 2: pauses the job; the text goes to the scheduler.
    Suspend(String),
    /// 3: continues a paused job; the text goes to the scheduler.
    Resume(String),
    /// 4: changes the job's priority to this value of the scheduler's.
    Priority(String),
    /// 5: start a job submitted with `two_phase`.
    CommitRequest,
    /// 6: this many seconds more for the commit of the current phase.
    CommitExtend(u32),
    /// 7: new destinations for output, as RSL.
    StdioUpdate(String),
    /// 8: how many bytes of output the client has received; None: not compared.
    StdioSize {
        /// Bytes of standard output.
        stdout: Option<u64>,
        /// Bytes of standard error.
        stderr: Option<u64>,
    },
    /// 9: stop managing the job; it runs on.
    StopManager,
    /// 10: a finished two-phase job may be forgotten.
    CommitEnd,
    /// Any other, as number and text.
    Other(u32, Option<String>),
}

/// Why a signal's text is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// Signals 1-4 and 6-8 need an argument.
    #[error("signal {number} ({name}) needs an argument")]
    MissingArgument {
        /// The signal's number.
        number: u32,
        /// Its name.
        name: &'static str,
    },
    /// The argument is not what this signal takes.
    #[error("signal {number}: {argument:?} is not {expected}")]
    BadArgument {
        /// The signal's number.
        number: u32,
        /// What came.
        argument: String,
        /// What would be right.
        expected: &'static str,
    },
}

impl SignalError {
    /// What the peer is told: the message lacks what was expected.
    pub fn code(&self) -> GramError {
        GramError::HTTP_UNPACK_FAILED
    }
}

impl Signal {
    /// The number on the wire.
    pub fn number(&self) -> u32 {
        match self {
            Self::Cancel(_) => 1,
            Self::Suspend(_) => 2,
            Self::Resume(_) => 3,
            Self::Priority(_) => 4,
            Self::CommitRequest => 5,
            Self::CommitExtend(_) => 6,
            Self::StdioUpdate(_) => 7,
            Self::StdioSize { .. } => 8,
            Self::StopManager => 9,
            Self::CommitEnd => 10,
            Self::Other(number, _) => *number,
        }
    }

    /// The stock name of a number, `COMMIT_REQUEST` for 5; None above 10 and for 0.
    pub fn name_of(number: u32) -> Option<&'static str> {
        Some(match number {
            1 => "CANCEL",
            2 => "SUSPEND",
            3 => "RESUME",
            4 => "PRIORITY",
            5 => "COMMIT_REQUEST",
            6 => "COMMIT_EXTEND",
            7 => "STDIO_UPDATE",
            8 => "STDIO_SIZE",
            9 => "STOP_MANAGER",
            10 => "COMMIT_END",
            _ => return None,
        })
    }

    /// The argument as it is sent; `commit` is a convention that nobody reads.
    pub fn argument(&self) -> Option<String> {
        match self {
            Self::Cancel(text) | Self::Suspend(text) | Self::Resume(text) | Self::Priority(text) => {
                Some(text.clone())
            }
            Self::CommitRequest | Self::CommitEnd => Some("commit".to_owned()),
            Self::CommitExtend(seconds) => Some(seconds.to_string()),
            Self::StdioUpdate(rsl) => Some(rsl.clone()),
            Self::StdioSize { stdout, stderr } => {
                let size = |size: &Option<u64>| size.map_or("-1".to_owned(), |size| size.to_string());
                Some(format!("{} {}", size(stdout), size(stderr)))
            }
            Self::StopManager => None,
            Self::Other(_, argument) => argument.clone(),
        }
    }

    /// From number and argument, by the argument rules of gram.md §8. An unknown number is not an error here: the
    /// job manager answers it with error 108.
    pub fn new(number: u32, argument: Option<&str>) -> Result<Self, SignalError> {
        let argument = argument.map(str::trim).filter(|argument| !argument.is_empty());
        let required = || {
            let name = Self::name_of(number).unwrap_or("unknown");
            argument.ok_or(SignalError::MissingArgument { number, name })
        };
        let bad = |argument: &str, expected| SignalError::BadArgument {
            number,
            argument: argument.to_owned(),
            expected,
        };
        Ok(match number {
            1 => Self::Cancel(required()?.to_owned()),
            2 => Self::Suspend(required()?.to_owned()),
            3 => Self::Resume(required()?.to_owned()),
            4 => Self::Priority(required()?.to_owned()),
            5 => Self::CommitRequest,
            6 => {
                let seconds = required()?;
                Self::CommitExtend(seconds.parse().map_err(|_| bad(seconds, "a number of seconds"))?)
            }
            7 => Self::StdioUpdate(required()?.to_owned()),
            8 => {
                let sizes = required()?;
                let mut words = sizes.split_ascii_whitespace();
                let mut size = || match words.next() {
                    None | Some("-1") => Ok(None),
                    Some(word) => {
                        word.parse().map(Some).map_err(|_| bad(sizes, "one or two byte counts, -1 for any"))
                    }
                };
                Self::StdioSize { stdout: size()?, stderr: size()? }
            }
            9 => Self::StopManager,
            10 => Self::CommitEnd,
            _ => Self::Other(number, argument.map(str::to_owned)),
        })
    }
}

impl fmt::Display for Signal {
    /// `number [argument]`, as in the query `signal 5 commit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument() {
            Some(argument) => write!(f, "{} {argument}", self.number()),
            None => write!(f, "{}", self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ten_read_back() {
        for signal in [
            Signal::Cancel("x".into()),
            Signal::Suspend("x".into()),
            Signal::Resume("x y".into()),
            Signal::Priority("-5".into()),
            Signal::CommitRequest,
            Signal::CommitExtend(60),
            Signal::StdioUpdate("&(stdout=/tmp/x)".into()),
            Signal::StdioSize { stdout: Some(10), stderr: None },
            Signal::StopManager,
            Signal::CommitEnd,
            Signal::Other(42, Some("what".into())),
        ] {
            assert_eq!(Signal::new(signal.number(), signal.argument().as_deref()), Ok(signal.clone()));
        }
    }

    #[test]
    fn the_sent_text_is_the_stock_one() {
        assert_eq!(Signal::CommitRequest.to_string(), "5 commit");
        assert_eq!(Signal::CommitEnd.to_string(), "10 commit");
        assert_eq!(Signal::StopManager.to_string(), "9");
        assert_eq!(Signal::StdioSize { stdout: None, stderr: Some(3) }.to_string(), "8 -1 3");
    }

    #[test]
    fn required_arguments() {
        for number in [1, 2, 3, 4, 6, 7, 8] {
            let error = Signal::new(number, None).unwrap_err();
            assert!(matches!(error, SignalError::MissingArgument { .. }), "{number}");
            assert_eq!(error.code(), GramError::HTTP_UNPACK_FAILED);
            assert_eq!(Signal::new(number, Some("  ")), Err(error));
        }
        for number in [5, 9, 10] {
            assert!(Signal::new(number, None).is_ok());
        }
    }

    #[test]
    fn numbers_are_checked() {
        assert!(Signal::new(6, Some("soon")).is_err());
        assert!(Signal::new(6, Some("-1")).is_err());
        assert!(Signal::new(8, Some("1 x")).is_err());
        assert_eq!(Signal::new(8, Some("7")), Ok(Signal::StdioSize { stdout: Some(7), stderr: None }));
    }
}
