//! Ten thousand live jobs in one job manager on this machine. `cargo xtask bench gram` measures the same with a release build.
//!
//! `GRIDIRON_CROWD_JOBS` changes their number, `GRIDIRON_CHURN_SECONDS` how long short jobs come and go beside them.

use e2e::{Kind, User, crowd::Crowd, mortal_site::MortalSite};
use std::{env, fs, time::Duration};

/// How many, and for how many seconds short jobs come and go.
const JOBS: u64 = 10_000;
const CHURN: u64 = 10;
/// What the job manager remembers of a short job for five minutes after its end, in KiB, of so many at most …
const KIB_PER_FINISHED_JOB: u64 = 16;
const REMEMBERED: u64 = 10_000;
/// … so that only a run of so many seconds can show that memory stays where it is …
const LONG: u64 = 500;
/// … which it does when the second half of it is at most so much above the first, in per cent.
const GROWTH: u64 = 5;

fn number(name: &str, usual: u64) -> u64 {
    env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

#[test]
fn ten_thousand_live_jobs() {
    let Some(user) = User::new(Kind::Ours) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).expect("writable");
    let mut site = MortalSite::start(&folder, &user.pki);
    let jobs = usize::try_from(number("GRIDIRON_CROWD_JOBS", JOBS)).expect("a number of jobs");
    let churn = Duration::from_secs(number("GRIDIRON_CHURN_SECONDS", CHURN));
    let figures = Crowd::measure(&user, &mut site, jobs, churn);
    eprintln!("{figures:#?}");
    assert!(figures.kib_per_job < 20.0, "memory for a job");
    assert!(figures.status_seconds < 2.0, "status of all");
    assert!(figures.restart_seconds < 10.0, "restart of the manager");
    assert!(figures.cancel_seconds < 60.0, "cancel of all");
    let kib = &figures.churn.kib;
    let (first, last) = (kib[0], kib[kib.len() - 1]);
    let remembered = REMEMBERED.min(figures.churn.jobs as u64) * KIB_PER_FINISHED_JOB;
    assert!(last < first + remembered, "memory grows by more than what is remembered");
    if churn.as_secs() >= LONG {
        let (before, after) = kib.split_at(kib.len() * 3 / 5);
        let highest = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
        assert!(highest(after) * 100 <= highest(before) * (100 + GROWTH), "memory grows");
    }
}
