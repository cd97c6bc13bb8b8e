//! The whole transition table as a snapshot, the stories of gram.md §12, and properties of random lives.

use super::*;
use crate::job::{
    Destination, FileRole, FileStage, Input, Output, Registration, Staging, Verdict, tests::sample,
};
use gram::{Signal, StateMask};
use proptest::prelude::*;
use std::fmt::Write as _;

const CONTACT: &str = "https://vm:2/";

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn in_seconds(seconds: u32) -> Timestamp {
    later(now(), seconds)
}

/// A job in this phase, with a state that goes with it.
fn job_in(phase: Phase) -> Job {
    let mut job = sample();
    job.phase = phase;
    job.spec.two_phase = Some(30);
    job.spec.stderr = Output::File("/dev/null".into());
    job.scheduler_id = match phase {
        Phase::Uncommitted { .. } | Phase::StagingIn | Phase::Submitting => None,
        _ => Some(SchedulerId("77".into())),
    };
    job.state = match phase {
        Phase::Uncommitted { .. } | Phase::Submitting => JobState::Unsubmitted,
        Phase::StagingIn => JobState::StageIn,
        Phase::StagingOut => JobState::StageOut,
        Phase::Uncollected { .. } | Phase::Parked { .. } | Phase::Over { .. } => JobState::Done,
        Phase::Submitted | Phase::Cancelling | Phase::Delivering { .. } | Phase::Stopped { .. } => {
            JobState::Active
        }
    };
    job
}

fn phases() -> Vec<Phase> {
    vec![
        Phase::Uncommitted { deadline: in_seconds(30) },
        Phase::StagingIn,
        Phase::Submitting,
        Phase::Submitted,
        Phase::Cancelling,
        Phase::Delivering { then: Verdict::Done },
        Phase::Delivering { then: Verdict::Failed },
        Phase::StagingOut,
        Phase::Uncollected { deadline: in_seconds(30) },
        Phase::Parked { expires: in_seconds(14400) },
        Phase::Stopped { expires: None },
        Phase::Stopped { expires: Some(in_seconds(14400)) },
        Phase::Over { until: in_seconds(300) },
    ]
}

fn failure() -> Failure {
    Failure::new(GramError::STAGING_EXECUTABLE, "no such file")
}

/// A contact of its own, nothing else.
fn restart() -> Restart {
    let contact = Registration { url: "https://vm:5/".into(), mask: 0xF_FFFF, owed: None };
    Restart { contact: Some(contact), update: StdioUpdate::default() }
}

fn new_stdout() -> StdioUpdate {
    let there = Output::Deliver(vec![crate::job::Destination::Url("https://vm:1/n".into())]);
    StdioUpdate { stdout: Some(there), ..StdioUpdate::default() }
}

fn moved(role: FileRole) -> FileProgress {
    FileProgress {
        role,
        stage: FileStage::Done { bytes: 5 },
        attempts: 1,
        since: now(),
        took: None,
        trouble: None,
    }
}

