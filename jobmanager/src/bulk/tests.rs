//! Many jobs with a real store and real job contacts; only the scheduler is a script.

use super::*;
use crate::{
    scheduler::{Outcome, SchedulerEvent},
    testing::{Person, Running, World, request},
};
use gram::{JobContact, client::Client, wire::Query, wire::bulk::Which};
use std::time::Duration;

const NEVER_IDLE: Duration = Duration::from_secs(3600);
const BATCH: &str = "0b9c0c5e-0000-4000-8000-000000000000";

/// A request for an array, and one job.
fn many(person: &Person, array: &str, last: u32, alone: &str) -> v1::SubmitManyRequest {
    let common = v1::SubmitRequest { request_id: BATCH.into(), rsl: Vec::new(), ..request(person, "", None) };
    let array = v1::Template { rsl: array.into(), indices: vec![v1::Range { first: 1, last }] };
    let alone = v1::Template { rsl: alone.into(), indices: Vec::new() };
    v1::SubmitManyRequest { common: Some(common), first: 10, templates: vec![array, alone] }
}

fn contacts(reply: &v1::SubmitManyReply) -> Vec<JobContact> {
    reply.jobs.iter().filter(|job| job.error == 0).map(|job| job.job_contact.parse().unwrap()).collect()
}

fn ids(contacts: &[JobContact]) -> Vec<(u64, u64)> {
    contacts.iter().map(|contact| (contact.high, contact.low)).collect()
}

fn key((high, low): (u64, u64)) -> JobKey {
    JobKey { high, low }
}

async fn submitted(running: &Running, jobs: &[(u64, u64)]) {
    for job in jobs {
        running.scheduler.called(&format!("submit {}", key(*job))).await;
    }
}

const ARRAY: &str = "&(executable=/bin/echo)(arguments=$(GRIDIRON_ARRAY_INDEX))";

#[tokio::test]
async fn each_job_of_a_batch_is_accepted_or_refused_on_its_own() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let reply = submit(&running.shared, many(&alice, ARRAY, 3, "&(count=x)")).await.unwrap();
    assert_eq!(reply.jobs.iter().map(|job| job.error).collect::<Vec<_>>(), [0, 0, 0, 81]);
    assert!(reply.jobs[3].message.contains("executable"), "{}", reply.jobs[3].message);

    // Whatever is told has been stored, each with its own number.
    let stored = running.shared.store.load_all().await.unwrap();
    let jobs: Vec<crate::job::Job> =
        stored.iter().map(|stored| serde_json::from_slice(&stored.record.body).unwrap()).collect();
    let mut arguments: Vec<_> = jobs
        .iter()
        .map(|job| (job.origin.request_id.clone(), job.spec.arguments[0].lossy().into_owned()))
        .collect();
    arguments.sort();
    let expected = [10, 11, 12].map(|number| (format!("{BATCH}.{number}"), (number - 9).to_string()));
    assert_eq!(arguments, expected);
    assert!(jobs.iter().all(|job| job.spec.environment[0].0.as_bytes() == rsl::array::INDEX.as_bytes()));
    running.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_offered_again_makes_no_second_job() {
    let world = World::new();
    let (alice, mallory) = (world.person("Alice"), world.person("Mallory"));
    let running = world.manager(NEVER_IDLE).await;
    let first = submit(&running.shared, many(&alice, ARRAY, 3, ARRAY)).await.unwrap();
    // The last one lacks its number.
    assert_eq!(first.jobs[3].error, 39, "{:?}", first.jobs[3]);
    let wider = submit(&running.shared, many(&alice, ARRAY, 4, ARRAY)).await.unwrap();
    assert_eq!(contacts(&first), contacts(&wider)[..3]);
    running.stop().await;

    // Nor does it after a restart.
    let running = world.manager(NEVER_IDLE).await;
    let again = submit(&running.shared, many(&alice, ARRAY, 4, ARRAY)).await.unwrap();
    assert_eq!(ids(&contacts(&again)), ids(&contacts(&wider)));
    // The ids are Alice's; with them Mallory gets jobs of her own.
    let hers = submit(&running.shared, many(&mallory, ARRAY, 3, ARRAY)).await.unwrap();
    assert!(ids(&contacts(&hers)).iter().all(|job| !ids(&contacts(&again)).contains(job)));
    running.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_all_is_told_of_each() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let mut request = many(&alice, ARRAY, 2, ARRAY);
    request.common.as_mut().unwrap().delegated_credential = b"nonsense".to_vec();
    let reply = submit(&running.shared, request).await.unwrap();
    assert_eq!(reply.jobs.iter().map(|job| job.error).collect::<Vec<_>>(), [30; 3]);
    running.stop().await;
}

