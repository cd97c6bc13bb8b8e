//! Our client and call-back listener at a stock gatekeeper and job manager (GCT as Debian packages it).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and says why it is skipped"
)]

mod site;

use gram::callback::{Listener, Update};
use gram::{GramError, JobContact, JobState, ResourceContact, Signal, StateMask};
use gsi::DelegationMode;
use site::StockSite;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The next update, which must be about this job.
async fn hear(listener: &mut Listener, job: &JobContact) -> Update {
    let update = tokio::time::timeout(PATIENCE, listener.next()).await.expect("an update in time").unwrap();
    assert!(update.job.same_job(job));
    update
}

#[tokio::test]
async fn ping_and_version() {
    let Some(site) = StockSite::start() else { return };
    let client = site.client();
    client.ping(&site.contact).await.unwrap();
    let by_name = ResourceContact { subject: None, host: "localhost".into(), ..site.contact.clone() };
    client.ping(&by_name).await.unwrap();
    let version = client.version(&site.contact).await.unwrap();
    assert_eq!(version.toolkit.as_deref(), Some("6.2"));
    assert!(version.version.unwrap().contains('('));
    let nowhere = ResourceContact { service: "none".into(), ..site.contact.clone() };
    assert_eq!(client.ping(&nowhere).await.unwrap_err().code, GramError::SERVICE_NOT_FOUND);
}

#[tokio::test]
async fn a_two_phase_job_from_request_to_end_commit() {
    let Some(site) = StockSite::start() else { return };
    let client = site.client();
    let mut listener = Listener::start(&site.credential(), &site.trust()).await.unwrap();
    let rsl = b"&(executable=/bin/true)(two_phase=60)";
    let submitted = client
        .submit(&site.contact, None, rsl, StateMask::ALL, Some(listener.url()), DelegationMode::Limited)
        .await
        .unwrap();
    assert_eq!(submitted.code, GramError::WAITING_FOR_COMMIT);
    let job = submitted.contact;
    let status = client.status(&job).await.unwrap();
    assert_eq!(status.state, Some(JobState::Unsubmitted));

    client.renew(&job, DelegationMode::Limited).await.unwrap();
    let error = client.unregister(&job, "https://localhost:1/").await.unwrap_err();
    assert_eq!(error.code, GramError::CLIENT_CONTACT_NOT_FOUND);
    let error = client.signal(&job, &Signal::Other(99, Some("x".into()))).await.unwrap_err();
    assert_eq!(error.code, GramError::UNKNOWN_SIGNAL_TYPE);

    client.signal(&job, &Signal::CommitRequest).await.unwrap();
    let mut states = Vec::new();
    while states.last() != Some(&JobState::Done) {
        states.push(hear(&mut listener, &job).await.state);
    }
    assert!(states.contains(&JobState::Active), "{states:?}");
    client.signal(&job, &Signal::CommitEnd).await.unwrap();
    let unknown = JobContact { low: job.low ^ 1, ..job };
    assert_eq!(client.status(&unknown).await.unwrap().state, None, "forgotten, so done");
    assert_eq!(client.cancel(&unknown).await.unwrap_err().code, GramError::JOB_CONTACT_NOT_FOUND);
}

#[tokio::test]
async fn a_cancelled_job() {
    let Some(site) = StockSite::start() else { return };
    let client = site.client();
    let mut listener = Listener::start(&site.credential(), &site.trust()).await.unwrap();
    let rsl = b"&(executable=/bin/sleep)(arguments=300)";
    let submitted =
        client.submit(&site.contact, None, rsl, StateMask::ALL, None, DelegationMode::Limited).await.unwrap();
    let job = submitted.contact;
    client.register(&job, StateMask::ALL, listener.url()).await.unwrap();
    let status = client.cancel(&job).await.unwrap();
    assert_eq!((status.state, status.failure), (Some(JobState::Failed), GramError::USER_CANCELLED));
    let mut update = hear(&mut listener, &job).await;
    while !update.state.is_terminal() {
        update = hear(&mut listener, &job).await;
    }
    assert_eq!((update.state, update.failure), (JobState::Failed, GramError::USER_CANCELLED));
}

#[tokio::test]
async fn refused_requests_carry_the_managers_words() {
    let Some(site) = StockSite::start() else { return };
    let client = site.client();
    let submit = async |rsl: &[u8]| {
        client
            .submit(&site.contact, None, rsl, StateMask::ALL, None, DelegationMode::Limited)
            .await
            .unwrap_err()
    };
    let error = submit(b"&(executable=/bin/true)(foo=bar)").await;
    assert_eq!(error.code, GramError::PARAMETER_NOT_SUPPORTED);
    assert!(error.details.unwrap().contains("foo"));
    assert_eq!(submit(b"&(executable=/bin/true)(dryrun=yes)").await.code, GramError::DRYRUN);
}
