//! What the classic programs print: exactly these lines, whole. A closed pipe is not their failure.

use std::{fmt::Display, io::Write};

/// One line on stdout.
pub(super) fn out(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Text on stdout as it is, at once (prompts).
pub(super) fn prompt(text: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// One line on stderr.
pub(super) fn err(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