#[tokio::test]
async fn status_and_cancel_of_many_over_the_wire() {
    let world = World::new();
    let (alice, mallory) = (world.person("Alice"), world.person("Mallory"));
    let running = world.manager(NEVER_IDLE).await;
    let contacts = contacts(&submit(&running.shared, many(&alice, ARRAY, 3, "&")).await.unwrap());
    let jobs = ids(&contacts);
    submitted(&running, &jobs).await;
    let client = Client::new(&alice.proxy, &world.trust()).unwrap();
    running.scheduler.report(SchedulerEvent::Ended(key(jobs[0]), Outcome::Exited { code: 3 }));
    running.scheduler.report(SchedulerEvent::Active(key(jobs[1])));
    running.scheduler.called("forget").await;

    let unknown = (1, 2);
    let asked = vec![jobs[1], unknown, jobs[0]];
    let mut answers;
    loop {
        let which = Which::Jobs(asked.clone());
        answers = client.query_many(&contacts[0], which, &Query::Status).await.unwrap().unwrap();
        if answers[0].status == 2 {
            break;
        }
    }
    assert_eq!(answers.iter().map(|answer| answer.job).collect::<Vec<_>>(), asked);
    assert_eq!((answers[1].status, answers[1].failure_code.0), (0, 156));
    assert_eq!((answers[2].status, answers[2].exit_code), (8, Some(3)));
    assert_eq!(answers[1].status(&contacts[0]).unwrap().state, None);
    let all = client.query_many(&contacts[0], Which::All, &Query::Status).await.unwrap().unwrap();
    assert_eq!(all.len(), 3);

    // All that have not ended are cancelled; the answer waits for their end.
    let cancelling = tokio::spawn({
        let (client, contact) = (client.clone(), contacts[0].clone());
        async move { client.query_many(&contact, Which::All, &Query::Cancel).await }
    });
    running.scheduler.called(&format!("cancel {}", key(jobs[1]))).await;
    running.scheduler.called(&format!("cancel {}", key(jobs[2]))).await;
    assert!(!cancelling.is_finished());
    for job in &jobs[1..] {
        running.scheduler.report(SchedulerEvent::Ended(key(*job), Outcome::Exited { code: 143 }));
    }
    let answers = cancelling.await.unwrap().unwrap().unwrap();
    let told: Vec<_> = answers.iter().map(|answer| (answer.status, answer.job_failure_code.0)).collect();
    assert_eq!(told, [(4, 8); 2]);

    // Jobs of others do not exist.
    let hers: JobContact =
        running.submit(&mallory, "&(executable=/bin/true)", None).await.job_contact.parse().unwrap();
    let mallorys = Client::new(&mallory.proxy, &world.trust()).unwrap();
    let which = Which::Jobs(jobs.clone());
    let answers = mallorys.query_many(&hers, which, &Query::Status).await.unwrap().unwrap();
    assert!(answers.iter().all(|answer| answer.failure_code.0 == 156));
    let all = mallorys.query_many(&hers, Which::All, &Query::Status).await.unwrap().unwrap();
    assert_eq!(all.len(), 1);
    running.stop().await;
}

#[test]
fn a_request_is_never_expanded_beyond_the_limit() {
    let range = v1::Range { first: 0, last: u32::MAX };
    let template = v1::Template { rsl: b"&(executable=a)".to_vec(), indices: vec![range; 3] };
    let request = v1::SubmitManyRequest { common: None, first: u64::MAX - 5, templates: vec![template] };
    assert!(expand(request).len() <= MAX_JOBS);
}
