//! Both sites side by side.

use crate::site::Figures;
use e2e::crowd::{self, Churn};
use serde::Serialize;
use std::{fmt, fs, thread};

/// Clients at once in the round that the goal is about.
const GOAL_CLIENTS: usize = 8;
/// Our jobs per second over the stock site's.
const GOAL_RATE: f64 = 30.0;
/// The time of a stock client's `globus-job-run` at the stock site over that at ours.
const GOAL_COMMAND: (&str, f64) = ("globus-job-run", 5.0);
/// KiB of memory per live job beyond the first.
const GOAL_MEMORY: f64 = 20.0;
/// Seconds for the state of all of a crowd, for a new job manager to take it over, and to end all of it.
const GOAL_STATUS: f64 = 2.0;
const GOAL_RESTART: f64 = 10.0;
const GOAL_CANCEL: f64 = 60.0;

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    memory_kib: u64,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).to_owned()
        };
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: thread::available_parallelism().map_or(0, usize::from),
            kernel: field("/proc/sys/kernel/osrelease", ""),
            memory_kib: field("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse()
                .unwrap_or_default(),
        }
    }
}

/// What issues 3 and 4 ask for.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    what: String,
    at_least: Option<f64>,
    at_most: Option<f64>,
    is: f64,
    pub(crate) met: bool,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    stock: Figures,
    ours: Figures,
    crowd: crowd::Figures,
    pub(crate) goals: Vec<Goal>,
}

impl Report {
    /// Puts both together and judges.
    pub(crate) fn new(machine: Machine, stock: Figures, ours: Figures, crowd: crowd::Figures) -> Self {
        let mut report = Self { machine, stock, ours, crowd, goals: Vec::new() };
        report.goals = report.judge();
        report
    }

    fn judge(&self) -> Vec<Goal> {
        let at_least = |what: String, least: f64, is: f64| Goal {
            what,
            at_least: Some(least),
            at_most: None,
            is,
            met: is >= least,
        };
        let mut goals = Vec::new();
        for (stock, ours) in self.stock.rounds.iter().zip(&self.ours.rounds) {
            if stock.clients == GOAL_CLIENTS {
                let ratio = ours.jobs_per_second / stock.jobs_per_second;
                let what = format!("times the stock site's jobs per second, {GOAL_CLIENTS} clients");
                goals.push(at_least(what, GOAL_RATE, ratio));
            }
        }
        let (command, least) = GOAL_COMMAND;
        for (stock, ours) in self.stock.commands.iter().zip(&self.ours.commands) {
            if stock.command.starts_with(command) {
                let what = format!("times as fast for the stock client's {}", stock.command);
                goals.push(at_least(what, least, stock.median_ms / ours.median_ms));
            }
        }
        let crowd = &self.crowd;
        for (what, most, is) in [
            (
                "KiB of memory per live job beyond the first",
                GOAL_MEMORY,
                self.ours.live.pss_kib_per_further_job,
            ),
            ("KiB of memory per job of a crowd", GOAL_MEMORY, crowd.kib_per_job),
            ("seconds for the status of a crowd", GOAL_STATUS, crowd.status_seconds),
            ("seconds for a new job manager to know a crowd", GOAL_RESTART, crowd.restart_seconds),
            ("seconds to cancel a crowd", GOAL_CANCEL, crowd.cancel_seconds),
        ] {
            let what = what.to_owned();
            goals.push(Goal { what, at_least: None, at_most: Some(most), is, met: is <= most });
        }
        goals
    }
}

/// A line of the table: what, at the stock site, at ours, and how many times better ours is.
struct Line<'a>(&'a str, f64, f64, f64);

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, stock, ours, ratio) = self;
        writeln!(out, "{what:<36} {:>12} {:>12} {:>9}", figure(*stock), figure(*ours), format!("{ratio:.1}x"))
    }
}

