//! Following a job by its call-backs, with a slow status query as a safety net for lost ones.

use crate::job::{Ending, Interrupt, Progress, Wait};
use gram::{
    GramError, JobContact, JobState,
    callback::{Listener, Update},
    client::{Client, ClientError, JobStatus},
};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often a job without news is asked after: call-backs can be lost, or blocked by a firewall.
const SAFETY_NET: Duration = Duration::from_secs(30);

const CANCELLED: GramError = GramError(8);
const CONTACT_GONE: [GramError; 2] = [GramError(12), GramError(79)];
const UNKNOWN_JOB: GramError = GramError(156);

/// A job being watched.
pub struct Watch<'a> {
    /// Asks and cancels.
    pub client: &'a Client,
    /// The job.
    pub job: &'a JobContact,
    /// What SIGINT does.
    pub interrupt: Interrupt,
}

impl Watch<'_> {
    /// Follows the job until it has ended, or got as far as `wait` asks.
    pub async fn until(
        &self,
        wait: Wait,
        listener: &mut Listener,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Ending, ClientError> {
        let mut news = Ending { contact: Some(self.job.clone()), ..Ending::default() };
        let mut ask = interval_at(Instant::now() + SAFETY_NET, SAFETY_NET);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listening = true;
        while !is_over(news.state, wait) {
            tokio::select! {
                update = listener.next(), if listening => match update {
                    Some(update) if same_job(&update.job, self.job) => {
                        let changed = learn(&mut news, &update);
                        if changed {
                            observe(Progress::State(&update));
                        }
                        ask.reset();
                    }
                    Some(_) => {}
                    None => listening = false,
                },
                _ = ask.tick() => {
                    let update = as_update(self.job, status(self.client, self.job).await?);
                    if update.as_ref().is_some_and(|update| learn(&mut news, update))
                        && let Some(update) = &update
                    {
                        observe(Progress::State(update));
                    }
                }
                _ = tokio::signal::ctrl_c() => {
                    if news.interrupted || self.interrupt == Interrupt::LeaveJob {
                        news.interrupted = true;
                        return Ok(news);
                    }
                    news.interrupted = true;
                    observe(Progress::Cancelling);
                    self.cancel(&mut news, observe).await?;
                }
            }
        }
        Ok(news)
    }

    /// Cancels; a second interrupt meanwhile leaves at once.
    async fn cancel(
        &self,
        news: &mut Ending,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), ClientError> {
        let reply = tokio::select! {
            reply = self.client.cancel(self.job) => reply,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let update = match reply {
            Ok(status) => as_update(self.job, status),
            Err(error) if gone(&error) => Some(ended(self.job, JobState::Done)),
            Err(error) => return Err(error),
        };
        if let Some(update) = update
            && learn(news, &update)
        {
            observe(Progress::State(&update));
        }
        Ok(())
    }
}

/// A job that finished is forgotten at once, so "unknown job" from a living manager and "nobody listens any more" both
/// mean DONE to stock clients (gram.md §7). Queries `job` and reads the answer that way.
pub async fn status(client: &Client, job: &JobContact) -> Result<JobStatus, ClientError> {
    match client.status(job).await {
        Err(error) if gone(&error) => Ok(JobStatus {
            state: Some(JobState::Done),
            failure: GramError::SUCCESS,
            exit_code: None,
            extensions: Vec::new(),
        }),
        Ok(JobStatus { state: None, failure, exit_code, extensions }) => {
            Ok(JobStatus { state: Some(JobState::Done), failure, exit_code, extensions })
        }
        reply => reply,
    }
}

/// The job, or its whole manager, is not there any more.
pub fn gone(error: &ClientError) -> bool {
    CONTACT_GONE.contains(&error.code) || error.code == UNKNOWN_JOB
}

/// DONE and FAILED.
pub fn is_terminal(state: JobState) -> bool {
    matches!(state, JobState::Done | JobState::Failed)
}

/// The stock name: `PENDING`, `ACTIVE`, …
pub fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "PENDING",
        JobState::Active => "ACTIVE",
        JobState::Failed => "FAILED",
        JobState::Done => "DONE",
        JobState::Suspended => "SUSPENDED",
        JobState::Unsubmitted => "UNSUBMITTED",
        JobState::StageIn => "STAGE_IN",
        JobState::StageOut => "STAGE_OUT",
    }
}

fn is_over(state: Option<JobState>, wait: Wait) -> bool {
    match (state, wait) {
        (_, Wait::Reply) => true,
        (None, _) => false,
        (Some(state), Wait::Submitted) => !matches!(state, JobState::Unsubmitted | JobState::StageIn),
        (Some(state), Wait::End) => is_terminal(state),
    }
}

/// The port changes when a job manager restarts; the two numbers never do.
fn same_job(one: &JobContact, other: &JobContact) -> bool {
    (one.high, one.low) == (other.high, other.low)
}

