//! Why a job is where it is, in sentences, and what its owner can do about it. From the time line to text, nothing else.

use super::{
    advice,
    timeline::{file, moment, time, trouble},
};
use gram::client::JobStatus;
use gram::timeline::{FileStage, Place, Timeline, What};
use gram::{GramError, JobState};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A credential that ends sooner is worth a word.
const ENDS_SOON: SignedDuration = SignedDuration::from_mins(30);

/// An explanation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Sentences, the most important first.
    pub says: Vec<String>,
    /// What can be done: commands, or a sentence.
    #[serde(rename = "try")]
    pub advice: Vec<String>,
}

impl Explanation {
    fn say(&mut self, sentence: impl Into<String>) {
        self.says.push(sentence.into());
    }

    fn advise(&mut self, advice: impl Into<String>) {
        self.advice.push(advice.into());
    }

    /// One sentence a line, then one piece of advice a line.
    pub fn text(&self) -> String {
        let advice = self.advice.iter().map(|advice| format!("  try: {advice}"));
        self.says.iter().cloned().chain(advice).collect::<Vec<_>>().join("\n")
    }
}

/// Explains a job whose job manager tells time lines.
pub fn explain(told: &Timeline) -> Explanation {
    let mut found = Explanation::default();
    place(told, &mut found);
    files(told, &mut found);
    credential(told, &mut found);
    contacts(told, &mut found);
    found
}

/// Explains a job of which only the state is known: its job manager is a stock one.
pub fn explain_status(job: &str, status: &JobStatus) -> Explanation {
    let mut found = Explanation::default();
    match status.state {
        Some(JobState::Failed) => failed(status.failure, status.failure.text(), job, &mut found),
        Some(JobState::Done) => {
            found.say("It is done, or has been forgotten by its site, which means the same.");
        }
        Some(JobState::Unsubmitted) => {
            found.say("It has not been handed to the scheduler yet; when it was submitted with two_phase, it waits for a commit.");
            found.advise(format!("gridiron signal {job} commit"));
        }
        Some(JobState::StageIn) => found.say("Its files are being fetched."),
        Some(JobState::Pending) => found.say("It is queued at the scheduler."),
        Some(JobState::Active) => found.say("It is running."),
        Some(JobState::Suspended) => found.say("The scheduler has stopped it."),
        Some(JobState::StageOut) => found.say("Its program has ended, and its files are being sent."),
        None => found.say("Its state is not known."),
    }
    found.say("Its job manager tells no more than that: it is no Gridiron.");
    found
}

fn place(told: &Timeline, found: &mut Explanation) {
    let job = &told.job;
    let since = since(told).map_or_else(String::new, |at| format!(" since {}", moment(told.now, at)));
    let until = told.until.map_or_else(|| "some time".to_owned(), |at| moment(told.now, at));
    let scheduler = match &told.scheduler_id {
        Some(id) => format!("the scheduler {} as {id}", told.origin.scheduler),
        None => format!("the scheduler {}", told.origin.scheduler),
    };
    match told.phase {
        Place::Uncommitted => {
            found.say(format!("It waits for your commit until {until}. Without it, it fails then with error 111, and nothing has been run."));
            found.advise(format!("gridiron signal {job} commit"));
        }
        Place::StagingIn => found.say(format!("Its files are being fetched{since}.")),
        Place::Submitting => found.say(format!("It is being handed to {scheduler}{since}.")),
        Place::Submitted => match told.state {
            JobState::Active => found.say(format!("It has been running{since}, at {scheduler}.")),
            JobState::Suspended => {
                found.say(format!("It has been stopped{since}, at {scheduler}."));
                found.advise(format!("gridiron signal {job} resume"));
            }
            _ => found.say(format!("It is queued at {scheduler}{since}.")),
        },
        Place::Cancelling => {
            found.say(format!("You have asked for its end, and {scheduler} is ending it{since}."));
        }
        Place::Delivering | Place::StagingOut => sending(told, &since, found),
        Place::Uncollected => {
            ended(told, found);
            found.say(format!("It waits for your second commit until {until}; then it is parked."));
            found.advise(format!("gridiron signal {job} end    # when you have what you need of it"));
        }
        Place::Parked => {
            ended(told, found);
            found.say(format!(
                "Your second commit did not come in time: it is parked, and forgotten at {until}."
            ));
            found.advise(format!("gridiron restart {job}    # to be told of its end once more"));
            found.advise(format!("gridiron signal {job} end"));
        }
        Place::Stopped => stopped(told, &until, found),
        Place::Over => {
            ended(told, found);
            found.say(format!("Its site forgets it at {until}."));
        }
        Place::Other => found.say(format!(
            "It is {}, somewhere that this version of gridiron does not know. A newer one can tell.",
            told.state.name()
        )),
    }
}

