//! The classic option style: one dash, long names (`-resource C`, `-r C`), defined once per program.

use std::ffi::{OsStr, OsString};

/// One option of a classic program.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// All spellings, the first being the one the program asks for.
    pub names: &'static [&'static str],
    /// What its argument is called, for options that take one.
    pub value: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// An option without argument.
pub(super) const fn flag(names: &'static [&'static str], help: &'static str) -> Opt {
    Opt { names, value: None, help }
}

/// An option with an argument.
pub(super) const fn valued(names: &'static [&'static str], value: &'static str, help: &'static str) -> Opt {
    Opt { names, value: Some(value), help }
}

/// A command line told apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    given: Vec<Given>,
    /// What is not an option, in order.
    pub(super) operands: Vec<OsString>,
}

/// One option as it stood on the command line.
#[derive(Debug)]
struct Given {
    name: &'static str,
    value: Option<OsString>,
    /// Of the value, or of the option itself; from 1.
    position: usize,
}

/// An argument that does not fit; `position` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OptionError {
    /// No option is spelt like this.
    Unknown {
        /** from 1 */
        position: usize,
        /** as written */
        text: String,
    },
    /// The option's argument is missing.
    MissingValue {
        /** from 1 */
        position: usize,
        /** as written */
        text: String,
    },
}

impl OptionError {
    /// The sentence of the script tools.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Unknown { text, .. } => format!("option {text} : unrecognized option"),
            Self::MissingValue { text, .. } => format!("option {text} : missing argument"),
        }
    }
}

/// Where options may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Anywhere among the operands.
    Mixed,
    /// Only before the first operand; `--` ends them too.
    OptionsFirst,
}

/// Tells options from operands. A lone `-` and everything after `--` (with [`Order::OptionsFirst`]) are operands.
pub(super) fn parse(
    table: &'static [Opt],
    order: Order,
    arguments: &[OsString],
) -> Result<Parsed, OptionError> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter().enumerate();
    while let Some((index, argument)) = rest.next() {
        if order == Order::OptionsFirst && argument == "--" {
            parsed.operands.extend(rest.map(|(_, operand)| operand.clone()));
            break;
        }
        if !argument.as_encoded_bytes().starts_with(b"-") || argument == "-" {
            parsed.operands.push(argument.clone());
            if order == Order::OptionsFirst {
                parsed.operands.extend(rest.map(|(_, operand)| operand.clone()));
                break;
            }
            continue;
        }
        let text = || argument.to_string_lossy().into_owned();
        let Some((opt, name)) = find(table, argument) else {
            return Err(OptionError::Unknown { position: index + 1, text: text() });
        };
        let (value, position) = match opt.value {
            None => (None, index + 1),
            Some(_) => match rest.next() {
                Some((index, value)) => (Some(value.clone()), index + 1),
                None => return Err(OptionError::MissingValue { position: index + 1, text: text() }),
            },
        };
        parsed.given.push(Given { name, value, position });
    }
    Ok(parsed)
}

/// The option spelt like this, with its first name. `--name` is taken for `-name`, as the script tools do.
fn find(table: &'static [Opt], argument: &OsStr) -> Option<(&'static Opt, &'static str)> {
    let text = argument.to_str()?;
    let single = if text.starts_with("--") { text.get(1..)? } else { text };
    let opt = table.iter().find(|opt| opt.names.contains(&text) || opt.names.contains(&single))?;
    Some((opt, opt.names.first()?))
}

impl Parsed {
    /// Whether the option with this first name was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.name == name)
    }

    /// The last argument of the option with this first name.
    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.given.iter().rev().find(|given| given.name == name).and_then(|given| given.value.as_deref())
    }

    /// All arguments of the option with this first name, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        self.given.iter().filter(move |given| given.name == name).filter_map(|given| given.value.as_deref())
    }

    /// The last argument as text; bytes that are not UTF-8 are replaced, so that no name of ours can match them.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Where the last argument of this option stood, from 1.
    pub(super) fn position(&self, name: &str) -> usize {
        self.given.iter().rev().find(|given| given.name == name).map_or(0, |given| given.position)
    }

    /// First names in the order given.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.iter().map(|given| given.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Opt] =
        &[flag(&["-quiet", "-q"], "say nothing"), valued(&["-resource", "-r"], "contact", "where to go")];

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn spellings_of_one_option_are_one_option() {
        for spelling in ["-r", "-resource", "--resource"] {
            let parsed = parse(TABLE, Order::Mixed, &args(&["-q", spelling, "host", "rest"])).unwrap();
            assert!(parsed.has("-quiet"));
            assert_eq!(parsed.text("-resource").as_deref(), Some("host"));
            assert_eq!(parsed.operands, args(&["rest"]));
        }
    }

    #[test]
    fn mistakes_are_placed() {
        assert_eq!(
            parse(TABLE, Order::Mixed, &args(&["-q", "-bogus"])).unwrap_err(),
            OptionError::Unknown { position: 2, text: "-bogus".into() }
        );
        assert_eq!(
            parse(TABLE, Order::Mixed, &args(&["-r"])).unwrap_err(),
            OptionError::MissingValue { position: 1, text: "-r".into() }
        );
    }

    #[test]
    fn options_first_leaves_the_operands_alone() {
        let parsed = parse(TABLE, Order::OptionsFirst, &args(&["-q", "file", "-r"])).unwrap();
        assert_eq!(parsed.operands, args(&["file", "-r"]));
        let parsed = parse(TABLE, Order::OptionsFirst, &args(&["--", "-q"])).unwrap();
        assert!(!parsed.has("-quiet"));
        assert_eq!(parsed.operands, args(&["-q"]));
    }
}
