//! Passphrases of private keys: from the terminal or standard input, never from the command line or the environment.

use crate::{exit::Exit, failure::Failure};
use gsi::{GsiError, key::KeyError};
use std::io::BufRead;
use zeroize::Zeroizing;

/// Shorter ones are refused for new keys, as the stock tools do.
const SHORTEST: usize = 4;

/// The passphrase for a new key; `None` when it is not to be encrypted. On a terminal it must be typed twice.
pub fn choose(none: bool, from_stdin: bool, what: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    if none {
        return Ok(None);
    }
    let chosen = if from_stdin { read_line()? } else { ask_twice(what)? };
    if chosen.len() < SHORTEST {
        return Err(Failure::new(Exit::Input, format!("the passphrase has less than {SHORTEST} characters"))
            .try_this("a longer one, or --no-passphrase for an unencrypted key"));
    }
    Ok(Some(chosen))
}

/// Opens something that may be locked: tries without a passphrase first, asks only when one is needed.
pub fn unlock<T>(
    from_stdin: bool,
    prompt: &str,
    open: impl Fn(Option<&str>) -> Result<T, GsiError>,
) -> Result<T, Failure> {
    match open(None) {
        Err(error) if matches!(error.key_error(), Some(KeyError::PassphraseNeeded)) => {
            let passphrase = get(from_stdin, prompt)?;
            Ok(open(Some(&passphrase))?)
        }
        opened => Ok(opened?),
    }
}

/// One passphrase, from standard input or the terminal.
pub fn get(from_stdin: bool, prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if from_stdin { read_line() } else { crate::proxy::ask_passphrase(prompt) }
}

fn ask_twice(what: &str) -> Result<Zeroizing<String>, Failure> {
    let once = crate::proxy::ask_passphrase(&format!("New passphrase for {what}: "))?;
    let again = crate::proxy::ask_passphrase("The same again: ")?;
    if *once == *again { Ok(once) } else { Err(Failure::new(Exit::Input, "the two passphrases differ")) }
}

fn read_line() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::local("cannot read the passphrase from standard input", &error))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