fn sending(told: &Timeline, since: &str, found: &mut Explanation) {
    let code = told.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
    let what =
        if told.phase == Place::StagingOut { "files are being sent" } else { "output is being delivered" };
    let to = match told.destinations.as_slice() {
        _ if told.phase == Place::StagingOut => String::new(),
        [] => String::new(),
        some => format!(" to {}", some.join(", ")),
    };
    found.say(format!("Its program has ended{code}. Its {what}{to}{since}."));
    if let Some(failure) = &told.failure {
        found.say(format!("It will be FAILED when that is over: {}.", trouble(failure)));
    }
}

fn stopped(told: &Timeline, until: &str, found: &mut Explanation) {
    match told.until {
        None => found.say("Its job manager was told to leave it alone (STOP_MANAGER): it runs on, and nobody is told of its end."),
        Some(_) => {
            let code = told.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
            found.say(format!("Its job manager was told to leave it alone (STOP_MANAGER). It has ended since{code}."));
            if let Some(failure) = &told.failure {
                found.say(format!("It failed: {}.", trouble(failure)));
            }
            found.say(format!("It is kept until {until}."));
        }
    }
    found.advise(format!("gridiron restart {}", told.job));
}

/// How it ended, of a job that is over.
fn ended(told: &Timeline, found: &mut Explanation) {
    let when = since_state(told).map_or_else(String::new, |at| format!(" at {}", time(at)));
    match (&told.failure, told.exit_code) {
        (Some(failure), _) if told.state == JobState::Failed => {
            failed(GramError(failure.code), &trouble(failure), &told.job, found);
        }
        (_, Some(0)) => found.say(format!("It is done{when}; its program ended well (exit code 0).")),
        (_, Some(code)) => {
            found.say(format!("It is done{when}; its program ended with exit code {code}."));
            found.say(
                "By that number the program itself says what went wrong; its standard error may say more.",
            );
            found.advise(format!("gridiron output --err {}", told.job));
        }
        (_, None) => found.say(format!("It is {}{when}.", told.state.name())),
    }
}

fn failed(code: GramError, what: &str, job: &str, found: &mut Explanation) {
    let symbol = code.symbol().map_or_else(String::new, |symbol| format!(" [{symbol}]"));
    found.say(format!("It failed: {what}{symbol}."));
    if let Some(advice) = advice::for_failure(code, job) {
        found.advise(advice);
    }
}

/// The files that are not where they should be.
fn files(told: &Timeline, found: &mut Explanation) {
    let moves = matches!(told.phase, Place::StagingIn | Place::Delivering | Place::StagingOut);
    let open: Vec<_> = told.files.iter().filter(|file| file.stage != FileStage::Done).collect();
    if told.files.is_empty() || (!moves && open.is_empty()) {
        return;
    }
    let all = told.files.len() + told.files_left_out;
    found.say(format!("Of the {all} files it has begun with, {} are there.", told.files.len() - open.len()));
    for waiting in open {
        found.say(format!("  {}", file(waiting)));
    }
}

fn credential(told: &Timeline, found: &mut Explanation) {
    let job = &told.job;
    if told.phase == Place::Over {
        return;
    }
    let renew = || format!("gridiron proxy init && gridiron renew {job}");
    match told.credential.until {
        None => {
            found.say("Its site has no credential of yours any more: its files cannot be moved.");
            found.advise(format!("gridiron proxy init && gridiron restart {job}"));
        }
        Some(until) if until <= told.now => {
            found.say(format!(
                "The credential it was given ended at {}; its files cannot be moved.",
                time(until)
            ));
            found.advise(renew());
        }
        Some(until) if told.credential.lapsed => {
            found.say(format!(
                "The credential it was given ends at {}: no file is moved until there is a new one.",
                moment(told.now, until)
            ));
            found.advise(renew());
        }
        Some(until) if until.duration_since(told.now) < ENDS_SOON => {
            found.say(format!("The credential it was given ends soon, at {}.", moment(told.now, until)));
            found.advise(renew());
        }
        Some(_) => {}
    }
}