fn signals() -> Vec<Signal> {
    (1..=11).map(|number| Signal::new(number, Some("7")).unwrap()).collect()
}

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Fetched(Ok(())),
        Event::Fetched(Err(failure())),
        Event::Submitted(Ok(SchedulerId("88".into()))),
        Event::Submitted(Err(failure())),
        Event::Pending,
        Event::Active,
        Event::Suspended,
        Event::Ended(Outcome::Exited { code: 3 }),
        Event::Ended(Outcome::TimeLimit),
        Event::Ended(Outcome::Lost),
        Event::CancelFailed(failure()),
        Event::Controlled(Ok(())),
        Event::Controlled(Err(GramError::SIGNALING_JOB)),
        Event::Delivered(Ok(())),
        Event::Delivered(Err(failure())),
        Event::FileMoved(moved(FileRole::StageIn(0))),
        Event::FileMoved(moved(FileRole::StageOut(0))),
        Event::StagedOut(Ok(())),
        Event::StagedOut(Err(failure())),
        Event::Cleaned,
        Event::Told { url: CONTACT.into(), number: 1 },
        Event::Deadline,
        Event::Resumed,
        Event::Rebooted,
        Event::CredentialEnds,
        Event::CredentialRenewed,
        Event::Restart(Box::new(restart())),
        Event::StdioUpdate(Ok(Box::new(new_stdout()))),
        Event::StdioUpdate(Err(GramError::RSL_EVALUATION_FAILED)),
        Event::Query(Query::Status),
        Event::Query(Query::Cancel),
        Event::Query(Query::Register { mask: StateMask(4), url: "https://vm:3/".into() }),
        Event::Query(Query::Unregister { url: CONTACT.into() }),
        Event::Query(Query::Unregister { url: "https://vm:9/".into() }),
    ];
    events.extend(signals().into_iter().map(|signal| Event::Query(Query::Signal(signal))));
    events
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Query(Query::Signal(signal)) => format!("signal {signal}"),
        Event::Query(Query::Register { .. }) => "register".into(),
        Event::Query(Query::Unregister { url }) => format!("unregister {url}"),
        Event::Query(query) => format!("{query:?}").to_lowercase(),
        Event::Fetched(result) => format!("fetched {}", show_result(result)),
        Event::Submitted(result) => format!("submitted {}", show_result(result)),
        Event::Delivered(result) => format!("delivered {}", show_result(result)),
        Event::StagedOut(result) => format!("staged out {}", show_result(result)),
        Event::FileMoved(file) => format!("moved {:?}", file.role),
        Event::Controlled(result) => format!("controlled {}", show_result(result)),
        Event::StdioUpdate(result) => format!("stdio update {}", show_result(result)),
        Event::Restart(_) => "restart".into(),
        Event::CancelFailed(_) => "cancel failed".into(),
        Event::Told { .. } => "told".into(),
        Event::Ended(outcome) => format!("ended {outcome:?}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn show_result<T, E>(result: &Result<T, E>) -> &'static str {
    if result.is_ok() { "ok" } else { "err" }
}

fn show_phase(phase: Phase) -> String {
    let left = |at: Timestamp| at.duration_since(now()).as_secs();
    match phase {
        Phase::Uncommitted { deadline } => format!("Uncommitted({}s)", left(deadline)),
        Phase::Uncollected { deadline } => format!("Uncollected({}s)", left(deadline)),
        Phase::Parked { expires } => format!("Parked({}s)", left(expires)),
        Phase::Stopped { expires: Some(at) } => format!("Stopped({}s)", left(at)),
        Phase::Stopped { expires: None } => "Stopped".into(),
        Phase::Over { until } => format!("Over({}s)", left(until)),
        Phase::Delivering { then } => format!("Delivering({then:?})"),
        other => format!("{other:?}"),
    }
}

