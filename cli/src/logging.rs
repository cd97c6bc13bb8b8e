//! Logs: `tracing` to stderr or a file, as text or JSON, chosen by `--log` or `GRIDIRON_LOG`.

use crate::{exit::Exit, failure::Failure};
use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Stderr, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Mutex,
};
use tracing_subscriber::EnvFilter;

/// The variable looked at when there is no `--log`.
pub const VARIABLE: &str = "GRIDIRON_LOG";

/// A log as a person describes it: `[json:|text:]FILTER[@FILE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Description {
    json: bool,
    filter: String,
    file: Option<PathBuf>,
}

/// Writes what can be written and loses the rest: a log on a full disk must stop nothing. The subscriber's own answer to an
/// error would be a line on stderr, and a panic when that cannot be written either.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn stderr() -> Lossy<Stderr> {
    Lossy(io::stderr())
}

/// Sets the log up once. `specification` is `[json:|text:]FILTER[@FILE]`, e.g. `info`, `json:gatekeeper=debug@/var/log/g.log`;
/// `None` looks at `GRIDIRON_LOG`, and without it logs `default` to stderr.
pub fn start(specification: Option<&str>, default: &str) -> Result<(), Failure> {
    let from_environment = std::env::var(VARIABLE).ok();
    let text = specification.map(str::to_owned).or(from_environment).unwrap_or_default();
    let description = describe(&text, default);
    let filter: EnvFilter = description.filter.parse().map_err(|error| {
        Failure::new(Exit::Usage, format!("bad log filter {}: {error}", description.filter))
            .try_this("a level (error, warn, info, debug, trace) or CRATE=LEVEL,…")
    })?;
    // Nobody else sets a subscriber, and a second start (in tests) may keep the first one.
    let _ = match &description.file {
        None if description.json => {
            tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(stderr).try_init()
        }
        None => tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(stderr)
            .try_init(),
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let file =
                file.map_err(|error| Failure::local(format!("cannot log to {}", path.display()), &error))?;
            let writer = Mutex::new(Lossy(file));
            let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
            if description.json {
                builder.json().with_writer(writer).try_init()
            } else {
                builder.with_writer(writer).try_init()
            }
        }
    };
    Ok(())
}

fn describe(text: &str, default: &str) -> Description {
    let (json, rest) = match text.split_once(':') {
        Some(("json", rest)) => (true, rest),
        Some(("text", rest)) => (false, rest),
        _ => (false, text),
    };
    let (filter, file) = match rest.split_once('@') {
        Some((filter, file)) => (filter, Some(PathBuf::from(file))),
        None => (rest, None),
    };
    let filter = if filter.is_empty() { default } else { filter };
    Description { json, filter: filter.to_owned(), file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_error_of_the_log() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!((&full).write_all(b"x").is_err());
        Lossy(full).write_all(b"x").unwrap();
    }

    #[test]
    fn descriptions() {
        let log = |json, filter: &str, file: Option<&str>| Description {
            json,
            filter: filter.to_owned(),
            file: file.map(PathBuf::from),
        };
        assert_eq!(describe("", "warn"), log(false, "warn", None));
        assert_eq!(describe("debug", "warn"), log(false, "debug", None));
        assert_eq!(describe("json:", "info"), log(true, "info", None));
        assert_eq!(describe("json:gsi=trace,info@/l", "info"), log(true, "gsi=trace,info", Some("/l")));
        assert_eq!(describe("text:@/l", "info"), log(false, "info", Some("/l")));
    }
}
