//! The manager with a real store, real job contacts and real call-backs; only the scheduler is a script.

use super::*;
use crate::testing::{Person, Running, World, proxy_of, request};
use gram::{
    GramError, JobContact, JobState, Signal,
    callback::Listener,
    client::Client,
    control::v1,
    wire::{self, Query},
};
use gsi::{DelegationMode, ProxyKind};
use tokio::sync::oneshot;

const NEVER_IDLE: Duration = Duration::from_secs(3600);

fn client(world: &World, person: &Person) -> Client {
    Client::new(&person.proxy, &world.trust()).unwrap()
}

fn contact(reply: &v1::SubmitReply) -> JobContact {
    assert!(matches!(reply.error, 0 | 110), "{reply:?}");
    reply.job_contact.parse().unwrap()
}

fn key(contact: &JobContact) -> JobKey {
    JobKey { high: contact.high, low: contact.low }
}

/// The next update of a listener: state and failure.
async fn heard(listener: &mut Listener) -> (JobState, u16) {
    let update = tokio::time::timeout(Duration::from_secs(20), listener.next()).await.unwrap().unwrap();
    (update.state, update.failure.0)
}

#[tokio::test]
async fn a_job_from_submission_to_done() {
    let world = World::new();
    let alice = world.person("Alice");
    let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
    let running = world.manager(NEVER_IDLE).await;
    let reply = running.submit(&alice, "&(executable=/bin/true)", Some(listener.url())).await;
    let contact = contact(&reply);
    let files = running.shared.site.job_files(key(&contact));
    assert!(files.proxy().exists());

    running.scheduler.called("submit").await;
    running.scheduler.report(SchedulerEvent::Active(key(&contact)));
    assert_eq!(heard(&mut listener).await, (JobState::Active, 0));
    let alices = client(&world, &alice);
    assert_eq!(alices.status(&contact).await.unwrap().state, Some(JobState::Active));

    running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 3 }));
    assert_eq!(heard(&mut listener).await, (JobState::Done, 0));
    let status = alices.status(&contact).await.unwrap();
    assert_eq!((status.state, status.exit_code), (Some(JobState::Done), Some(3)));
    running.scheduler.called("forget").await;
    running.stop().await;
    assert!(!files.directory().exists());
}

#[tokio::test]
async fn only_the_owner_is_served() {
    let world = World::new();
    let (alice, mallory) = (world.person("Alice"), world.person("Mallory"));
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    // Mallory does not even insist on who the job manager is: a raw connection that trusts anyone.
    let connector = gsi::Connector::new(&mallory.proxy, &world.trust()).unwrap();
    let tcp = tokio::net::TcpStream::connect(("localhost", contact.port)).await.unwrap();
    let mut stream = connector.connect(tcp, &gsi::Expect::Anyone).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let uri = format!("/{}/{}/", contact.high, contact.low);
    let query = Query::Cancel.encode(&uri, "localhost");
    gram::exchange::write_message(&mut stream, &query, deadline).await.unwrap();
    let (_, body) = gram::exchange::read_reply(&mut stream, deadline).await.unwrap();
    let reply = wire::QueryReply::decode(&body).unwrap();
    assert_eq!((reply.status, reply.failure_code), (4, GramError::AUTHORIZATION));

    // Her own jobs live at another port; Alice's path is unknown there.
    let hers = running.submit(&mallory, "&(executable=/bin/true)", None).await.job_contact;
    let hers: JobContact = hers.parse().unwrap();
    assert_ne!(hers.port, contact.port);
    let crossed = JobContact { port: hers.port, ..contact.clone() };
    assert_eq!(client(&world, &mallory).status(&crossed).await.unwrap().state, None);
    assert!(running.scheduler.calls().iter().all(|call| !call.starts_with("cancel")));
    running.stop().await;
}

#[tokio::test]
async fn cancel_answers_when_the_job_has_ended() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/sleep)(arguments=100)", None).await);
    running.scheduler.called("submit").await;
    let cancelling = tokio::spawn({
        let (client, contact) = (client(&world, &alice), contact.clone());
        async move { client.cancel(&contact).await }
    });
    running.scheduler.called("cancel").await;
    assert!(!cancelling.is_finished());
    running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 143 }));
    let answer = cancelling.await.unwrap().unwrap();
    assert_eq!((answer.state, answer.failure), (Some(JobState::Failed), GramError::USER_CANCELLED));
    running.stop().await;
}

