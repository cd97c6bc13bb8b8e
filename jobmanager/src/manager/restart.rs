//! Restarts: whose job it is, and whether it is this service's, before the state machine decides the rest.

use super::{Asker, Manager};
use crate::{
    launch::JobKey,
    machine::{Answer, Event, Restart},
    scheduler::Scheduler,
};
use gram::GramError;
use gsi::Subject;

impl<S: Scheduler> Manager<S> {
    /// The asker is dropped when the identity has no such job; so nobody learns of other people's.
    pub(super) fn restart(
        &mut self,
        key: JobKey,
        identity: &Subject,
        scheduler: &str,
        restart: Box<Restart>,
        reply: Asker,
    ) {
        let Some(entry) = self.jobs.get(&key).filter(|entry| !entry.fresh) else { return };
        let job = &entry.job;
        if job.origin.identity != identity.as_str() {
            return;
        }
        if job.origin.scheduler != scheduler {
            let _ = reply.send(Answer {
                state: job.state,
                refused: GramError::OLD_JM_ALIVE,
                failure: job.failure_code(),
                exit_code: None,
            });
            return;
        }
        self.take(key, Event::Restart(restart), Some(reply));
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        launch::JobKey,
        scheduler::{Outcome, SchedulerEvent},
        testing::{Running, World, proxy_of, request},
    };
    use gram::{GramError, JobContact, JobState, Signal, callback::Listener, client::Client, control::v1};
    use gsi::ProxyKind;
    use std::time::Duration;

    const NEVER_IDLE: Duration = Duration::from_secs(3600);

    fn key(reply: &v1::SubmitReply) -> JobKey {
        let contact: JobContact = reply.job_contact.parse().unwrap();
        JobKey { high: contact.high, low: contact.low }
    }

    fn restart_of(reply: &v1::SubmitReply) -> String {
        format!("&(restart='{}')", reply.job_contact)
    }

    async fn heard(listener: &mut Listener) -> (JobState, u16) {
        let update = tokio::time::timeout(Duration::from_secs(20), listener.next()).await.unwrap().unwrap();
        (update.state, update.failure.0)
    }

    #[tokio::test]
    async fn a_stopped_job_is_taken_up_by_another_client() {
        let world = World::new();
        let alice = world.person("Alice");
        let client = Client::new(&alice.proxy, &world.trust()).unwrap();
        let running = world.manager(NEVER_IDLE).await;
        let first = running.submit(&alice, "&(executable=/bin/true)", None).await;
        let contact: JobContact = first.job_contact.parse().unwrap();
        running.scheduler.called("submit").await;
        running.scheduler.report(SchedulerEvent::Active(key(&first)));
        while client.status(&contact).await.unwrap().state != Some(JobState::Active) {}
        client.signal(&contact, &Signal::StopManager).await.unwrap();

        let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
        let again = running.submit(&alice, &restart_of(&first), Some(listener.url())).await;
        assert_eq!((again.error, &again.job_contact), (0, &first.job_contact));
        running.scheduler.called("adopt 1").await;
        assert_eq!(heard(&mut listener).await, (JobState::Active, 0));
        running.scheduler.report(SchedulerEvent::Ended(key(&first), Outcome::Exited { code: 0 }));
        assert_eq!(heard(&mut listener).await, (JobState::Done, 0));

        let late = running.submit(&alice, &restart_of(&first), None).await;
        assert_eq!((late.error, late.job_contact.as_str()), (121, ""), "it is over");
        running.stop().await;
    }

    #[tokio::test]
    async fn whose_job_it_is_and_which_service_it_came_through() {
        let world = World::new();
        let (alice, mallory) = (world.person("Alice"), world.person("Mallory"));
        let running = world.manager(NEVER_IDLE).await;
        let job = running.submit(&alice, "&(executable=/bin/true)", None).await;
        let of_mallory = running.submit(&mallory, &restart_of(&job), None).await;
        assert_eq!((of_mallory.error, of_mallory.job_contact.as_str()), (121, ""));
        let elsewhere =
            v1::SubmitRequest { scheduler: "pbs".into(), ..request(&alice, &restart_of(&job), None) };
        let elsewhere = crate::intake::submit(&running.shared, elsewhere).await.unwrap();
        assert_eq!((elsewhere.error, elsewhere.job_contact.as_str()), (124, ""));
        running.stop().await;
    }

    #[tokio::test]
    async fn the_job_gets_the_proxy_of_the_new_request() {
        let world = World::new();
        let mut alice = world.person("Alice");
        let running = world.manager(NEVER_IDLE).await;
        let job = running.submit(&alice, "&(executable=/bin/true)", None).await;
        alice.delegated = proxy_of(&alice.proxy, ProxyKind::Limited, Some(700));
        assert_eq!(running.submit(&alice, &restart_of(&job), None).await.error, 0);
        let file = std::fs::read(running.shared.site.job_files(key(&job)).proxy()).unwrap();
        assert_eq!(file, alice.delegated.to_pem().as_bytes());
        running.stop().await;
    }

    /// Delivers to a path; with a folder in its place that fails.
    async fn undeliverable(
        world: &World,
        running: &Running,
        alice: &crate::testing::Person,
    ) -> v1::SubmitReply {
        let nowhere = world.folder.path().display();
        let rsl = format!("&(executable=/bin/true)(two_phase=60)(stdout=({nowhere}))");
        let job = running.submit(alice, &rsl, None).await;
        let client = Client::new(&alice.proxy, &world.trust()).unwrap();
        let contact = job.job_contact.parse().unwrap();
        client.signal(&contact, &Signal::CommitRequest).await.unwrap();
        running.scheduler.called("submit").await;
        std::fs::write(running.shared.site.job_files(key(&job)).stdout(), "said").unwrap();
        running.scheduler.report(SchedulerEvent::Ended(key(&job), Outcome::Exited { code: 0 }));
        while client.status(&contact).await.unwrap().failure != GramError::OPENING_STDOUT {}
        job
    }

    #[tokio::test]
    async fn output_that_could_not_be_sent_goes_to_the_new_place() {
        let world = World::new();
        let alice = world.person("Alice");
        let running = world.manager(NEVER_IDLE).await;
        let job = undeliverable(&world, &running, &alice).await;
        let place = world.folder.path().join("home/said");
        let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
        let rsl = format!("&(restart='{}')(stdout={})", job.job_contact, place.display());
        let again = running.submit(&alice, &rsl, Some(listener.url())).await;
        assert_eq!((again.error, &again.job_contact), (110, &job.job_contact));
        assert_eq!(heard(&mut listener).await, (JobState::Active, 0));
        assert_eq!(heard(&mut listener).await, (JobState::Done, 0));
        assert_eq!(std::fs::read(place).unwrap(), b"said");
        running.stop().await;
    }
}