/// Three digits that count, roughly.
fn figure(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, stock, ours, crowd, goals } = self;
        let Machine { processor, processors, kernel, memory_kib } = machine;
        writeln!(out, "{processor}, {processors} processors, {} MiB, Linux {kernel}", memory_kib / 1024)?;
        let before = (stock.load_average_before, ours.load_average_before);
        writeln!(out, "load average before: {:.2} (stock), {:.2} (ours)\n", before.0, before.1)?;
        writeln!(out, "{:<36} {:>12} {:>12} {:>9}", "", "stock", "ours", "ratio")?;
        let rounds = stock.rounds.iter().zip(&ours.rounds).map(|(stock, ours)| (stock, ours, "jobs"));
        for (stock, ours, jobs) in rounds.chain([(&stock.staged, &ours.staged, "staged jobs")]) {
            let plural = if ours.clients == 1 { "client" } else { "clients" };
            writeln!(out, "{} {plural} ({} and {} {jobs})", ours.clients, stock.jobs, ours.jobs)?;
            let (rate, our_rate) = (stock.jobs_per_second, ours.jobs_per_second);
            write!(out, "{}", Line("  jobs per second", rate, our_rate, our_rate / rate))?;
            for (what, stock, ours) in [
                ("  ms to reply, median", stock.reply_ms.median, ours.reply_ms.median),
                ("  ms to reply, 99th percentile", stock.reply_ms.p99, ours.reply_ms.p99),
                ("  ms to DONE, median", stock.done_ms.median, ours.done_ms.median),
                ("  ms to DONE, 99th percentile", stock.done_ms.p99, ours.done_ms.p99),
            ] {
                write!(out, "{}", Line(what, stock, ours, stock / ours))?;
            }
            if let (Some(stock), Some(ours)) = (stock.processor_ms_per_job, ours.processor_ms_per_job) {
                write!(out, "{}", Line("  ms of server CPU per job", stock, ours, stock / ours))?;
            }
        }
        let (live, our_live) = (&stock.live, &ours.live);
        writeln!(out, "live jobs ({} and {})", live.jobs, our_live.jobs)?;
        let whole = |memory: crate::usage::Memory| memory.pss_kib as f64;
        for (what, stock, ours) in [
            ("  KiB with the first job", whole(live.with_one_job), whole(our_live.with_one_job)),
            ("  KiB per further job", live.pss_kib_per_further_job, our_live.pss_kib_per_further_job),
        ] {
            write!(out, "{}", Line(what, stock, ours, stock / ours))?;
        }
        writeln!(out, "stock client, ms, median")?;
        for (stock, ours) in stock.commands.iter().zip(&ours.commands) {
            let (what, ratio) = (format!("  {}", stock.command), stock.median_ms / ours.median_ms);
            write!(out, "{}", Line(&what, stock.median_ms, ours.median_ms, ratio))?;
        }
        writeln!(out, "{} live jobs in one job manager of ours", crowd.jobs)?;
        for (what, is) in [
            ("  s to submit them as one array", crowd.submit_seconds),
            ("  KiB of memory per job", crowd.kib_per_job),
            ("  s for the status of all", crowd.status_seconds),
            ("  s for a new job manager to know all", crowd.restart_seconds),
            ("  s to cancel all", crowd.cancel_seconds),
        ] {
            writeln!(out, "{what:<36} {:>12} {:>12}", "", figure(is))?;
        }
        let Churn { seconds, jobs, kib } = &crowd.churn;
        let kib: Vec<String> = kib.iter().map(u64::to_string).collect();
        writeln!(
            out,
            "  KiB of memory while {jobs} short jobs came and went in {seconds:.0} s:\n    {}",
            kib.join(" ")
        )?;
        writeln!(out, "\ngoals")?;
        for goal in goals {
            let bound = match (goal.at_least, goal.at_most) {
                (Some(least), _) => format!("at least {least}"),
                (None, Some(most)) => format!("at most {most}"),
                (None, None) => String::new(),
            };
            let met = if goal.met { "met" } else { "MISSED" };
            writeln!(out, "  {met}: {} {} ({bound})", figure(goal.is), goal.what)?;
        }
        Ok(())
    }
}
