//! Credentials that end: ten minutes before, the jobs of their owner are let go, and taken up again when there is a new one
//! (gram.md §13). The end of a certificate is wall time, and the clock may be set at any time, so it is looked at often.

use super::Manager;
use crate::{identity::MINIMUM_LIFETIME, launch::JobKey, machine::Event, scheduler::Scheduler};
use jiff::Timestamp;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// A clock that was set is noticed after this time at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The credentials of all identities with jobs.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// By the identity's name.
    watched: HashMap<String, Watched>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    /// When the credential ends; None: there is none that could be read.
    expires: Option<Timestamp>,
    /// What its jobs have been told.
    ends: bool,
}

impl Watched {
    fn ends_soon(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires.duration_since(now) < MINIMUM_LIFETIME)
    }
}

impl Expiry {
    /// This identity's credential ends then.
    pub(super) fn watch(&mut self, identity: &str, expires: Option<Timestamp>) {
        match self.watched.get_mut(identity) {
            Some(watched) => watched.expires = expires,
            None => {
                self.watched.insert(identity.to_owned(), Watched { expires, ends: false });
            }
        }
    }

    /// The identities for which it has changed whether their credential ends, and how it is now.
    fn changes(&mut self, now: Timestamp) -> Vec<(String, bool)> {
        let mut changes = Vec::new();
        for (identity, watched) in &mut self.watched {
            let ends = watched.ends_soon(now);
            if ends != watched.ends {
                watched.ends = ends;
                changes.push((identity.clone(), ends));
            }
        }
        changes
    }

    /// How long until there may be a change; None: nothing is watched.
    fn next_look(&self, now: Timestamp) -> Option<Duration> {
        let left = |watched: &Watched| {
            let end = watched.expires.filter(|_| !watched.ends)?.checked_sub(MINIMUM_LIFETIME).ok()?;
            // Just after, not just before.
            Some(Duration::try_from(end.duration_since(now)).unwrap_or_default() + Duration::from_millis(1))
        };
        let soonest = self.watched.values().filter_map(left).fold(LOOK_AGAIN, Duration::min);
        (!self.watched.is_empty()).then_some(soonest)
    }
}

impl<S: Scheduler> Manager<S> {
    /// Looks at all credentials, tells the jobs what has changed, and says when to look again.
    pub(super) fn look_at_credentials(&mut self) {
        let now = Timestamp::now();
        for (identity, ends) in self.expiry.changes(now) {
            let keys: Vec<JobKey> = self
                .jobs
                .iter()
                .filter(|(_, entry)| entry.job.origin.identity == identity)
                .map(|(key, _)| *key)
                .collect();
            tracing::info!(identity, ends, jobs = keys.len(), "delegated credential");
            for key in keys {
                self.take(key, if ends { Event::CredentialEnds } else { Event::CredentialRenewed }, None);
            }
        }
        self.look_at = self.expiry.next_look(now).map(|left| Instant::now() + left);
    }

    /// At the start: takes the jobs as they were stored, which may be before what is true now.
    pub(super) async fn learn_credentials(&mut self) {
        let mut names: Vec<String> =
            self.jobs.values().map(|entry| entry.job.origin.identity.clone()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let identity = self.shared.identities.get(&name).await;
            self.expiry.watch(&name, identity.map(|identity| identity.current().credential.expires()));
        }
        let now = Timestamp::now();
        for (identity, ends) in self.expiry.changes(now) {
            tracing::info!(identity, ends, "delegated credential");
        }
        let stale: Vec<(JobKey, bool)> = self
            .jobs
            .iter()
            .filter_map(|(key, entry)| {
                let watched = self.expiry.watched.get(&entry.job.origin.identity)?;
                (watched.ends != entry.job.lapsed).then_some((*key, watched.ends))
            })
            .collect();
        for (key, ends) in stale {
            self.take(key, if ends { Event::CredentialEnds } else { Event::CredentialRenewed }, None);
        }
        self.look_at = self.expiry.next_look(now).map(|left| Instant::now() + left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "/O=Grid/CN=Alice";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn watching(expires: i64) -> Expiry {
        let mut expiry = Expiry::default();
        expiry.watch(ALICE, Some(at(expires)));
        expiry
    }

    #[test]
    fn ten_minutes_before_the_end_and_not_before() {
        let mut expiry = watching(10_000);
        assert!(expiry.changes(at(9_400)).is_empty());
        assert_eq!(expiry.next_look(at(9_390)), Some(Duration::from_millis(10_001)));
        assert_eq!(expiry.changes(at(9_401)), [(ALICE.to_owned(), true)]);
        assert!(expiry.changes(at(9_402)).is_empty(), "once");
    }

    #[test]
    fn a_new_credential_changes_it_back() {
        let mut expiry = watching(10_000);
        expiry.changes(at(9_500));
        expiry.watch(ALICE, Some(at(50_000)));
        assert_eq!(expiry.changes(at(9_600)), [(ALICE.to_owned(), false)]);
    }

    #[test]
    fn a_clock_that_is_set_forward_a_day_and_back_again() {
        let mut expiry = watching(50_000);
        assert_eq!(expiry.next_look(at(1_000)), Some(LOOK_AGAIN), "nobody tells us that it was set");
        assert_eq!(expiry.changes(at(1_000 + 86_400)), [(ALICE.to_owned(), true)]);
        assert_eq!(expiry.next_look(at(1_000 + 86_400)), Some(LOOK_AGAIN));
        assert_eq!(expiry.changes(at(1_030)), [(ALICE.to_owned(), false)]);
        assert!(expiry.changes(at(1_030 - 3_600)).is_empty(), "an hour back: it just lasts longer");
    }

    #[test]
    fn without_a_readable_credential_it_is_as_if_it_had_ended() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.next_look(at(0)), None);
        expiry.watch(ALICE, None);
        assert_eq!(expiry.changes(at(0)), [(ALICE.to_owned(), true)]);
    }

