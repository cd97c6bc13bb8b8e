//! The only place that writes to the person: results to stdout, messages to stderr.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// `--json`: results are one JSON value per line.
    pub json: bool,
}

impl Ui {
    /// Prints a result: the JSON value with `--json`, the text otherwise.
    pub fn result(&self, value: &impl Serialize, text: impl std::fmt::Display) {
        if self.json {
            // Serialising our own plain structs to a string cannot fail.
            self.line(serde_json::to_string(value).unwrap_or_default());
        } else {
            self.line(text);
        }
    }

    /// One line on stdout; nothing for an empty text. A closed pipe is not our failure: nobody wants the rest.
    pub fn line(&self, text: impl std::fmt::Display) {
        let text = text.to_string();
        let text = text.trim_end_matches('\n');
        if !text.is_empty() {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// One step of a longer tale, on stdout; silent with `--json`, which tells everything at the end.
    pub fn step(&self, text: impl std::fmt::Display) {
        if !self.json {
            self.line(text);
        }
    }

    /// Raw bytes on stdout.
    pub fn raw(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    /// A message for a person, on stderr; silent with `--json`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Something that happened on the way, on stderr: as JSON with `--json`.
    pub fn event(&self, value: &serde_json::Value, text: impl std::fmt::Display) {
        let mut stderr = std::io::stderr().lock();
        let _ = if self.json { writeln!(stderr, "{value}") } else { writeln!(stderr, "{text}") };
    }

    /// Prints a failure on stderr.
    pub fn failure(&self, failure: &Failure) {
        let mut stderr = std::io::stderr().lock();
        let _ = if self.json {
            let value = serde_json::json!({
                "error": failure.what, "try": failure.advice, "exit_code": failure.exit as u8,
            });
            writeln!(stderr, "{value}")
        } else {
            writeln!(stderr, "gridiron: {}", failure.what).and_then(|()| match &failure.advice {
                Some(advice) => writeln!(stderr, "  try: {advice}"),
                None => Ok(()),
            })
        };
    }

    /// A spinner on stderr for what may take over a second; invisible unless stderr is a terminal.
    pub fn progress(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> indicatif::ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let bar = indicatif::ProgressBar::new_spinner().with_message(message);
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        bar
    }
}
