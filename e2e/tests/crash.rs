//! `kill -9` of launcher, gatekeeper, job manager and reaper, one by one and all at once, at random instants, while jobs run and more
//! arrive (docs/durability.md). Every accepted job ends exactly once with its own exit code under the contact that its
//! submitter was given; every refused one never runs. The jobs keep a book of their own, so that no word of ours is taken for it.
//!
//! `GRIDIRON_CRASH_SEED` repeats a run as far as the machine lets it, `GRIDIRON_CRASH_KILLS` makes it longer or shorter.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the helpers of a test fail as tests do"
)]

mod crash_load;

use crash_load::{Load, Random};
use e2e::{
    Kind, User,
    accounts::{self, Account, Rank},
    mortal_site::MortalSite,
    stock,
};
use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Deaths in a run.
const KILLS: u64 = 100;
/// Jobs that run when the first process dies.
const JOBS: usize = 50;
/// Deaths in the run with the full disk.
const KILLS_ON_FULL_DISK: u64 = 20;
/// How long the disk is full.
const FULL: Duration = Duration::from_secs(10);
/// Between two deaths: this, and up to as much again.
const PAUSE: Duration = Duration::from_millis(600);

/// One of these tests at a time: each wants the machine to itself. (nextest runs each in a process of its own, and
/// knows from its configuration.)
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn everything_dies_at_random_instants() {
    let _turn = turn();
    let Some(user) = user() else { return };
    let site = user.temporary().join("site");
    fs::create_dir(&site).expect("writable");
    let mut random = Random::new();
    let mut site = MortalSite::start(&site, &user.pki);
    let load = Load::start(&user, site.contact(), &mut random);
    load.wait_for(JOBS);
    deaths(&mut site, &load, &mut random, kills(KILLS));
    finish(&site, load);
}

/// The same at a site for many accounts, where root starts a launcher, and that one the others.
#[test]
fn everything_dies_behind_a_launcher() {
    let _turn = turn();
    let Some(user) = user() else { return };
    if !accounts::can_be_made() {
        return;
    }
    let folder = user.temporary();
    fs::set_permissions(folder, Permissions::from_mode(0o711)).expect("ours");
    let gatekeeper = Account::new("gk", Rank::System, folder, false);
    let person = Account::new("person", Rank::Person, folder, false);
    let site = folder.join("site");
    fs::create_dir(&site).expect("writable");
    let mut random = Random::new();
    let mut site = MortalSite::start_with_launcher(&site, &user.pki, &gatekeeper, &person);
    let load = Load::start(&user, site.contact(), &mut random);
    load.wait_for(JOBS);
    deaths(&mut site, &load, &mut random, kills(KILLS));
    finish(&site, load);
}

#[test]
fn the_disk_is_full_for_ten_seconds() {
    let _turn = turn();
    let Some(user) = user() else { return };
    let folder = user.temporary().join("site");
    let Some(disk) = SmallDisk::mount(folder.clone()) else { return };
    let mut random = Random::new();
    let mut site = MortalSite::start(&folder, &user.pki);
    let load = Load::start(&user, site.contact(), &mut random);
    load.wait_for(JOBS);
    let filler = disk.fill_for(FULL);
    deaths(&mut site, &load, &mut random, kills(KILLS_ON_FULL_DISK));
    filler.join().expect("the disk was filled");
    assert!(load.refused_with("No space left on device") > 0, "nobody was told that the disk is full");
    finish(&site, load);
}

/// A user of stock commands where there are any.
fn user() -> Option<Arc<User>> {
    let kind = if stock::missing(stock::CLIENT).is_empty() { Kind::Stock } else { Kind::Ours };
    let user = User::new(kind)?;
    user.proxy_init(&user.pki.alice, &[]);
    Some(Arc::new(user))
}

fn kills(usual: u64) -> u64 {
    env::var("GRIDIRON_CRASH_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

/// Kills one role after the other or all at once, and restarts gatekeepers.
#[expect(clippy::print_stderr, reason = "what a run has been through is worth knowing")]
fn deaths(site: &mut MortalSite, load: &Load, random: &mut Random, number: u64) {
    let (mut dead, mut running) = (0, 0);
    for _ in 0..number {
        running += load.running();
        thread::sleep(PAUSE + random.up_to(PAUSE));
        let all = site.roles();
        let one = random.below(all.len() as u64 + 1) as usize;
        let victims = all.get(one..=one).unwrap_or(all);
        dead += site.kill(victims);
        if victims.contains(&all[0]) {
            // As long as a service manager may take.
            thread::sleep(random.up_to(PAUSE));
            site.serve();
        }
    }
    eprintln!(
        "{number} blows killed {dead} processes while {} jobs ran on average",
        running as u64 / number.max(1)
    );
}

#[track_caller]
fn finish(site: &MortalSite, load: Load) {
    let jobs = site.job_directories();
    let problems = load.finish();
    if !problems.is_empty() {
        let file = keep(&site.logs());
        panic!(
            "{} problems, the site's logs are in {}:\n{}",
            problems.len(),
            file.display(),
            problems.join("\n")
        );
    }
    // What was refused has left nothing behind, and what is over has been cleaned up.
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(&jobs).is_ok_and(|entries| entries.count() > 0) {
        assert!(
            Instant::now() < deadline,
            "left behind: {:?}",
            fs::read_dir(&jobs).map(Iterator::collect::<Vec<_>>)
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Logs of a failed run are too long for a terminal.
fn keep(logs: &str) -> PathBuf {
    let file = env::temp_dir().join(format!("gridiron-crash-{}.log", std::process::id()));
    fs::write(&file, logs).expect("the temporary folder is writable");
    file
}

/// A file system of its own that can be filled. Unmounted when dropped, which must be after the site in it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("writable");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m,mode=755", "none"]).arg(&path);
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        stock::skip("a small file system cannot be mounted: that needs root");
        None
    }

    /// Fills it, and whatever room comes up, for this time.
    fn fill_for(&self, time: Duration) -> thread::JoinHandle<()> {
        let file = self.0.join("filler");
        thread::spawn(move || {
            let until = Instant::now() + time;
            while Instant::now() < until {
                fill(&file);
                thread::sleep(Duration::from_millis(20));
            }
            fs::remove_file(&file).expect("the filler is there");
        })
    }
}

fn fill(file: &Path) {
    use std::io::Write;
    let mut filler =
        fs::OpenOptions::new().append(true).create(true).open(file).expect("no room needed for that");
    while filler.write_all(&[0; 4096]).is_ok() {}
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