fn show_action(action: &Action) -> String {
    let show_answer = |answer: &Answer| {
        let mut text = format!("{:?}", answer.state);
        if answer.failure != GramError::SUCCESS {
            let _ = write!(text, "/{}", answer.failure.0);
        }
        if answer.refused != GramError::SUCCESS {
            let _ = write!(text, " refused {}", answer.refused.0);
        }
        text
    };
    match action {
        Action::Answer(answer) => format!("answer[{}]", show_answer(answer)),
        Action::AnswerHeld(answer) => format!("answer-held[{}]", show_answer(answer)),
        Action::Notify { notice, .. } => format!("notify[{:?}/{}]", notice.state, notice.failure.0),
        Action::SetTimer(left) => format!("timer {}s", left.as_secs()),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[test]
fn the_whole_transition_table() {
    let mut table = String::new();
    for two_phase in [true, false] {
        for phase in phases() {
            let mut job = job_in(phase);
            let makes_sense = two_phase
                || !matches!(
                    phase,
                    Phase::Uncommitted { .. } | Phase::Uncollected { .. } | Phase::Parked { .. }
                );
            if !makes_sense {
                continue;
            }
            if !two_phase {
                job.spec.two_phase = None;
            }
            let kind = if two_phase { "two-phase" } else { "one-phase" };
            writeln!(table, "{} ({kind}, {:?})", show_phase(phase), job.state).unwrap();
            for event in events() {
                let (after, actions) = step(job.clone(), event.clone(), now());
                let actions: Vec<_> = actions.iter().map(show_action).collect();
                let moved = if after.phase == job.phase { "-".into() } else { show_phase(after.phase) };
                writeln!(table, "    {:<32} {moved:<20} {}", show_event(&event), actions.join(", ")).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

// --- stories ----------------------------------------------------------------------------------------------------------

/// A job and everything it asked for so far.
struct Life {
    job: Job,
    now: Timestamp,
}

impl Life {
    fn new(job: Job) -> Self {
        Self { job, now: now() }
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        let (job, actions) = step(self.job.clone(), event, self.now);
        self.job = job;
        actions
    }

    fn signal(&mut self, number: u32, argument: Option<&str>) -> Answer {
        answer_of(&self.on(Event::Query(Query::Signal(Signal::new(number, argument).unwrap()))))
    }
}

fn answer_of(actions: &[Action]) -> Answer {
    actions
        .iter()
        .find_map(|action| match action {
            Action::Answer(answer) => Some(*answer),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no answer in {actions:?}"))
}

fn notices(actions: &[Action]) -> Vec<(JobState, u16)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Notify { notice, .. } => Some((notice.state, notice.failure.0)),
            _ => None,
        })
        .collect()
}

fn plain() -> Job {
    let mut job = job_in(Phase::Submitting);
    job.spec.two_phase = None;
    job
}

#[test]
fn a_plain_job_is_active_then_done() {
    let mut life = Life::new(plain());
    let actions = life.on(Event::Accepted);
    assert_eq!(actions.first(), Some(&Action::Save));
    assert!(actions.contains(&Action::Submit));
    assert_eq!(life.on(Event::Submitted(Ok(SchedulerId("1".into())))), vec![Action::Save]);
    assert_eq!(notices(&life.on(Event::Active)), [(JobState::Active, 0)]);
    let end = life.on(Event::Ended(Outcome::Exited { code: 3 }));
    assert_eq!(notices(&end), [(JobState::Done, 0)]);
    assert!(end.contains(&Action::CleanUp));
    assert_eq!(life.job.exit_code, Some(3));
    assert_eq!(answer_of(&life.on(Event::Query(Query::Status))).exit_code, Some(3));
    assert_eq!(life.on(Event::Deadline), [Action::Forget]);
}

#[test]
fn staging_and_delivery_come_in_order() {
    let mut job = plain();
    job.spec.executable = Input::Url("https://vm:1/x".into());
    job.spec.stdout = Output::Deliver(vec![crate::job::Destination::Url("https://vm:1/o".into())]);
    let mut life = Life::new(job);
    let actions = life.on(Event::Accepted);
    assert_eq!(notices(&actions), [(JobState::StageIn, 0)]);
    assert!(actions.contains(&Action::Fetch) && !actions.contains(&Action::Submit));
    assert!(life.on(Event::Fetched(Ok(()))).contains(&Action::Submit));
    life.on(Event::Active);
    let ended = life.on(Event::Ended(Outcome::Exited { code: 0 }));
    assert!(ended.contains(&Action::Deliver) && notices(&ended).is_empty(), "{ended:?}");
    assert_eq!(life.job.state, JobState::Active);
    assert_eq!(notices(&life.on(Event::Delivered(Ok(())))), [(JobState::Done, 0)]);
}

fn with_files(mut job: Job, list: fn(&mut Staging) -> &mut Vec<crate::job::FilePair>) -> Job {
    let pair = crate::job::FilePair { from: "a".into(), to: "https://vm:1/b".into() };
    list(job.spec.staging.get_or_insert_default()).push(pair);
    job
}

/// Stock says STAGE_OUT before it sends the streams, and only when there is a list of files (gram.md §11).
#[test]
fn files_are_staged_out_after_the_streams() {
    let mut job = with_files(plain(), |staging| &mut staging.stage_out);
    job.spec.stdout = Output::Deliver(vec![crate::job::Destination::Url("https://vm:1/o".into())]);
    let mut life = Life::new(job);
    life.on(Event::Accepted);
    life.on(Event::Active);
    let ended = life.on(Event::Ended(Outcome::Exited { code: 0 }));
    assert_eq!(notices(&ended), [(JobState::StageOut, 0)]);
    assert!(ended.contains(&Action::Deliver) && !ended.contains(&Action::StageOut), "{ended:?}");
    let delivered = life.on(Event::Delivered(Ok(())));
    assert!(delivered.contains(&Action::StageOut) && notices(&delivered).is_empty(), "{delivered:?}");
    assert_eq!(life.on(Event::FileMoved(moved(FileRole::StageOut(0)))), [Action::Save]);
    assert!(life.job.has_moved(FileRole::StageOut(0)));
    assert!(life.on(Event::Resumed).contains(&Action::StageOut));
    assert_eq!(notices(&life.on(Event::StagedOut(Ok(())))), [(JobState::Done, 0)]);
}

#[test]
fn a_job_that_failed_stages_nothing_out_but_is_cleaned() {
    let mut life = Life::new(with_files(plain(), |staging| &mut staging.stage_out));
    life.on(Event::Accepted);
    life.on(Event::Active);
    let ended = life.on(Event::Ended(Outcome::TimeLimit));
    assert_eq!(notices(&ended), [(JobState::Failed, GramError::SYSTEM_CANCELLED.0)]);
    assert!(ended.contains(&Action::CleanUp) && !ended.contains(&Action::StageOut), "{ended:?}");
}

#[test]
fn what_cannot_be_staged_out_fails_the_job() {
    let mut life = Life::new(with_files(job_in(Phase::StagingOut), |staging| &mut staging.stage_out));
    let failure = Failure::new(GramError::STAGE_OUT_FAILED, "refused");
    assert_eq!(notices(&life.on(Event::StagedOut(Err(failure)))), [(JobState::Failed, 155)]);
}

/// Whoever hears of the end hears that the job ran, in that order, also after the manager was away meanwhile.
#[test]
fn a_job_that_ended_unseen_was_active() {
    let mut life = Life::new(plain());
    life.on(Event::Accepted);
    let ended = life.on(Event::Ended(Outcome::Exited { code: 0 }));
    assert_eq!(notices(&ended), [(JobState::Active, 0), (JobState::Done, 0)]);
    let mut life = Life::new(plain());
    life.on(Event::Accepted);
    assert_eq!(notices(&life.on(Event::Ended(Outcome::Lost))), [(JobState::Failed, 17)]);
}

/// A scratch directory is made before the job starts; that is no staging, and no state says so.
#[test]
fn a_scratch_directory_alone_is_no_stage_in() {
    let mut job = plain();
    job.spec.staging.get_or_insert_default().scratch = Some("/home/alice/gram_scratch_abcdef".into());
    let mut life = Life::new(job);
    let actions = life.on(Event::Accepted);
    assert!(notices(&actions).is_empty() && actions.contains(&Action::Fetch), "{actions:?}");
    assert_eq!(life.job.state, JobState::Unsubmitted);
    assert!(life.on(Event::Fetched(Ok(()))).contains(&Action::Submit));
}

#[test]
fn staging_lists_make_the_state_stage_in() {
    let lists: [fn(&mut Staging) -> &mut Vec<crate::job::FilePair>; 2] =
        [|staging| &mut staging.stage_in, |staging| &mut staging.stage_in_shared];
    for list in lists {
        let mut life = Life::new(with_files(plain(), list));
        assert_eq!(notices(&life.on(Event::Accepted)), [(JobState::StageIn, 0)]);
        assert_eq!(life.on(Event::FileMoved(moved(FileRole::StageIn(0)))), [Action::Save]);
        // News of what is under way is worth no write of its own.
        let moving = FileProgress { stage: FileStage::Moving, ..moved(FileRole::StageIn(1)) };
        assert_eq!(life.on(Event::FileMoved(moving)), []);
        assert_eq!(life.job.progress.as_ref().unwrap().files.len(), 2);
        // Late news of an attempt that was broken off.
        life.on(Event::Query(Query::Cancel));
        assert_eq!(life.on(Event::FileMoved(moved(FileRole::StageIn(1)))), []);
    }
}

#[test]
fn undeliverable_output_fails_the_job() {
    let mut job = job_in(Phase::Delivering { then: Verdict::Done });
    job.spec.two_phase = None;
    let mut life = Life::new(job);
    let failure = Failure::new(GramError::OPENING_STDOUT, "unreachable");
    assert_eq!(notices(&life.on(Event::Delivered(Err(failure)))), [(JobState::Failed, 73)]);
}

#[test]
fn two_phase_commit_from_end_to_end() {
    let mut life = Life::new(job_in(Phase::Uncommitted { deadline: in_seconds(30) }));
    let accepted = life.on(Event::Accepted);
    assert!(accepted.contains(&Action::SetTimer(Duration::from_secs(30))));
    assert!(!accepted.contains(&Action::Submit), "nothing runs before the commit");

    assert_eq!(life.signal(6, Some("10")).refused, GramError::SUCCESS);
    assert_eq!(life.job.phase, Phase::Uncommitted { deadline: in_seconds(40) });
    assert_eq!(life.signal(10, None).refused, GramError::JOB_QUERY_DENIAL);

    let commit = life.on(Event::Query(Query::Signal(Signal::CommitRequest)));
    assert_eq!(answer_of(&commit).state, JobState::Unsubmitted);
    assert!(commit.contains(&Action::Submit) && commit.contains(&Action::StopTimer));
    assert_eq!(life.signal(5, None).refused, GramError::SUCCESS, "a second commit is harmless");

    life.on(Event::Active);
    let end = life.on(Event::Ended(Outcome::Exited { code: 0 }));
    assert_eq!(notices(&end), [(JobState::Done, 0)]);
    assert!(!end.contains(&Action::CleanUp), "everything is kept until the second commit");
    let collected = life.on(Event::Query(Query::Signal(Signal::CommitEnd)));
    assert_eq!(answer_of(&collected).state, JobState::Done);
    assert!(collected.contains(&Action::Forget));
}

#[test]
fn a_missing_commit_fails_the_job_with_111() {
    let mut life = Life::new(job_in(Phase::Uncommitted { deadline: in_seconds(30) }));
    life.on(Event::Accepted);
    life.now = in_seconds(30);
    assert_eq!(notices(&life.on(Event::Deadline)), [(JobState::Failed, 111)]);
    let status = answer_of(&life.on(Event::Query(Query::Status)));
    assert_eq!((status.state, status.failure.0), (JobState::Failed, 111));
    assert_eq!(life.job.phase, Phase::Over { until: in_seconds(60) });
    assert_eq!(life.on(Event::Deadline), [Action::Forget]);
}

#[test]
fn a_missing_second_commit_parks_the_job() {
    let mut life = Life::new(job_in(Phase::Uncollected { deadline: in_seconds(30) }));
    assert_eq!(notices(&life.on(Event::Deadline)), [(JobState::Failed, 111)]);
    assert!(matches!(life.job.phase, Phase::Parked { .. }));
    assert_eq!(answer_of(&life.on(Event::Query(Query::Status))).state, JobState::Done);
    assert!(
        life.on(Event::Query(Query::Signal(Signal::CommitEnd))).contains(&Action::Forget),
        "the second commit is still taken"
    );
}

#[test]
fn without_contacts_a_missing_second_commit_counts_as_given() {
    let mut job = job_in(Phase::Uncollected { deadline: in_seconds(30) });
    job.contacts.clear();
    assert!(Life::new(job).on(Event::Deadline).contains(&Action::Forget));
}

#[test]
fn removing_the_last_contact_is_the_second_commit() {
    let mut life = Life::new(job_in(Phase::Uncollected { deadline: in_seconds(30) }));
    let actions = life.on(Event::Query(Query::Unregister { url: CONTACT.into() }));
    assert!(actions.contains(&Action::Forget));
}

#[test]
fn cancel_is_answered_when_the_scheduler_has_ended_the_job() {
    let mut life = Life::new(job_in(Phase::Submitted));
    life.job.spec.two_phase = None;
    let asked = life.on(Event::Query(Query::Cancel));
    assert!(asked.contains(&Action::Hold) && asked.contains(&Action::Cancel), "{asked:?}");
    let end = life.on(Event::Ended(Outcome::Exited { code: 143 }));
    let answer = Answer {
        state: JobState::Failed,
        refused: GramError::SUCCESS,
        failure: GramError::USER_CANCELLED,
        exit_code: Some(143),
    };
    assert!(end.contains(&Action::AnswerHeld(answer)), "{end:?}");
    assert_eq!(notices(&end), [(JobState::Failed, 8)]);
    assert_eq!(life.job.exit_code, Some(143));
}

#[test]
fn a_cancel_while_the_scheduler_thinks_is_not_lost() {
    let mut life = Life::new(plain());
    life.on(Event::Accepted);
    assert!(!life.on(Event::Query(Query::Cancel)).contains(&Action::Cancel));
    assert!(life.on(Event::Submitted(Ok(SchedulerId("1".into())))).contains(&Action::Cancel));
}

#[test]
fn a_stopped_job_says_so_once_and_then_nothing() {
    let mut life = Life::new(job_in(Phase::Submitted));
    let stop = life.on(Event::Query(Query::Signal(Signal::StopManager)));
    assert_eq!(notices(&stop), [(JobState::Failed, 130)]);
    assert_eq!(answer_of(&stop).state, JobState::Active);
    let end = life.on(Event::Ended(Outcome::Exited { code: 0 }));
    assert!(notices(&end).is_empty());
    assert_eq!(answer_of(&life.on(Event::Query(Query::Status))).state, JobState::Active);
}

#[test]
fn masks_choose_what_a_contact_hears() {
    let mut job = plain();
    job.contacts = vec![
        Registration { url: "a".into(), mask: 2, owed: None },
        Registration { url: "b".into(), mask: 8, owed: None },
    ];
    let mut life = Life::new(job);
    let heard = |actions: &[Action]| -> Vec<String> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Notify { url, .. } => Some(url.clone()),
                _ => None,
            })
            .collect()
    };
    life.on(Event::Accepted);
    assert_eq!(heard(&life.on(Event::Active)), ["a"]);
    assert_eq!(heard(&life.on(Event::Ended(Outcome::Exited { code: 0 }))), ["b"]);
}

#[test]
fn an_update_is_owed_until_it_is_confirmed() {
    let mut life = Life::new(plain());
    life.on(Event::Accepted);
    life.on(Event::Active);
    life.on(Event::Ended(Outcome::Exited { code: 0 }));
    // A confirmation of the first update does not settle the second.
    assert!(life.on(Event::Told { url: CONTACT.into(), number: 1 }).is_empty());
    let again = life.on(Event::Resumed);
    assert_eq!(notices(&again), [(JobState::Done, 0)]);
    assert_eq!(life.on(Event::Told { url: CONTACT.into(), number: 2 }), [Action::Save]);
    assert!(notices(&life.on(Event::Resumed)).is_empty());
}

#[test]
fn contacts_are_bounded() {
    let mut life = Life::new(plain());
    for _ in 0..MAX_CONTACTS {
        life.on(Event::Query(Query::Register { mask: StateMask(1), url: "https://vm:7/".into() }));
    }
    assert_eq!(life.job.contacts.len(), MAX_CONTACTS);
    let long = "x".repeat(MAX_CONTACT_LENGTH + 1);
    life.job.contacts.clear();
    let actions = life.on(Event::Query(Query::Register { mask: StateMask(1), url: long }));
    assert_eq!(answer_of(&actions).refused, GramError::INSERTING_CLIENT_CONTACT);
}

#[test]
fn an_absurd_extension_does_not_overflow() {
    let mut life = Life::new(job_in(Phase::Uncommitted { deadline: Timestamp::MAX }));
    life.signal(6, Some("4294967295"));
    assert_eq!(life.job.phase, Phase::Uncommitted { deadline: Timestamp::MAX });
}

// --- properties -------------------------------------------------------------------------------------------------------

fn any_event() -> impl Strategy<Value = Event> {
    let all = events();
    (0..all.len()).prop_map(move |index| all[index].clone())
}

fn any_start() -> impl Strategy<Value = Job> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(two_phase, fetch, deliver)| {
        let mut job = plain();
        if two_phase {
            job.spec.two_phase = Some(30);
            job.phase = Phase::Uncommitted { deadline: in_seconds(30) };
        }
        if fetch {
            job.spec.stdin = Input::Url("https://vm:1/i".into());
        }
        if deliver {
            job.spec.stdout = Output::Deliver(vec![crate::job::Destination::Url("https://vm:1/o".into())]);
        }
        job
    })
}