#[tokio::test]
async fn two_phase_commit_over_the_wire() {
    let world = World::new();
    let alice = world.person("Alice");
    let alices = client(&world, &alice);
    let running = world.manager(NEVER_IDLE).await;
    let reply = running.submit(&alice, "&(executable=/bin/true)(two_phase=60)", None).await;
    assert_eq!(reply.error, 110);
    let contact = contact(&reply);
    assert_eq!(alices.status(&contact).await.unwrap().state, Some(JobState::Unsubmitted));
    alices.signal(&contact, &Signal::CommitRequest).await.unwrap();
    running.scheduler.called("submit").await;
    running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 0 }));
    while alices.status(&contact).await.unwrap().state != Some(JobState::Done) {}
    assert!(running.shared.site.job_files(key(&contact)).directory().exists());
    alices.signal(&contact, &Signal::CommitEnd).await.unwrap();
    assert_eq!(alices.status(&contact).await.unwrap().state, None, "forgotten: error 156");
    running.stop().await;
}

#[tokio::test]
async fn suspend_and_resume_reach_the_scheduler() {
    let world = World::new();
    let alice = world.person("Alice");
    let alices = client(&world, &alice);
    let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", Some(listener.url())).await);
    running.scheduler.called("submit").await;
    running.scheduler.report(SchedulerEvent::Active(key(&contact)));
    assert_eq!(heard(&mut listener).await.0, JobState::Active);
    alices.signal(&contact, &Signal::Suspend("x".into())).await.unwrap();
    assert_eq!(heard(&mut listener).await.0, JobState::Suspended);
    alices.signal(&contact, &Signal::Resume("x".into())).await.unwrap();
    assert_eq!(heard(&mut listener).await.0, JobState::Active);
    let refused = alices.signal(&contact, &Signal::Priority("1".into())).await.unwrap_err();
    assert_eq!(refused.code, GramError::UNIMPLEMENTED);
    running.stop().await;
}

#[tokio::test]
async fn a_restart_takes_everything_up_again() {
    let world = World::new();
    let alice = world.person("Alice");
    let alices = client(&world, &alice);
    let running = world.manager(NEVER_IDLE).await;
    let first = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    let waiting = contact(&running.submit(&alice, "&(executable=/bin/true)(two_phase=600)", None).await);
    running.scheduler.called("submit").await;
    running.scheduler.report(SchedulerEvent::Active(key(&first)));
    while alices.status(&first).await.unwrap().state != Some(JobState::Active) {}
    running.stop().await;

    let running = world.manager(NEVER_IDLE).await;
    running.scheduler.called("adopt 1").await;
    // The same contact, port and all.
    assert_eq!(alices.status(&first).await.unwrap().state, Some(JobState::Active));
    assert_eq!(alices.status(&waiting).await.unwrap().state, Some(JobState::Unsubmitted));
    running.scheduler.report(SchedulerEvent::Ended(key(&first), Outcome::Exited { code: 0 }));
    while alices.status(&first).await.unwrap().state != Some(JobState::Done) {}
    alices.signal(&waiting, &Signal::CommitRequest).await.unwrap();
    running.scheduler.called("submit").await;
    running.stop().await;
}

