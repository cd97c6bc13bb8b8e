//! The figures of one site.

use crate::{ROUNDS, Round, STAGED, held::Held, usage::Memory};
use e2e::{Kind, stock};
use serde::{Deserialize, Serialize};
use std::{env, fs};

/// How often each stock command is timed; an odd number has a middle.
const REPETITIONS: usize = 5;
/// Clients that submit the jobs whose memory is measured.
const MEMORY_CLIENTS: usize = 8;
/// The program of jobs that stay alive.
const LIVE: &str = "sleep";
/// Jobs whose program comes from the client.
const STAGED_RSL: &str = "&(executable=$(GASS)/bin/true)";
const LIVE_RSL: &str = "&(executable=/bin/sleep)(arguments=900)";

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Load average over the last minute before the first measurement: what else was going on.
    pub(crate) load_average_before: f64,
    pub(crate) rounds: Vec<Load>,
    /// Jobs whose program is fetched from the client.
    pub(crate) staged: Load,
    pub(crate) live: Live,
    pub(crate) commands: Vec<Timed>,
}

/// One run of the load client.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) jobs: usize,
    pub(crate) jobs_per_second: f64,
    /// From submission to reply.
    pub(crate) reply_ms: Latency,
    /// From submission to the call-back that says DONE.
    pub(crate) done_ms: Latency,
    /// User and system time of the site's processes, the job's own included; None where no control group may be made.
    pub(crate) processor_ms_per_job: Option<f64>,
}

/// Of a number of durations.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Latency {
    fn of(mut durations: Vec<f64>) -> Self {
        durations.sort_by(f64::total_cmp);
        let at = |part: usize| durations.get(durations.len() * part / 100).copied().unwrap_or(f64::NAN);
        Self { median: at(50), p99: at(99) }
    }
}

/// Jobs that are alive, and the memory of what watches them; not of the jobs themselves.
#[derive(Debug, Serialize)]
pub(crate) struct Live {
    pub(crate) jobs: usize,
    pub(crate) with_one_job: Memory,
    pub(crate) with_all_jobs: Memory,
    /// KiB (Pss) per job beyond the first.
    pub(crate) pss_kib_per_further_job: f64,
}

/// A stock command at this site.
#[derive(Debug, Serialize)]
pub(crate) struct Timed {
    pub(crate) command: &'static str,
    pub(crate) median_ms: f64,
}

/// What `cli/examples/load.rs` prints.
#[derive(Deserialize)]
struct Outcome {
    jobs: usize,
    seconds: f64,
    reply_ms: Vec<f64>,
    end_ms: Vec<f64>,
}

/// Starts a site and measures everything; `jobs` says how many make a round.
pub(crate) fn measure(server: Kind, live: usize, jobs: impl Fn(&Round) -> usize) -> Figures {
    let load_average_before = load_average();
    let site = Held::start(server);
    // The first job starts the job manager; that is no job's cost.
    run_load(&site, 1, 1, &[]);
    say(server, "stock commands");
    let commands = commands(&site);
    let mut rounds = Vec::new();
    for round in &ROUNDS {
        say(server, &format!("{} clients, {} jobs", round.clients, jobs(round)));
        rounds.push(load(&site, round.clients, jobs(round), &[]));
    }
    say(server, &format!("{} clients, {} staged jobs", STAGED.clients, jobs(&STAGED)));
    let staged = load(&site, STAGED.clients, jobs(&STAGED), &[STAGED_RSL]);
    drop(site);
    say(server, &format!("{live} live jobs"));
    Figures { load_average_before, rounds, staged, live: live_jobs(server, live), commands }
}

fn say(server: Kind, what: &str) {
    eprintln!("{server:?}: {what}");
}

fn run_load(site: &Held, clients: usize, jobs: usize, what: &[&str]) -> Outcome {
    let bench = env::current_exe().expect("this program has a path");
    // target/release/deps/gram-… → target/release/examples/load
    let folder = bench.ancestors().nth(2).expect("benches lie below the target folder");
    let numbers = [clients, jobs].map(|number| number.to_string());
    let mut arguments = vec![site.contact()];
    arguments.extend(numbers.iter().map(String::as_str));
    arguments.extend(what);
    let finished = site.run(&folder.join("examples").join("load"), &arguments);
    serde_json::from_str(&finished.stdout).expect("the load client prints JSON")
}

fn load(site: &Held, clients: usize, jobs: usize, what: &[&str]) -> Load {
    let before = site.processor_ms();
    let outcome = run_load(site, clients, jobs, what);
    let used = site.processor_ms().zip(before).map(|(after, before)| after - before);
    Load {
        clients,
        jobs: outcome.jobs,
        jobs_per_second: outcome.jobs as f64 / outcome.seconds,
        reply_ms: Latency::of(outcome.reply_ms),
        done_ms: Latency::of(outcome.end_ms),
        processor_ms_per_job: used.map(|used| used / outcome.jobs as f64),
    }
}

/// At a site of its own, which has no memory left over from other work.
fn live_jobs(server: Kind, jobs: usize) -> Live {
    let site = Held::start(server);
    run_load(&site, 1, 1, &[LIVE_RSL, "active"]);
    let with_one_job = site.memory_without(LIVE);
    run_load(&site, MEMORY_CLIENTS, jobs - 1, &[LIVE_RSL, "active"]);
    let with_all_jobs = site.memory_without(LIVE);
    let further = with_all_jobs - with_one_job;
    let pss_kib_per_further_job = further.pss_kib as f64 / (jobs - 1) as f64;
    Live { jobs, with_one_job, with_all_jobs, pss_kib_per_further_job }
}

/// The stock client's commands, as a user types them.
fn commands(site: &Held) -> Vec<Timed> {
    let contact = site.contact();
    let lines: [(&str, &[&str]); 3] = [
        ("globusrun -a", &["globusrun", "-a", "-r", contact]),
        ("globusrun -b (/bin/true)", &["globusrun", "-b", "-r", contact, "&(executable=/bin/true)"]),
        ("globus-job-run /bin/echo", &["globus-job-run", contact, "/bin/echo", "hello"]),
    ];
    lines
        .map(|(command, line)| {
            let (program, arguments) = line.split_first().expect("not empty");
            let program = stock::program(program);
            let once = |_| site.run(&program, arguments).took.as_secs_f64() * 1e3;
            Timed { command, median_ms: Latency::of((0..REPETITIONS).map(once).collect()).median }
        })
        .into()
}

/// Over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}
