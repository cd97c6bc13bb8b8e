//! How far copies are, for a person who waits.

use gass::{GassError, copy::Watch};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A bar over all copies of a command, on stderr; invisible unless that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    files: u64,
    done: AtomicU64,
    /// Tell of every failure that is followed by another attempt.
    tell: fn(&ProgressBar, &GassError, Duration),
}

impl Progress {
    /// For so many files, shown only when `visible`.
    pub(crate) fn new(files: usize, visible: bool, tell: fn(&ProgressBar, &GassError, Duration)) -> Self {
        let bar = if visible && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let line = "{msg}{bytes:>12} of {total_bytes} {wide_bar} {binary_bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(line) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        } else {
            ProgressBar::hidden()
        };
        let progress = Self { bar, files: files as u64, done: AtomicU64::new(0), tell };
        progress.count();
        progress
    }

    /// A copy has ended.
    pub(crate) fn ended(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.count();
    }

    fn count(&self) {
        if self.files > 1 {
            self.bar.set_message(format!("{}/{} files ", self.done.load(Ordering::Relaxed), self.files));
        }
    }

    /// All have ended.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints something without disturbing the bar.
    pub(crate) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Watch for Progress {
    fn opened(&self, size: Option<u64>) {
        self.bar.inc_length(size.unwrap_or(0));
    }

    fn moved(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn lost(&self, bytes: u64) {
        self.bar.dec(bytes);
    }

    fn failed(&self, error: &GassError, pause: Duration) {
        (self.tell)(&self.bar, error, pause);
    }
}