#[tokio::test]
async fn a_contact_answers_again_although_its_port_was_taken() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    running.stop().await;
    // Connections have local ports, too.
    let squatter = loop {
        let bound = tokio::net::TcpListener::bind(("::", contact.port)).await;
        match bound {
            Ok(bound) => break bound,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let running = world.manager(NEVER_IDLE).await;
    let next = running.submit(&alice, "&(executable=/bin/true)", None).await.job_contact;
    assert_eq!(next.parse::<JobContact>().unwrap().port, contact.port);
    drop(squatter);
    let alices = client(&world, &alice);
    let answer = async {
        loop {
            if let Ok(status) = alices.status(&contact).await {
                break status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap();
    assert_eq!(status.state, Some(JobState::Unsubmitted));
    running.stop().await;
}

/// What a manager leaves that is killed while it stores a credential.
#[tokio::test]
async fn credentials_of_nobody_are_removed_at_the_start() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    running.submit(&alice, "&(executable=/bin/true)", None).await;
    let directory = running.shared.site.directory.join("identities");
    running.stop().await;
    std::fs::write(directory.join("1.2.new"), "half a key").unwrap();
    std::fs::write(directory.join("3.4.pem"), "a key without a record").unwrap();
    let running = world.manager(NEVER_IDLE).await;
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "Alice's");
    assert!(running.shared.identities.get(alice.proxy.identity().as_str()).await.is_some());
    running.stop().await;
}

/// Clients may be waiting for the port when it is bound; their connection was once accepted before there was an identity to
/// serve it with, and no other after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contacts_answer_although_clients_are_waiting_at_the_start() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    let port = contact.port;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                loop {
                    drop(tokio::net::TcpStream::connect(("localhost", port)).await);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let alices = client(&world, &alice);
    let mut running = running;
    for _ in 0..20 {
        running.stop().await;
        running = world.manager(NEVER_IDLE).await;
        let answer = async { while alices.status(&contact).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap();
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    running.stop().await;
}

#[tokio::test]
async fn an_update_that_did_not_arrive_is_sent_after_a_restart() {
    let world = World::new();
    let alice = world.person("Alice");
    // A port that answers to nobody, until a listener takes it.
    let listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
    let url = listener.url().to_owned();
    drop(listener);
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", Some(&url)).await);
    running.scheduler.called("submit").await;
    running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 0 }));
    let alices = client(&world, &alice);
    while alices.status(&contact).await.unwrap().state != Some(JobState::Done) {}
    running.stop().await;

    let stored = crate::store::Store::open(&world.store_path()).await.unwrap().load_all().await.unwrap();
    let job: Job = serde_json::from_slice(&stored[0].record.body).unwrap();
    assert_eq!(job.contacts[0].owed.as_ref().map(|notice| notice.state), Some(JobState::Done));
}

#[tokio::test]
async fn renewal_replaces_the_proxy_in_the_same_connection() {
    let world = World::new();
    let mut alice = world.person("Alice");
    alice.delegated = proxy_of(&alice.proxy, ProxyKind::Limited, Some(1000));
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    let file = running.shared.site.job_files(key(&contact)).proxy();
    let before = std::fs::read(&file).unwrap();
    client(&world, &alice).renew(&contact, DelegationMode::Limited).await.unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), before);
    let identity = running.shared.identities.get(alice.proxy.identity().as_str()).await.unwrap();
    assert!(identity.current().credential.expires() > alice.delegated.expires());
    running.stop().await;
}

