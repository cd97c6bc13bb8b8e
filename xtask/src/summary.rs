//! What a run of the test command adds up to.

use std::{fmt, time::Duration};

/// Tests counted in the output of a test runner.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Adds what one line of output reports: the closing line of nextest or of libtest, or that of a fuzz target in
    /// `fuzz/smoke.sh`; any other line adds nothing.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim();
        if let Some((_, outcome)) = line.strip_prefix("fuzz ").and_then(|rest| rest.split_once(": ")) {
            self.passed += u64::from(outcome.starts_with("ok,"));
            self.failed += u64::from(outcome == "CRASHED");
            return;
        }
        // nextest: `Summary [   1.234s] 10 tests run: 9 passed (1 slow), 1 failed, 2 skipped`
        // libtest: `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; …`
        let report = if line.starts_with("Summary [") {
            line.split_once("run:").map(|(_, report)| report)
        } else {
            line.strip_prefix("test result:")
        };
        let Some(report) = report else { return };
        let words: Vec<&str> =
            report.split([' ', ',', ';', '(', ')']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let &[number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" | "timed" | "exec" => self.failed += number,
                "skipped" | "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// The line without terminal escape sequences: nextest colours its summary.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

/// How one step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Not run, and why.
    Skipped(String),
}

/// One line of the summary.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

/// All steps, the tests that skipped themselves with their reasons, and the time all of it took.
pub(crate) struct Summary {
    pub(crate) lines: Vec<Line>,
    pub(crate) skipped_tests: Vec<String>,
    pub(crate) took: Duration,
}

impl Summary {
    /// Whether nothing failed. A skip is not a failure: what is missing has been said.
    pub(crate) fn passed(&self) -> bool {
        self.lines.iter().all(|line| line.outcome != Outcome::Failed && line.counts.failed == 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n== summary")?;
        for line in &self.lines {
            let outcome = match &line.outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Failed => "FAILED".to_owned(),
                Outcome::Skipped(reason) => format!("skipped: {reason}"),
            };
            write!(out, "{:<28} {:>6.1}s  {outcome}", line.name, line.took.as_secs_f64())?;
            if line.counts != Counts::default() {
                let Counts { passed, failed, ignored } = line.counts;
                write!(out, " ({passed} passed, {failed} failed, {ignored} ignored)")?;
            }
            writeln!(out)?;
        }
        for reason in &self.skipped_tests {
            writeln!(out, "skipped test: {reason}")?;
        }
        let itself_skipped = self.skipped_tests.len() as u64;
        let passed: u64 = self.lines.iter().map(|line| line.counts.passed).sum();
        // A step without tests of its own (formatting, lints) that fails counts as one failure.
        let failed: u64 = self
            .lines
            .iter()
            .map(|line| line.counts.failed.max(u64::from(line.outcome == Outcome::Failed)))
            .sum();
        let ignored: u64 = self.lines.iter().map(|line| line.counts.ignored).sum();
        write!(
            out,
            "test result: {}. {} passed; {failed} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
            if self.passed() { "ok" } else { "FAILED" },
            passed.saturating_sub(itself_skipped),
            ignored + itself_skipped,
            self.took.as_secs_f64(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(line: &str) -> Counts {
        let mut counts = Counts::default();
        counts.read(line);
        counts
    }

    #[test]
    fn reads_the_closing_lines_of_both_runners() {
        assert_eq!(
            counted("     Summary [   0.118s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped"),
            Counts { passed: 10, failed: 2, ignored: 3 }
        );
        assert_eq!(
            counted(
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped"
            ),
            Counts { passed: 2, failed: 0, ignored: 0 }
        );
        assert_eq!(
            counted("     Summary [   9.0s] 3/12 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped"),
            Counts { passed: 1, failed: 2, ignored: 0 }
        );
        assert_eq!(
            counted(
                "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s"
            ),
            Counts { passed: 3, failed: 1, ignored: 2 }
        );
        assert_eq!(counted("10 passed while I was away"), Counts::default());
        let fuzzed = Counts { passed: 1, failed: 0, ignored: 0 };
        assert_eq!(counted("fuzz rsl_parse: ok, 1200 runs, coverage 300"), fuzzed);
        assert_eq!(counted("fuzz rsl_parse: CRASHED"), Counts { passed: 0, failed: 1, ignored: 0 });
    }

    #[test]
    fn a_failed_step_without_tests_fails_the_whole() {
        let line = |outcome| Line { name: "step", outcome, counts: Counts::default(), took: Duration::ZERO };
        let summary = |lines| Summary { lines, skipped_tests: Vec::new(), took: Duration::ZERO };
        assert!(!summary(vec![line(Outcome::Passed), line(Outcome::Failed)]).passed());
        assert!(summary(vec![line(Outcome::Passed), line(Outcome::Skipped("no stock".into()))]).passed());
        let text = summary(vec![line(Outcome::Failed)]).to_string();
        assert!(text.ends_with("test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s"), "{text}");
    }

    #[test]
    fn tests_that_skip_themselves_are_not_counted_as_passed() {
        let lines = vec![Line {
            name: "end-to-end",
            outcome: Outcome::Passed,
            counts: Counts { passed: 5, failed: 0, ignored: 0 },
            took: Duration::ZERO,
        }];
        let text = Summary { lines, skipped_tests: vec!["a: no globusrun".into()], took: Duration::ZERO }
            .to_string();
        assert!(text.contains("skipped test: a: no globusrun"));
        assert!(text.contains("4 passed; 0 failed; 1 ignored"), "{text}");
    }
}
