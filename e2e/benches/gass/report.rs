//! All pairings side by side.

use crate::{
    Sizes,
    pairing::{Cost, Measured},
};
use serde::Serialize;
use std::fmt;

/// Ours over stock, large files.
const LARGE_FASTER: f64 = 2.0;
/// Processor time of server and client together for a large file, ours over stock.
const LARGE_CPU: f64 = 0.5;
/// Small files per second, ours over stock.
const SMALL_FASTER: f64 = 50.0;
/// How many MiB either of our programs may have for a large file.
const MEMORY: f64 = 64.0;

/// A task of a pairing, under its name.
type Task = (String, fn(&Measured) -> &Cost);
/// A figure of a task, under its name, and whether more of it is better.
type Row = (&'static str, fn(&Cost) -> f64, bool);

/// What issue 4 asks for, of our server with our client.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    what: &'static str,
    at_least: Option<f64>,
    at_most: Option<f64>,
    is: f64,
    pub(crate) met: bool,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    sizes: Sizes,
    /// Over the minute before: what else was going on.
    load_average_before: f64,
    pairings: [Measured; 4],
    pub(crate) goals: Vec<Goal>,
}

impl Cost {
    fn cpu(&self) -> f64 {
        self.server_cpu_seconds + self.client_cpu_seconds
    }

    fn files_per_second(&self) -> f64 {
        self.files as f64 / self.seconds
    }
}

impl Report {
    /// Puts all together and judges; the first pairing is stock's alone, the last ours.
    pub(crate) fn new(sizes: Sizes, load_average_before: f64, pairings: [Measured; 4]) -> Self {
        let [stock, _, _, ours] = &pairings;
        let goals = goals(stock, ours);
        Self { sizes, load_average_before, pairings, goals }
    }
}

fn goals(stock: &Measured, ours: &Measured) -> Vec<Goal> {
    let at_least =
        |what, least: f64, is: f64| Goal { what, at_least: Some(least), at_most: None, is, met: is >= least };
    let at_most =
        |what, most: f64, is: f64| Goal { what, at_least: None, at_most: Some(most), is, met: is <= most };
    let memory = |cost: &Cost| cost.server_peak_mib.max(cost.client_peak_mib.unwrap_or_default());
    let faster = |stock: &Cost, ours: &Cost| stock.seconds / ours.seconds;
    let cpu = |stock: &Cost, ours: &Cost| ours.cpu() / stock.cpu();
    vec![
        at_least(
            "times as fast: get of the large file",
            LARGE_FASTER,
            faster(&stock.large_get, &ours.large_get),
        ),
        at_least(
            "times as fast: put of the large file",
            LARGE_FASTER,
            faster(&stock.large_put, &ours.large_put),
        ),
        at_most("of the processor time: get", LARGE_CPU, cpu(&stock.large_get, &ours.large_get)),
        at_most("of the processor time: put", LARGE_CPU, cpu(&stock.large_put, &ours.large_put)),
        at_least(
            "times as many small files per second",
            SMALL_FASTER,
            ours.small_get.files_per_second() / stock.small_get.files_per_second(),
        ),
        at_most("MiB at most: get of the large file", MEMORY, memory(&ours.large_get)),
        at_most("MiB at most: put of the large file", MEMORY, memory(&ours.large_put)),
    ]
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
        let Self { sizes, load_average_before, pairings, goals } = self;
        writeln!(
            out,
            "load average before: {load_average_before:.2}; https, server and clients on this machine\n"
        )?;
        write!(out, "{:<34}", "server")?;
        pairings.iter().try_for_each(|pairing| write!(out, "{:>9}", pairing.server))?;
        write!(out, "\n{:<34}", "client")?;
        pairings.iter().try_for_each(|pairing| write!(out, "{:>9}", pairing.client))?;
        writeln!(out, "{:>9}", "ratio")?;
        let tasks: [Task; 4] = [
            (format!("get of {} MiB", sizes.large_mib), |measured| &measured.large_get),
            (format!("put of {} MiB", sizes.large_mib), |measured| &measured.large_put),
            (
                format!(
                    "get of {} files of 4 KiB ({} by the stock client)",
                    sizes.small, sizes.small_at_stock
                ),
                |measured| &measured.small_get,
            ),
            (format!("{} clients, {} MiB each", sizes.clients, sizes.client_mib), |measured| {
                &measured.clients_get
            }),
        ];
        for (name, of) in tasks {
            writeln!(out, "{name}")?;
            let rows: [Row; 6] = [
                ("seconds", |cost| cost.seconds, false),
                ("files per second", Cost::files_per_second, true),
                ("s of server CPU", |cost| cost.server_cpu_seconds, false),
                ("s of client CPU", |cost| cost.client_cpu_seconds, false),
                ("MiB peak of the server", |cost| cost.server_peak_mib, false),
                ("MiB peak of a client", |cost| cost.client_peak_mib.unwrap_or(f64::NAN), false),
            ];
            for (what, figure_of, more_is_better) in rows {
                let values: Vec<f64> = pairings.iter().map(|pairing| figure_of(of(pairing))).collect();
                let [stock, .., ours] = values.as_slice() else { continue };
                if ours.is_nan() {
                    continue;
                }
                write!(out, "  {what:<32}")?;
                values.iter().try_for_each(|value| write!(out, "{:>9}", figure(*value)))?;
                let ratio = if more_is_better { ours / stock } else { stock / ours };
                writeln!(out, "{:>9}", format!("{ratio:.1}x"))?;
            }
        }
        writeln!(out, "\ngoals (our server with our client beside the stock pair)")?;
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
