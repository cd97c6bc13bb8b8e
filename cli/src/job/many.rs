//! Questions about many jobs: one for each job manager where it knows how (docs/protocol-extensions.md), one for each job where it
//! does not.

use crate::job::watch;
use gram::{
    GramError, JobContact, JobState,
    client::{Client, ClientError, JobStatus},
    wire::{
        Query,
        bulk::{JobAnswer, Which},
    },
};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Questions under way at once.
const PARALLEL: usize = 16;
/// The states of more jobs than this are asked for without naming each.
const MANY: usize = 100;

/// What is asked of each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its state.
    Status,
    /// To end; answered when it has.
    Cancel,
    /// The commit of a two-phase job.
    Commit,
}

impl Question {
    fn query(self) -> Query {
        match self {
            Self::Status => Query::Status,
            Self::Cancel => Query::Cancel,
            Self::Commit => Query::Signal(gram::Signal::CommitRequest),
        }
    }
}

/// The answer of one job; one that its site has forgotten is done.
pub type Answer = Result<JobStatus, ClientError>;

/// Asks all, each job manager once; the answers come in the order of the jobs.
pub async fn ask(client: &Client, jobs: &[JobContact], question: Question) -> Vec<Answer> {
    let mut managers: HashMap<(&str, u16), Vec<usize>> = HashMap::new();
    for (place, job) in jobs.iter().enumerate() {
        managers.entry((&job.host, job.port)).or_default().push(place);
    }
    let turns = Arc::new(Semaphore::new(PARALLEL));
    let mut asking = JoinSet::new();
    for places in managers.into_values() {
        let group: Vec<JobContact> = places.iter().filter_map(|place| jobs.get(*place)).cloned().collect();
        let (client, turns) = (client.clone(), Arc::clone(&turns));
        asking.spawn(async move { (places, ask_manager(client, turns, group, question).await) });
    }
    let mut answers: Vec<Option<Answer>> = vec![None; jobs.len()];
    while let Some(answered) = asking.join_next().await {
        let Ok((places, group)) = answered else { continue };
        for (place, answer) in places.into_iter().zip(group) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some(answer);
            }
        }
    }
    let unanswered = || ClientError::new(GramError::PROTOCOL_FAILED, "the job was not asked");
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered()))).collect()
}

/// The jobs of one job manager.
async fn ask_manager(
    client: Client,
    turns: Arc<Semaphore>,
    jobs: Vec<JobContact>,
    question: Question,
) -> Vec<Answer> {
    if let [_, _, ..] = jobs.as_slice()
        && let Some(answers) = ask_at_once(&client, &turns, &jobs, question).await
    {
        return answers;
    }
    let mut asking = JoinSet::new();
    for (place, job) in jobs.iter().cloned().enumerate() {
        let (client, turns) = (client.clone(), Arc::clone(&turns));
        asking.spawn(async move {
            let _turn = turns.acquire().await;
            (place, ask_one(&client, &job, question).await)
        });
    }
    let mut answers: Vec<(usize, Answer)> = asking.join_all().await;
    answers.sort_unstable_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// All in one call; None: this job manager does not know how.
async fn ask_at_once(
    client: &Client,
    turns: &Semaphore,
    jobs: &[JobContact],
    question: Question,
) -> Option<Vec<Answer>> {
    let at = jobs.first()?;
    let _turn = turns.acquire().await;
    let which = if question == Question::Status && jobs.len() > MANY {
        Which::All
    } else {
        Which::Jobs(jobs.iter().map(id).collect())
    };
    match client.query_many(at, which, &question.query()).await {
        Ok(answers) => {
            let answers: HashMap<_, JobAnswer> =
                answers?.into_iter().map(|answer| (answer.job, answer)).collect();
            let answer = |job| match answers.get(&id(job)) {
                Some(answer) => answer.status(job).map(forgotten_is_done),
                None => Ok(done()),
            };
            Some(jobs.iter().map(answer).collect())
        }
        Err(error) if watch::gone(&error) => Some(vec![Ok(done()); jobs.len()]),
        Err(error) => Some(vec![Err(error); jobs.len()]),
    }
}

fn id(job: &JobContact) -> (u64, u64) {
    (job.high, job.low)
}

async fn ask_one(client: &Client, job: &JobContact, question: Question) -> Answer {
    let asked = match question {
        Question::Status => return watch::status(client, job).await,
        Question::Cancel => client.cancel(job).await,
        Question::Commit => client.signal(job, &gram::Signal::CommitRequest).await,
    };
    match asked {
        Err(error) if watch::gone(&error) => watch::status(client, job).await,
        answer => answer,
    }
}

fn forgotten_is_done(status: JobStatus) -> JobStatus {
    JobStatus { state: Some(status.state_or_done()), ..status }
}

fn done() -> JobStatus {
    JobStatus {
        state: Some(JobState::Done),
        failure: GramError::SUCCESS,
        exit_code: None,
        extensions: Vec::new(),
    }
}