#[tokio::test]
async fn a_delegation_that_makes_no_sense_is_157() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    let file = running.shared.site.job_files(key(&contact)).proxy();
    let before = std::fs::read(&file).unwrap();
    let connector = gsi::Connector::new(&alice.proxy, &world.trust()).unwrap();
    let tcp = tokio::net::TcpStream::connect(("localhost", contact.port)).await.unwrap();
    let mut stream = connector.connect(tcp, &gsi::Expect::Myself).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let renew = Query::Renew.encode(&contact.path(), "localhost");
    gram::exchange::write_message(&mut stream, &renew, deadline).await.unwrap();
    let (_, ready) = gram::exchange::read_reply(&mut stream, deadline).await.unwrap();
    assert_eq!(wire::QueryReply::decode(&ready).unwrap().failure_code, GramError::SUCCESS);
    gram::exchange::write_message(&mut stream, b"\0\0\0\x01D\0\0\0\x03abc", deadline).await.unwrap();
    // The request for a certificate comes before the reply.
    let mut received = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await.unwrap();
    let start = received.windows(5).position(|bytes| bytes == b"HTTP/").unwrap();
    let text = String::from_utf8_lossy(&received[start..]).into_owned();
    assert!(text.contains("failure-code: 157"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    running.stop().await;
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    let world = World::new();
    let alice = world.person("Alice");
    let mut short = world.person("Bob");
    short.delegated = proxy_of(&short.proxy, ProxyKind::Limited, Some(300));
    let running = world.manager(NEVER_IDLE).await;
    for (person, rsl, code) in [
        (&alice, "&(executable=/bin/true)(dry_run=yes)", 41),
        (&alice, "&(foo=1)", 1),
        (&alice, "&(restart='https://vm:1/1/2/')", 121),
        (&short, "&(executable=/bin/true)", 131),
    ] {
        let reply = running.submit(person, rsl, None).await;
        assert_eq!((reply.error, reply.job_contact.as_str()), (code, ""), "{rsl}");
    }
    *running.scheduler.refuse.lock().unwrap() = Some(5);
    assert_eq!(running.submit(&alice, "&(executable=/nonexistent)", None).await.error, 5);

    let nothing_delegated = v1::SubmitRequest {
        delegated_credential: Vec::new(),
        ..request(&alice, "&(executable=/bin/true)", None)
    };
    assert_eq!(crate::intake::submit(&running.shared, nothing_delegated).await.unwrap().error, 10);
    let of_somebody_else = v1::SubmitRequest {
        identity: "/O=Grid/CN=Mallory".into(),
        ..request(&alice, "&(executable=/bin/true)", None)
    };
    assert_eq!(crate::intake::submit(&running.shared, of_somebody_else).await.unwrap().error, 7);
    let other_scheduler =
        v1::SubmitRequest { scheduler: "pbs".into(), ..request(&alice, "&(executable=/bin/true)", None) };
    assert_eq!(crate::intake::submit(&running.shared, other_scheduler).await.unwrap().error, 45);

    let jobs = running.shared.site.directory.join("jobs");
    assert_eq!(std::fs::read_dir(jobs).unwrap().count(), 0);
    assert!(running.shared.store.load_all().await.unwrap().is_empty());
    running.stop().await;
}

/// What a front door does that has lost its answer: the manager was killed between storing and answering.
#[tokio::test]
async fn a_request_offered_again_makes_no_second_job() {
    let world = World::new();
    let alice = world.person("Alice");
    let running = world.manager(NEVER_IDLE).await;
    let plain = request(&alice, "&(executable=/bin/true)", None);
    let two_phase = request(&alice, "&(executable=/bin/true)(two_phase=600)", None);
    let first = crate::intake::submit(&running.shared, plain.clone()).await.unwrap();
    let waiting = crate::intake::submit(&running.shared, two_phase.clone()).await.unwrap();
    assert_eq!(crate::intake::submit(&running.shared, plain.clone()).await.unwrap(), first);
    running.scheduler.called("submit").await;
    running.stop().await;

    let running = world.manager(NEVER_IDLE).await;
    assert_eq!(crate::intake::submit(&running.shared, plain).await.unwrap(), first);
    assert_eq!(crate::intake::submit(&running.shared, two_phase).await.unwrap(), waiting);
    assert_eq!(waiting.error, 110);
    let another = running.submit(&alice, "&(executable=/bin/true)", None).await;
    assert_ne!(another.job_contact, first.job_contact);
    let (reply, answer) = oneshot::channel();
    running.shared.inbox.send(Message::Count(reply)).await.unwrap();
    assert_eq!(answer.await.unwrap(), 3);
    running.stop().await;
}

#[tokio::test]
async fn ends_when_idle_but_not_before() {
    let world = World::new();
    let alice = world.person("Alice");
    let running: Running = world.manager(Duration::from_millis(50)).await;
    // As the control service does; nothing was awaited since the start.
    let inside = running.gate.enter("").unwrap();
    let contact = contact(&running.submit(&alice, "&(executable=/bin/true)", None).await);
    drop(inside);
    running.scheduler.called("submit").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!running.task.is_finished(), "a job is running");
    running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 0 }));
    let end = tokio::time::timeout(Duration::from_secs(20), running.task).await.unwrap().unwrap();
    assert_eq!(end, End::Idle);
    assert!(running.gate.enter("").is_err(), "nobody comes in any more");
    let control = crate::control::Control {
        shared: running.shared,
        gate: running.gate,
        goodbye: tokio::sync::watch::channel(None).1,
    };
    let late = tonic::Request::new(request(&alice, "&(executable=/bin/true)", None));
    let refused = v1::job_manager_server::JobManager::submit(&control, late).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn many_jobs_at_once() {
    const JOBS: usize = 300;
    let world = World::new();
    let alice = Arc::new(world.person("Alice"));
    let running = Arc::new(world.manager(NEVER_IDLE).await);
    let submissions: Vec<_> = (0..JOBS)
        .map(|_| {
            let (running, alice) = (Arc::clone(&running), Arc::clone(&alice));
            tokio::spawn(async move { running.submit(&alice, "&(executable=/bin/true)", None).await })
        })
        .collect();
    for submission in submissions {
        let contact = contact(&submission.await.unwrap());
        running.scheduler.report(SchedulerEvent::Ended(key(&contact), Outcome::Exited { code: 0 }));
    }
    let (reply, answer) = oneshot::channel();
    running.shared.inbox.send(Message::Count(reply)).await.unwrap();
    assert_eq!(answer.await.unwrap(), JOBS);
    let Ok(running) = Arc::try_unwrap(running) else { panic!() };
    running.stop().await;
}