fn contacts(told: &Timeline, found: &mut Explanation) {
    let given_up = told.events.iter().rev().find_map(|event| match &event.what {
        What::CallbackGivenUp { contact } => Some((event.at, contact)),
        _ => None,
    });
    if let Some((at, contact)) = given_up {
        found.say(format!(
            "{contact} has not been told everything: it did not answer, and was given up at {}.",
            time(at)
        ));
    }
    let given_up = given_up.map(|(_, contact)| contact);
    for contact in told.contacts.iter().filter(|contact| contact.owed && Some(&contact.url) != given_up) {
        found.say(format!("{} has not confirmed the latest update yet.", contact.url));
    }
}

/// When the job came to where it is, its state included.
fn since(told: &Timeline) -> Option<Timestamp> {
    first_of_run(told, |phase, state| (phase, state) == (told.phase, told.state))
}

fn since_state(told: &Timeline) -> Option<Timestamp> {
    first_of_run(told, |_, state| state == told.state)
}

/// When the last stretch began in which this holds to the present.
fn first_of_run(told: &Timeline, holds: impl Fn(Place, JobState) -> bool) -> Option<Timestamp> {
    let reached = told.events.iter().rev().filter_map(|event| match event.what {
        What::Reached { phase, state } => Some((event.at, phase, state)),
        _ => None,
    });
    reached.take_while(|(_, phase, state)| holds(*phase, *state)).last().map(|(at, ..)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::timeline::tests::{at, moved, told};
    use gram::timeline::{Contact, Event, Lease, Trouble};

    /// The explanation as text, of a job changed so.
    fn of(phase: Place, state: JobState, change: impl FnOnce(&mut Timeline)) -> String {
        let mut job = told(phase, state);
        change(&mut job);
        explain(&job).text()
    }

    #[test]
    fn every_phase_is_explained() {
        use JobState::*;
        let cases = [
            (
                Place::Uncommitted,
                Unsubmitted,
                "It waits for your commit until 1970-01-12 13:52:40 (in 5 min). Without it, it fails then with error 111, and nothing has been run.\n  \
                 try: gridiron signal https://vm:1/2/3/ commit",
            ),
            (Place::StagingIn, StageIn, "Its files are being fetched since 1970-01-12 13:47:10 (30 s ago)."),
            (
                Place::Submitting,
                Unsubmitted,
                "It is being handed to the scheduler fork as 77 since 1970-01-12 13:46:40 (1 min ago).",
            ),
            (
                Place::Submitted,
                Pending,
                "It is queued at the scheduler fork as 77 since 1970-01-12 13:47:10 (30 s ago).",
            ),
            (
                Place::Submitted,
                Active,
                "It has been running since 1970-01-12 13:47:10 (30 s ago), at the scheduler fork as 77.",
            ),
            (
                Place::Submitted,
                Suspended,
                "It has been stopped since 1970-01-12 13:47:10 (30 s ago), at the scheduler fork as 77.\n  \
                 try: gridiron signal https://vm:1/2/3/ resume",
            ),
            (
                Place::Cancelling,
                Active,
                "You have asked for its end, and the scheduler fork as 77 is ending it since 1970-01-12 13:47:10 (30 s ago).",
            ),
            (
                Place::Delivering,
                Active,
                "Its program has ended. Its output is being delivered since 1970-01-12 13:47:10 (30 s ago).",
            ),
            (
                Place::StagingOut,
                StageOut,
                "Its program has ended. Its files are being sent since 1970-01-12 13:47:10 (30 s ago).",
            ),
            (
                Place::Uncollected,
                Done,
                "It is DONE at 1970-01-12 13:47:10.\nIt waits for your second commit until 1970-01-12 13:52:40 (in 5 min); then it is parked.\n  \
                 try: gridiron signal https://vm:1/2/3/ end    # when you have what you need of it",
            ),
            (
                Place::Parked,
                Done,
                "It is DONE at 1970-01-12 13:47:10.\nYour second commit did not come in time: it is parked, and forgotten at 1970-01-12 13:52:40 (in 5 min).\n  \
                 try: gridiron restart https://vm:1/2/3/    # to be told of its end once more\n  \
                 try: gridiron signal https://vm:1/2/3/ end",
            ),
            (
                Place::Stopped,
                Active,
                "Its job manager was told to leave it alone (STOP_MANAGER). It has ended since.\nIt is kept until 1970-01-12 13:52:40 (in 5 min).\n  \
                 try: gridiron restart https://vm:1/2/3/",
            ),
            (
                Place::Over,
                Done,
                "It is DONE at 1970-01-12 13:47:10.\nIts site forgets it at 1970-01-12 13:52:40 (in 5 min).",
            ),
            (
                Place::Other,
                Active,
                "It is ACTIVE, somewhere that this version of gridiron does not know. A newer one can tell.",
            ),
        ];
        for (phase, state, text) in cases {
            assert_eq!(of(phase, state, |job| job.until = Some(at(360))), text, "{phase:?}");
        }
    }

    #[test]
    fn a_stopped_job_that_runs_on() {
        let text = of(Place::Stopped, JobState::Active, |_| {});
        assert!(text.contains("it runs on, and nobody is told"), "{text}");
    }

    #[test]
    fn the_third_try_of_a_file_and_why() {
        let text = of(Place::StagingIn, JobState::StageIn, |job| {
            job.files = vec![
                moved(FileStage::Done, 1, None),
                moved(FileStage::Moving, 3, Some("connection refused")),
                moved(FileStage::Waiting, 2, Some("timed out")),
            ];
        });
        assert!(
            text.ends_with(
                "Of the 3 files it has begun with, 1 are there.\n  \
                 file_stage_in https://h:1/in → /tmp/in: under way, 3 tries; connection refused\n  \
                 file_stage_in https://h:1/in → /tmp/in: waiting for the next try, 2 tries; timed out"
            ),
            "{text}"
        );
    }

    #[test]
    fn output_on_its_way() {
        let text = of(Place::Delivering, JobState::Active, |job| {
            job.exit_code = Some(3);
            job.destinations = vec!["https://h:1/out".into()];
            job.failure = Some(Trouble::new(GramError(9), "the job reached its max_wall_time"));
        });
        assert!(text.starts_with(
            "Its program has ended with exit code 3. Its output is being delivered to https://h:1/out since"
        ));
        assert!(
            text.contains(
                "It will be FAILED when that is over: the job reached its max_wall_time (error 9)."
            ),
            "{text}"
        );
    }

    #[test]
    fn ends() {
        let done = |code| of(Place::Over, JobState::Done, |job| job.exit_code = Some(code));
        assert!(done(0).starts_with("It is done at 1970-01-12 13:47:10; its program ended well"));
        assert!(done(3).contains("exit code 3") && done(3).contains("gridiron output --err"));
        let failed = of(Place::Over, JobState::Failed, |job| {
            job.failure = Some(Trouble {
                source: Some("https://h:1/x".into()),
                ..Trouble::new(GramError(43), "404 Not Found")
            });
        });
        assert!(
            failed.starts_with(
                "It failed: 404 Not Found (error 43), from https://h:1/x [STAGING_EXECUTABLE].\n"
            ),
            "{failed}"
        );
        assert!(failed.contains("try: "), "{failed}");
    }

    #[test]
    fn credentials() {
        let with = |until: Option<i64>, lapsed| {
            of(Place::Submitted, JobState::Active, |job| {
                job.credential = Lease { until: until.map(at), lapsed };
            })
        };
        assert!(!with(Some(7260), false).contains("credential"));
        assert!(with(Some(660), false).contains("ends soon, at 1970-01-12 13:57:40 (in 10 min)"));
        assert!(with(Some(360), true).contains("no file is moved until there is a new one"));
        let ended = with(Some(50), true);
        assert!(
            ended.contains("ended at 1970-01-12 13:47:30")
                && ended.contains("gridiron renew https://vm:1/2/3/")
        );
        assert!(with(None, false).contains("no credential of yours"));
    }

    #[test]
    fn contacts_that_do_not_answer() {
        let text = of(Place::Submitted, JobState::Active, |job| {
            let contact = |url: &str| Contact { url: url.into(), owed: true };
            job.contacts = vec![contact("https://h:2/"), contact("https://h:3/")];
            let what = What::CallbackGivenUp { contact: "https://h:2/".into() };
            job.events.push(Event { at: at(40), times: 1, what });
        });
        assert!(text.contains("https://h:2/ has not been told everything"), "{text}");
        assert!(text.ends_with("https://h:3/ has not confirmed the latest update yet."), "{text}");
    }

    #[test]
    fn stock_job_managers_tell_little() {
        let status = |state| JobStatus {
            state: Some(state),
            failure: GramError(8),
            exit_code: None,
            extensions: vec![],
        };
        for state in JobState::ALL {
            let text = explain_status("J", &status(state)).text();
            assert!(text.contains("it is no Gridiron"), "{text}");
        }
        let failed = explain_status("J", &status(JobState::Failed)).text();
        assert!(failed.starts_with("It failed: the user cancelled the job [USER_CANCELLED]."), "{failed}");
    }
}