    use crate::{
        scheduler::{Outcome, SchedulerEvent},
        testing::{World, proxy_of},
    };
    use gram::{JobContact, JobState, callback::Listener, client::Client};
    use gsi::{DelegationMode, ProxyKind};

    async fn heard(listener: &mut Listener) -> (JobState, u16) {
        let update = tokio::time::timeout(Duration::from_secs(20), listener.next()).await.unwrap().unwrap();
        (update.state, update.failure.0)
    }

    /// A few seconds more than the ten minutes: enough for the submission.
    #[tokio::test]
    async fn a_job_is_let_go_before_its_credential_ends_and_taken_up_by_a_renewal() {
        let world = World::new();
        let mut alice = world.person("Alice");
        alice.delegated = proxy_of(&alice.proxy, ProxyKind::Limited, Some(606));
        let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
        let running = world.manager(Duration::from_secs(3600)).await;
        let place = world.folder.path().join("home/said");
        let rsl = format!("&(executable=/bin/true)(stdout=({}))", place.display());
        let reply = running.submit(&alice, &rsl, Some(listener.url())).await;
        assert_eq!(reply.error, 0, "{reply:?}");
        let contact: JobContact = reply.job_contact.parse().unwrap();
        let key = JobKey { high: contact.high, low: contact.low };
        let client = Client::new(&alice.proxy, &world.trust()).unwrap();
        running.scheduler.called("submit").await;
        running.scheduler.report(SchedulerEvent::Active(key));
        assert_eq!(heard(&mut listener).await, (JobState::Active, 0));
        assert_eq!(heard(&mut listener).await, (JobState::Failed, 131));
        assert_eq!(client.status(&contact).await.unwrap().state, Some(JobState::Active));

        // It ends, but nothing is sent.
        std::fs::write(running.shared.site.job_files(key).stdout(), "said").unwrap();
        running.scheduler.report(SchedulerEvent::Ended(key, Outcome::Exited { code: 0 }));
        running.scheduler.called("forget").await;
        // Neither does the next manager, which knows it from the store.
        running.stop().await;
        let running = world.manager(Duration::from_secs(3600)).await;
        while client.status(&contact).await.is_err() {}
        assert_eq!(client.status(&contact).await.unwrap().state, Some(JobState::Active));
        assert!(!place.exists());

        client.renew(&contact, DelegationMode::Limited).await.unwrap();
        assert_eq!(heard(&mut listener).await, (JobState::Active, 0));
        assert_eq!(heard(&mut listener).await, (JobState::Done, 0));
        assert_eq!(std::fs::read(place).unwrap(), b"said");
        running.stop().await;
    }

    #[tokio::test]
    async fn the_credential_of_another_request_helps_all_jobs() {
        let world = World::new();
        let mut alice = world.person("Alice");
        let long = alice.delegated.clone();
        alice.delegated = proxy_of(&alice.proxy, ProxyKind::Limited, Some(606));
        let mut listener = Listener::start(&alice.proxy, &world.trust()).await.unwrap();
        let running = world.manager(Duration::from_secs(3600)).await;
        let rsl = "&(executable=/bin/true)(two_phase=600)";
        assert_eq!(running.submit(&alice, rsl, Some(listener.url())).await.error, 110);
        assert_eq!(heard(&mut listener).await, (JobState::Failed, 131));
        alice.delegated = long;
        running.submit(&alice, "&(executable=/bin/true)(dry_run=yes)", None).await;
        assert_eq!(heard(&mut listener).await, (JobState::Unsubmitted, 0));
        running.stop().await;
    }
}