/// Takes an update in; `false` when it is nothing new. The end is final: late or repeated updates change nothing.
fn learn(news: &mut Ending, update: &Update) -> bool {
    if news.state.is_some_and(is_terminal) || news.state == Some(update.state) {
        return false;
    }
    news.state = Some(update.state);
    news.exit_code = update.exit_code.or(news.exit_code);
    if update.state == JobState::Failed {
        let unexplained = update.failure == GramError::SUCCESS;
        news.failure = Some(if unexplained && news.interrupted { CANCELLED } else { update.failure });
    }
    if let Some(message) = extension(update, "message") {
        news.message = Some(message.to_owned());
    }
    news.staging = staging(update).or(news.staging.take());
    true
}

fn extension<'a>(update: &'a Update, name: &str) -> Option<&'a str> {
    let found = |(known, _): &&(String, String)| known.strip_prefix("gt3-failure-") == Some(name);
    update.extensions.iter().find(found).map(|(_, value)| value.as_str())
}

/// The sentence that stock clients make for 43, 44 and 135 when they are told the file (gram.md §10).
fn staging(update: &Update) -> Option<String> {
    let source = extension(update, "source")?;
    let what = match (extension(update, "type")?, update.failure) {
        ("executable", GramError::STAGING_EXECUTABLE) => "executable",
        ("stdin", GramError::STAGING_STDIN) => "stdin",
        ("filestagein", GramError::STAGE_IN_FAILED) => "a file",
        _ => return None,
    };
    let to = extension(update, "destination").map(|path| format!(" to {path}")).unwrap_or_default();
    // Only of files of a list is the reason part of the sentence, as well as a line of its own.
    let why = extension(update, "message").filter(|text| what == "a file" && !text.is_empty());
    let why = why.map(|text| format!(": {text}")).unwrap_or_default();
    Some(format!("the job manager could not stage in {what} from {source}{to}{why}"))
}

fn as_update(job: &JobContact, status: JobStatus) -> Option<Update> {
    let JobStatus { state, failure, exit_code, extensions } = status;
    Some(Update { job: job.clone(), state: state?, failure, exit_code, extensions })
}

fn ended(job: &JobContact, state: JobState) -> Update {
    Update { job: job.clone(), state, failure: GramError::SUCCESS, exit_code: None, extensions: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(port: u16) -> JobContact {
        JobContact { host: "h".to_owned(), port, high: 1, low: 2 }
    }

    fn update(state: JobState) -> Update {
        ended(&contact(1), state)
    }

    #[test]
    fn batch_leaves_once_the_job_is_submitted() {
        assert!(!is_over(None, Wait::Submitted));
        assert!(!is_over(Some(JobState::Unsubmitted), Wait::Submitted));
        assert!(!is_over(Some(JobState::StageIn), Wait::Submitted));
        assert!(is_over(Some(JobState::Pending), Wait::Submitted));
        assert!(!is_over(Some(JobState::Active), Wait::End));
        assert!(is_over(Some(JobState::Failed), Wait::End));
    }

    #[test]
    fn the_end_is_final_and_repetitions_are_no_news() {
        let mut news = Ending::default();
        assert!(learn(&mut news, &update(JobState::Active)));
        assert!(!learn(&mut news, &update(JobState::Active)));
        assert!(learn(&mut news, &Update { exit_code: Some(3), ..update(JobState::Done) }));
        assert!(!learn(&mut news, &update(JobState::Failed)));
        assert_eq!((news.state, news.exit_code, news.failure), (Some(JobState::Done), Some(3), None));
    }

    #[test]
    fn a_failure_keeps_its_number_and_the_sites_words() {
        let mut news = Ending::default();
        let failed = Update {
            failure: GramError(17),
            extensions: vec![("gt3-failure-message".to_owned(), "no room".to_owned())],
            ..update(JobState::Failed)
        };
        assert!(learn(&mut news, &failed));
        assert_eq!(news.failure, Some(GramError(17)));
        assert_eq!(news.message.as_deref(), Some("no room"));
    }

    #[test]
    fn a_file_that_was_not_staged_in_is_named() {
        let told = |pairs: &[(&str, &str)]| {
            let extensions =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Update { failure: GramError::STAGE_IN_FAILED, extensions, ..update(JobState::Failed) }
        };
        let (kind, source) = (("gt3-failure-type", "filestagein"), ("gt3-failure-source", "https://h:1/x"));
        let whole = told(&[kind, source, ("gt3-failure-destination", "y")]);
        let text = "the job manager could not stage in a file from https://h:1/x to y";
        assert_eq!(staging(&whole).as_deref(), Some(text));
        let with_reason = told(&[kind, source, ("gt3-failure-message", "no such file")]);
        let text = "the job manager could not stage in a file from https://h:1/x: no such file";
        assert_eq!(staging(&with_reason).as_deref(), Some(text));
        assert_eq!(staging(&told(&[source])), None);
        assert_eq!(staging(&Update { failure: GramError(155), ..whole }), None);
    }

    #[test]
    fn a_restarted_manager_has_a_new_port_but_the_same_jobs() {
        assert!(same_job(&contact(1), &contact(2)));
        assert!(!same_job(&contact(1), &JobContact { low: 3, ..contact(1) }));
    }
}
