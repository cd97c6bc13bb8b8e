//! What is noted of lives, and that it stays small.

use super::*;
use crate::{
    job::{Output, Registration, tests::sample},
    machine::step,
    scheduler::{Outcome, SchedulerId},
};
use gram::timeline::Timeline as Told;
use jiff::ToSpan;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The job after these events, one a second.
fn life(mut job: Job, events: Vec<Event>) -> Job {
    for (second, event) in (1..).zip(events) {
        job = step(job, event, at(second)).0;
    }
    job
}

fn plain() -> Job {
    let mut job = sample();
    job.spec.stderr = Output::File("/dev/null".into());
    job
}

fn whats(job: &Job) -> Vec<What> {
    job.timeline.events().iter().map(|event| event.what.clone()).collect()
}

fn reached(phase: Place, state: JobState) -> What {
    What::Reached { phase, state }
}

#[test]
fn a_plain_life() {
    let job = life(
        plain(),
        vec![
            Event::Accepted,
            Event::Submitted(Ok(SchedulerId("77".into()))),
            Event::Pending,
            Event::Active,
            Event::Ended(Outcome::Exited { code: 3 }),
        ],
    );
    assert_eq!(
        whats(&job),
        [
            What::Accepted,
            reached(Place::Submitting, JobState::Unsubmitted),
            What::Scheduled { id: "77".into() },
            reached(Place::Submitted, JobState::Unsubmitted),
            reached(Place::Submitted, JobState::Pending),
            reached(Place::Submitted, JobState::Active),
            What::Exited { code: 3 },
            reached(Place::Over, JobState::Done),
        ]
    );
    assert_eq!(job.timeline.events()[3].at, at(2));
    assert!(serde_json::to_string(&job.timeline).unwrap().len() < 700);
}

#[test]
fn signals_with_their_refusals_and_repetitions() {
    let signal = |number| Event::Query(Query::Signal(Signal::new(number, Some("7")).unwrap()));
    let mut job = plain();
    (job.phase, job.state) = (Phase::Submitted, JobState::Active);
    job.scheduler_id = Some(SchedulerId("1".into()));
    let job = life(job, vec![signal(4), signal(4), signal(42), Event::Query(Query::Cancel)]);
    let refused = |query: &str, refused| What::Asked { query: query.into(), refused };
    assert_eq!(
        whats(&job),
        [
            refused("PRIORITY", 27),
            refused("signal 42", 108),
            refused("cancel", 0),
            reached(Place::Cancelling, JobState::Active)
        ]
    );
    assert_eq!(job.timeline.events()[0].times, 2);
}

#[test]
fn a_callback_given_up_is_saved_for_its_own_sake() {
    let mut job = plain();
    (job.phase, job.state) = (Phase::Submitted, JobState::Pending);
    job = step(job, Event::Active, at(1)).0;
    let Registration { url, owed, .. } = job.contacts[0].clone();
    let number = owed.unwrap().number;
    let (job, actions) = step(job, Event::GivenUp { url: url.clone(), number }, at(2));
    assert_eq!(actions, [Action::Save]);
    assert_eq!(job.contacts[0].owed, None);
    assert_eq!(whats(&job).last(), Some(&What::CallbackGivenUp { contact: url }));
}

#[test]
fn what_failed_besides_the_jobs_own_failure() {
    let mut job = sample();
    job.failure = Some(Failure::new(GramError::SYSTEM_CANCELLED, "time is up"));
    job.phase = Phase::Delivering { then: crate::job::Verdict::Failed };
    let refused = Failure::new(GramError::OPENING_STDERR, "connection refused");
    let job = step(job, Event::Delivered(Err(refused.clone())), at(1)).0;
    assert_eq!(whats(&job)[0], What::Trouble(trouble(&refused)));

    let mut job = sample();
    job.phase = Phase::Delivering { then: crate::job::Verdict::Done };
    let job = step(job, Event::Delivered(Err(refused)), at(1)).0;
    assert_eq!(whats(&job), [reached(Place::Over, JobState::Failed)], "the failure is the job's own");
}

#[test]
fn it_stays_small_whatever_comes() {
    let mut timeline = Timeline::default();
    for number in 0..10_000 {
        let contact = short(&format!("https://h/{number}/{}", "é".repeat(3000)));
        timeline.add(at(number), What::CallbackGivenUp { contact });
        timeline.add(at(number), reached(Place::Submitted, JobState::Active));
    }
    assert!(timeline.events.len() <= MAX_EVENTS && timeline.texts() <= MAX_TEXTS);
    assert_eq!(timeline.events[0].at, at(0), "how it began stays known");
    assert_eq!(timeline.events.last().unwrap().at, at(9999));
    assert_eq!(timeline.events.len() + timeline.left_out as usize, 20_000);
    assert!(serde_json::to_string(&timeline).unwrap().len() < 12_000);
    assert!(size_of::<timeline::Event>() <= 64, "a plain job has some ten");
    assert!(size_of::<timeline::Event>() * MAX_EVENTS + MAX_TEXTS < 10_000);
}

#[test]
fn records_of_earlier_versions_are_read() {
    let mut record = serde_json::to_value(sample()).unwrap();
    assert!(record.get("timeline").is_none(), "an empty one takes no room");
    let job: Job = serde_json::from_value(record.clone()).unwrap();
    assert!(job.timeline.is_empty());
    record["timeline"] =
        serde_json::json!({"events": [{"at": "1970-01-01T00:00:01Z", "what": "teleported"}]});
    let job: Job = serde_json::from_value(record).unwrap();
    assert_eq!(whats(&job), [What::Other]);
}

#[test]
fn the_owner_is_told_all() {
    let mut job = life(
        sample(),
        vec![
            Event::Accepted,
            Event::Submitted(Ok(SchedulerId("77".into()))),
            Event::Ended(Outcome::Exited { code: 0 }),
            Event::Delivered(Err(Failure {
                destination: Some("https://vm:1/dev/stderr".into()),
                ..Failure::new(GramError::OPENING_STDERR, "refused")
            })),
        ],
    );
    job.contacts[0].owed = None;
    let told = report(&job, at(9));
    assert_eq!((told.state, told.phase), (JobState::Failed, Place::Over));
    assert_eq!(told.until, at(4).checked_add(300.seconds()).ok());
    assert_eq!(told.destinations, ["https://vm:1/dev/stderr"]);
    assert_eq!(told.failure.as_ref().unwrap().destination.as_deref(), Some("https://vm:1/dev/stderr"));
    assert_eq!(told.events.len(), job.timeline.events().len());
    let text = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
}
