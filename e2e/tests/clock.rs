//! The machine's clock is set while jobs wait for their commits, and the job manager is killed on top of it. No root's clock is
//! touched: libfaketime tells the site's programs another time, which they read from a file.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail by panicking, as tests do")]

use e2e::{
    Kind,
    by_hand::Speaker,
    mortal_site::{MortalSite, Role},
    stock,
    user::User,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where Debian's package faketime has it.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

const UNSUBMITTED: i64 = 32;
const FAILED: i64 = 4;
const DONE: i64 = 8;

/// A site with a clock of its own.
struct Site {
    site: MortalSite,
    clock: PathBuf,
    // Last, so that the folder goes after the site in it.
    user: User,
}

impl Site {
    /// None, with the reason told, when the clock cannot be set.
    fn start() -> Option<Self> {
        if !Path::new(LIBRARY).is_file() {
            stock::skip("not installed: faketime");
            return None;
        }
        let user = User::new(Kind::Ours)?;
        let folder = user.temporary().join("site");
        fs::create_dir(&folder).unwrap();
        let clock = folder.join("faketime");
        fs::write(&clock, "+0\n").unwrap();
        let environment = vec![
            ("LD_PRELOAD", LIBRARY.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // What `date -s` does not change either.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let site = MortalSite::start_in(&folder, &user.pki, environment);
        Some(Self { site, clock, user })
    }

    fn alice(&self) -> Speaker<'_> {
        Speaker { identity: &self.user.pki.alice, pki: &self.user.pki, folder: self.user.temporary() }
    }

    /// A job that waits so many seconds for its commit.
    #[track_caller]
    fn uncommitted(&self, seconds: u32) -> String {
        let rsl = format!("&(executable=/bin/true)(two_phase={seconds})");
        let reply = self.alice().submit(self.site.contact(), &rsl);
        assert_eq!(reply.number("status"), 110, "{reply:?}");
        reply.field("job-manager-url").unwrap_or_default().to_owned()
    }

    /// Sets the clock, and lets the job manager begin anew under it.
    fn set_clock(&mut self, offset: &str) {
        fs::write(&self.clock, offset).unwrap();
        assert_eq!(self.site.kill(&[Role::JobManager]), 1);
        self.site.wait_for(Role::JobManager);
    }

    /// The state of a job, once somebody answers.
    #[track_caller]
    fn state(&self, job: &str) -> i64 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let reply = self.alice().ask(job, "status");
            if reply.status == 200 {
                return reply.number("status");
            }
            assert!(Instant::now() < deadline, "nobody answers: {}", self.site.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn forward_a_day() {
    let Some(mut site) = Site::start() else { return };
    let job = site.uncommitted(60);
    site.set_clock("+1d\n");
    assert_eq!(site.state(&job), UNSUBMITTED, "its minute is not over: {}", site.site.logs());
    assert!(site.site.logs().contains("ends=true"), "but its credential is: {}", site.site.logs());
    assert_eq!(site.alice().ask(&job, "signal 5 commit").number("failure-code"), 0);
    site.alice().ask_until(&job, |reply| reply.number("status") == DONE);
}

#[test]
fn back_an_hour() {
    let Some(mut site) = Site::start() else { return };
    let begun = Instant::now();
    let job = site.uncommitted(10);
    site.set_clock("-1h\n");
    // Whoever asks has a certificate that is perhaps not an hour old, so the question comes when the clock is right again.
    fs::write(&site.clock, "+0\n").unwrap();
    site.alice().ask_until(&job, |reply| reply.status == 200 && reply.number("status") != UNSUBMITTED);
    assert_eq!(site.state(&job), FAILED);
    let took = begun.elapsed().as_secs();
    assert!((9..60).contains(&took), "ten seconds it should wait, not an hour: {took} s");
}
