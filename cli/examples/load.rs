//! A load client: so many clients at once submit so many jobs to a gatekeeper of either make, each submission with its own
//! connection, full handshake and delegation, and wait by call-back until each job has come to a state.
//!
//! `load CONTACT CLIENTS JOBS [RSL [active|done]]` with proxy and trust directory from the usual places. Prints one line of
//! JSON: seconds in all, and milliseconds from submission to reply and to the state, of every job. One listener hears
//! the call-backs of all. `$(GASS)` in the RSL is the URL of a server of this program's, for jobs that are staged.
//! `cargo xtask bench gram` runs it against the stock gatekeeper and ours.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use gram::callback::Listener;
use gram::client::Client;
use gram::{JobContact, JobState, ResourceContact, StateMask};
use gsi::credential::Purpose;
use gsi::{Credential, DelegationMode, TrustDirectory};
use serde::Serialize;
use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is submitted when nothing else is said.
const RSL: &str = "&(executable=/bin/true)";
/// The variable that stands for the URL of our files.
const GASS: &str = "GASS";
/// How long one job may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the run was.
struct Plan {
    contact: ResourceContact,
    clients: usize,
    jobs: usize,
    rsl: String,
    /// Besides the two states that are ends.
    state: JobState,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    clients: usize,
    jobs: usize,
    /// From the first submission to the last end.
    seconds: f64,
    /// From submission to reply, one per job, in the order they ended.
    reply_ms: Vec<f64>,
    /// From submission to the call-back.
    end_ms: Vec<f64>,
}

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1).collect()) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}\nusage: load CONTACT CLIENTS JOBS [RSL [active|done]]");
            return ExitCode::from(2);
        }
    };
    match run(plan) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(arguments: Vec<String>) -> Result<Plan, Box<dyn Error>> {
    let mut arguments = arguments.into_iter();
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{what} is missing"));
    Ok(Plan {
        contact: next("the contact")?.parse()?,
        clients: next("the number of clients")?.parse()?,
        jobs: next("the number of jobs")?.parse()?,
        rsl: next("RSL").unwrap_or_else(|_| RSL.to_owned()),
        state: match next("the state").as_deref() {
            Ok("active") => JobState::Active,
            Ok("done") | Err(_) => JobState::Done,
            Ok(other) => return Err(format!("{other:?} is neither active nor done").into()),
        },
    })
}

#[tokio::main]
async fn run(mut plan: Plan) -> Result<String, Box<dyn Error>> {
    let credential = Credential::find(Purpose::User)?;
    let trust = TrustDirectory::open_default()?;
    let files = match plan.rsl.contains(&format!("$({GASS})")) {
        true => {
            let access = gass::Access { read: true, ..gass::Access::default() };
            Some(gass::Server::start(&credential, &trust, access).await?)
        }
        false => None,
    };
    if let (Some(files), Some(relations)) = (&files, plan.rsl.strip_prefix('&')) {
        plan.rsl = format!("&(rsl_substitution=({GASS} {})){relations}", files.url());
    }
    let client = Client::new(&credential, &trust)?;
    let listener = Listener::start(&credential, &trust).await?;
    let callback: Arc<str> = listener.url().into();
    let news = News::default();
    let heard = tokio::spawn(news.clone().hear(listener));

    let (plan, tickets) = (Arc::new(plan), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..plan.clients {
        let (client, plan, tickets) = (client.clone(), Arc::clone(&plan), Arc::clone(&tickets));
        let (callback, news) = (Arc::clone(&callback), news.clone());
        clients.spawn(async move {
            let mut times = Vec::new();
            while tickets.fetch_add(1, Ordering::Relaxed) < plan.jobs {
                times.push(job(&client, &plan, &callback, &news).await?);
            }
            Ok::<_, String>(times)
        });
    }
    let mut outcome =
        Outcome { clients: plan.clients, jobs: plan.jobs, seconds: 0.0, reply_ms: vec![], end_ms: vec![] };
    while let Some(times) = clients.join_next().await {
        for (reply, end) in times?? {
            outcome.reply_ms.push(reply.as_secs_f64() * 1e3);
            outcome.end_ms.push(end.as_secs_f64() * 1e3);
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    heard.abort();
    Ok(serde_json::to_string(&outcome)?)
}

/// Submits one job and waits for its state; how long it took to the reply and to the state.
async fn job(
    client: &Client,
    plan: &Plan,
    callback: &str,
    news: &News,
) -> Result<(Duration, Duration), String> {
    // Only what is waited for is subscribed to: each further call-back would be one more handshake for both ends.
    let wanted =
        [plan.state, JobState::Done, JobState::Failed].iter().fold(0, |mask, state| mask | state.value());
    let start = Instant::now();
    let submitting = client.submit(
        &plan.contact,
        None,
        plan.rsl.as_bytes(),
        StateMask(wanted),
        Some(callback),
        DelegationMode::Limited,
    );
    let submitted = submitting.await.map_err(|error| format!("a job was not accepted: {error}"))?;
    let reply = start.elapsed();
    let waiting = tokio::time::timeout(PATIENCE, news.wait(&submitted.contact));
    let state = waiting.await.map_err(|_| format!("{} did not end in time", submitted.contact))?;
    let end = start.elapsed();
    if state != plan.state {
        return Err(format!("{} is {state}, not {}", submitted.contact, plan.state));
    }
    Ok((reply, end))
}

/// The latest state of each job, told to who waits for it; a call-back may well come before the reply that names the job.
#[derive(Clone, Default)]
struct News {
    jobs: Arc<Mutex<HashMap<JobId, watch::Sender<Option<JobState>>>>>,
}

/// The two numbers in a job contact.
type JobId = (u64, u64);

impl News {
    async fn hear(self, mut listener: Listener) {
        while let Some(update) = listener.next().await {
            self.of(&update.job).send_replace(Some(update.state));
        }
    }

    async fn wait(&self, job: &JobContact) -> JobState {
        let mut news = self.of(job).subscribe();
        let state = news.wait_for(Option::is_some).await.ok().and_then(|state| *state);
        // The sender lives in the table, so there is a state.
        state.unwrap_or(JobState::Failed)
    }

    fn of(&self, job: &JobContact) -> watch::Sender<Option<JobState>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.entry((job.high, job.low)).or_default().clone()
    }
}