fn tells(action: &Action) -> bool {
    matches!(action, Action::Answer(_) | Action::AnswerHeld(_) | Action::Notify { .. })
}

proptest! {
    #[test]
    fn random_lives_keep_the_rules(start in any_start(), events in prop::collection::vec(any_event(), 0..40)) {
        let (mut job, _) = step(start, Event::Accepted, now());
        let mut held = 0_u32;
        for (second, event) in events.into_iter().enumerate() {
            let before = job.clone();
            let is_restart = matches!(event, Event::Restart(_));
            let is_query = is_restart
                || matches!(event, Event::Query(_) | Event::Controlled(_) | Event::StdioUpdate(_));
            let (after, actions) = step(job, event, later(now(), second as u32));

            // Saved before told; and what changed visibly is always saved.
            if let Some(save) = actions.iter().position(|action| *action == Action::Save) {
                prop_assert_eq!(save, 0);
            } else {
                // So is what was asked and refused, which rides along with the next change.
                let unsaved_differences_are_confirmations = {
                    let mut a = after.clone();
                    let mut b = before.clone();
                    for contact in a.contacts.iter_mut().chain(b.contacts.iter_mut()) {
                        contact.owed = None;
                    }
                    (a.timeline, a.scheduler_id) = (b.timeline.clone(), b.scheduler_id.clone());
                    a == b
                };
                prop_assert!(unsaved_differences_are_confirmations, "{before:?} became {after:?}");
            }
            // A terminal state never changes unless its owner starts the job again, and it never waits in the queue once it ran.
            if before.is_terminal() && !is_restart {
                prop_assert_eq!(after.state, before.state);
                prop_assert!(!actions.contains(&Action::Submit));
            }
            if matches!(before.state, JobState::Active | JobState::Suspended) {
                prop_assert_ne!(after.state, JobState::Pending);
            }
            // A FAILED job always has a reason.
            if after.state == JobState::Failed {
                prop_assert_ne!(after.failure_code(), GramError::SUCCESS);
            }
            // Every query gets exactly one answer, or is held, or goes to the scheduler.
            let answers = actions.iter().filter(|action| {
                matches!(
                    action,
                    Action::Answer(_) | Action::Hold | Action::Suspend | Action::Resume | Action::CompareStdio { .. }
                )
            }).count();
            prop_assert_eq!(answers, usize::from(is_query), "{:?}", actions);
            // Held queries are answered when the job ends.
            held += actions.iter().filter(|action| **action == Action::Hold).count() as u32;
            if actions.iter().any(|action| matches!(action, Action::AnswerHeld(_))) {
                held = 0;
            }
            if after.is_terminal() {
                prop_assert_eq!(held, 0);
            }
            // Nobody hears of a stopped job's progress.
            if matches!(before.phase, Phase::Stopped { .. }) && !is_query {
                prop_assert!(!actions.iter().any(tells) || before.contacts.iter().any(|c| c.owed.is_some()));
            }
            if actions.contains(&Action::Forget) {
                prop_assert!(actions.iter().rposition(|a| *a == Action::Forget) == Some(actions.len() - 1));
                return Ok(());
            }
            job = after;
        }
    }

    #[test]
    fn an_answer_never_sees_a_later_change(event in any_event(), index in 0..13_usize) {
        let job = job_in(phases()[index]);
        let (after, actions) = step(job.clone(), event, now());
        for action in &actions {
            if let Action::Answer(answer) = action {
                prop_assert!(answer.state == job.state || answer.state == after.state);
            }
        }
    }
}

/// Output that goes to a URL is carried from the moment the scheduler has the job, and again after a restart; not without a
/// credential, and not after the job has been stopped or cancelled.
#[test]
fn output_streams_while_the_job_runs() {
    let submitted = |mut job: Job| {
        job.spec.stdout = Output::Deliver(vec![Destination::Url("https://vm:1/dev/stdout".into())]);
        job.phase = Phase::Submitting;
        step(job, Event::Submitted(Ok(SchedulerId("7".into()))), Timestamp::UNIX_EPOCH)
    };
    let on = |job: &Job, event| step(job.clone(), event, Timestamp::UNIX_EPOCH);
    let (job, actions) = submitted(sample());
    assert_eq!(actions, [Action::Save, Action::Stream]);
    assert!(on(&job, Event::Resumed).1.contains(&Action::Stream));

    let (stopped, actions) = on(&job, Event::Query(Query::Signal(Signal::StopManager)));
    assert!(actions.contains(&Action::StopStream));
    assert!(!on(&stopped, Event::Resumed).1.contains(&Action::Stream));

    let (lapsed, actions) = on(&job, Event::CredentialEnds);
    assert!(actions.contains(&Action::StopStream));
    assert!(!on(&lapsed, Event::Resumed).1.contains(&Action::Stream));
    assert!(on(&lapsed, Event::CredentialRenewed).1.contains(&Action::Stream));

    let (cancelling, _) = on(&job, Event::Query(Query::Cancel));
    assert!(on(&cancelling, Event::Ended(Outcome::Exited { code: 143 })).1.contains(&Action::StopStream));

    let mut here = sample();
    here.spec.stderr = Output::File("/dev/null".into());
    here.phase = Phase::Submitting;
    let (_, actions) = on(&here, Event::Submitted(Ok(SchedulerId("7".into()))));
    assert_eq!(actions, [Action::Save], "nothing goes to a URL");
}
