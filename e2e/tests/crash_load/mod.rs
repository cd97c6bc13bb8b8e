//! The load of the crash tests: clients that submit jobs at a pace, somebody who asks how they went, a few stock clients, and
//! the reckoning at the end.

use e2e::{Finished, Kind, User, command, stock};
use std::{
    collections::{HashMap, HashSet},
    env, fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Clients submitting at once.
const CLIENTS: u64 = 4;
/// Pause of a client between the beginnings of two submissions.
const PACE: Duration = Duration::from_millis(500);
/// A job runs for at least this, and up to …
const SHORTEST: Duration = Duration::from_secs(5);
/// … so much longer.
const SPREAD: Duration = Duration::from_secs(40);
/// How long after the last death the last answer may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Contacts asked after with one command.
const AT_ONCE: usize = 16;

/// Writes its lines into the book in one short append each; a code above 128 is that of a signal.
const JOB: &str = "#!/bin/sh
echo \"start $1\" >> \"$4\"
sleep \"$3\"
echo \"end $1\" >> \"$4\"
[ \"$2\" -ne 137 ] || kill -KILL $$
exit \"$2\"
";

/// The jobs' book. They may run as another account than ours.
fn book(user: &User) -> String {
    let book = user.write("book", "");
    fs::set_permissions(&book, fs::Permissions::from_mode(0o666)).expect("ours");
    book
}

/// Numbers that can be drawn again.
pub(crate) struct Random(u64);

impl Random {
    /// From `GRIDIRON_CRASH_SEED`, else from the clock; says which.
    #[expect(clippy::print_stderr, reason = "a run that fails must be repeatable")]
    pub(crate) fn new() -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
        let seed =
            env::var("GRIDIRON_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
        eprintln!("GRIDIRON_CRASH_SEED={seed}");
        Self(seed)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A time below `longest`.
    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(longest.as_micros() as u64))
    }

    fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }
}

/// What became of a submission.
#[derive(Debug)]
enum Fate {
    /// The client was given this contact.
    Accepted { contact: String, due: Instant, end: Option<i32> },
    /// The client was told no.
    Refused(String),
    /// The client was told nothing: the gatekeeper died in mid-request.
    InDoubt(String),
}

#[derive(Debug)]
struct Submission {
    code: i32,
    fate: Fate,
}

type Ledger = HashMap<u64, Submission>;

struct Shared {
    user: Arc<User>,
    contact: String,
    job: String,
    book: String,
    next: AtomicU64,
    arriving: AtomicBool,
    ledger: Mutex<Ledger>,
    problems: Mutex<Vec<String>>,
    /// The last thing that went wrong in asking; with deaths about, that alone is no problem.
    trouble: Mutex<String>,
}

/// The load, under way.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
    asking: JoinHandle<()>,
}

impl Load {
    /// Starts the clients.
    pub(crate) fn start(user: &Arc<User>, contact: &str, random: &mut Random) -> Self {
        let shared = Arc::new(Shared {
            job: user.script("job.sh", JOB),
            book: book(user),
            user: Arc::clone(user),
            contact: contact.to_owned(),
            next: AtomicU64::new(0),
            arriving: AtomicBool::new(true),
            ledger: Mutex::default(),
            problems: Mutex::default(),
            trouble: Mutex::default(),
        });
        let spawn = |work: fn(&Shared, Random), random| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || work(&shared, random))
        };
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| spawn(submit_at_a_pace, random.fork())).collect();
        if user.client == Kind::Stock {
            clients.push(spawn(run_with_call_backs, random.fork()));
            clients.push(spawn(submit_and_ask, random.fork()));
        } else {
            stock::skip("no stock clients take part");
        }
        let asking = spawn(|shared, _| ask(shared), random.fork());
        Self { shared, clients, asking }
    }

    /// How many accepted jobs should be running now.
    pub(crate) fn running(&self) -> usize {
        let now = Instant::now();
        let runs = |job: &Submission| matches!(job.fate, Fate::Accepted { due, .. } if due > now);
        self.shared.ledger().values().filter(|job| runs(job)).count()
    }

    /// How many were refused with words like these.
    pub(crate) fn refused_with(&self, words: &str) -> usize {
        let with = |job: &Submission| matches!(&job.fate, Fate::Refused(text) if text.contains(words));
        self.shared.ledger().values().filter(|job| with(job)).count()
    }

    /// Waits until so many jobs run.
    pub(crate) fn wait_for(&self, jobs: usize) {
        let until = Instant::now() + PATIENCE;
        while self.running() < jobs {
            assert!(Instant::now() < until, "only {} jobs run", self.running());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the arrivals, waits for the end of every job, and reckons; says everything that is not as it should be.
    #[expect(clippy::print_stderr, reason = "what a run has been through is worth knowing")]
    pub(crate) fn finish(self) -> Vec<String> {
        let Self { shared, clients, asking } = self;
        shared.arriving.store(false, Ordering::Relaxed);
        for client in clients.into_iter().chain([asking]) {
            if client.join().is_err() {
                shared.problem("a client panicked".to_owned());
            }
        }
        let ledger = shared.ledger();
        let book = shared.settled(&ledger);
        eprintln!("{}", summary(&ledger));
        shared.reckon(&ledger, &book);
        drop(ledger);
        let trouble = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("asking last failed with: {}", *trouble);
        std::mem::take(&mut *shared.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self, text: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn arriving(&self) -> bool {
        self.arriving.load(Ordering::Relaxed)
    }

    /// The request of a new job with this code that runs for this time, and its number.
    fn request(&self, code: i32, time: Duration) -> (u64, String) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (job, book, seconds) = (&self.job, &self.book, time.as_secs_f64());
        let rsl = format!(
            "&(executable={job})(arguments={id} {code} {seconds:.1} {book})(stdout=/dev/null)(stderr=/dev/null)"
        );
        (id, rsl)
    }

    fn note(&self, id: u64, code: i32, fate: Fate) {
        self.ledger().insert(id, Submission { code, fate });
    }

    /// The book once every job in it has ended, those too of which nobody was told.
    fn settled(&self, ledger: &Ledger) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let book = fs::read_to_string(&self.book).expect("the book is there");
            let lines: HashSet<&str> = book.lines().collect();
            let runs =
                |id: &u64| lines.contains(&*format!("start {id}")) && !lines.contains(&*format!("end {id}"));
            if Instant::now() > until || !ledger.keys().any(runs) {
                return book;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Holds what the clients were told against what the jobs have written.
    fn reckon(&self, ledger: &Ledger, book: &str) {
        let mut lines: HashMap<&str, usize> = HashMap::new();
        for line in book.lines() {
            *lines.entry(line).or_default() += 1;
        }
        for (id, job) in ledger {
            let count = |what: &str| lines.get(&*format!("{what} {id}")).copied().unwrap_or_default();
            let ran = (count("start"), count("end"));
            match &job.fate {
                Fate::Accepted { end, .. } if ran == (1, 1) && *end == Some(job.code) => {}
                Fate::Refused(_) if ran == (0, 0) => {}
                Fate::InDoubt(_) if ran == (0, 0) || ran == (1, 1) => {}
                _ => self.problem(format!("job {id}: started and ended {ran:?} times: {job:?}")),
            }
        }
    }
}

fn draw(random: &mut Random) -> (i32, Duration) {
    let code = match random.below(10) {
        0 => 137,
        1..4 => 0,
        _ => random.below(126) as i32,
    };
    (code, SHORTEST + random.up_to(SPREAD))
}

fn summary(ledger: &Ledger) -> String {
    let mut told: HashMap<&str, usize> = HashMap::new();
    let mut accepted = 0;
    for job in ledger.values() {
        match &job.fate {
            Fate::Accepted { .. } => accepted += 1,
            Fate::Refused(text) | Fate::InDoubt(text) => *told.entry(text).or_default() += 1,
        }
    }
    let mut told: Vec<_> = told.into_iter().collect();
    told.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> = told.iter().map(|(text, count)| format!("\n{count} times: {text}")).collect();
    format!("{} submissions, {accepted} accepted{}", ledger.len(), told.concat())
}

/// One client of ours after the other.
fn submit_at_a_pace(shared: &Shared, mut random: Random) {
    while shared.arriving() {
        let begun = Instant::now();
        let (code, time) = draw(&mut random);
        let (id, rsl) = shared.request(code, time);
        let mut submit = shared.user.gridiron();
        submit.args(["submit", "-r", &shared.contact, "--rsl", &rsl]);
        let out = command::run(submit);
        let fate = match out.stdout.lines().find(|line| line.starts_with("https://")) {
            Some(contact) if out.code == 0 => {
                Fate::Accepted { contact: contact.to_owned(), due: begun + time, end: None }
            }
            // Error 10 is "the exchange failed": the one that says nothing.
            _ if out.stderr.contains("error code 10)") => Fate::InDoubt(told(&out)),
            _ => Fate::Refused(told(&out)),
        };
        shared.note(id, code, fate);
        thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
}

/// What the client said, without names of single jobs, so that equal answers can be counted.
fn told(out: &Finished) -> String {
    let line = out.stderr.lines().next().unwrap_or_default();
    let plain = |word: &&str| !word.contains('/') || word.contains("localhost");
    line.split(' ').filter(plain).collect::<Vec<_>>().join(" ")
}

/// Asks after jobs that should be over, until every accepted one has told its end.
fn ask(shared: &Shared) {
    let mut until = Instant::now() + PATIENCE;
    loop {
        if shared.arriving() {
            until = Instant::now() + PATIENCE;
        }
        let open: Vec<(u64, String, Instant)> = shared
            .ledger()
            .iter()
            .filter_map(|(id, job)| match &job.fate {
                Fate::Accepted { contact, due, end: None } => Some((*id, contact.clone(), *due)),
                _ => None,
            })
            .collect();
        if (open.is_empty() && !shared.arriving()) || Instant::now() >= until {
            return;
        }
        let now = Instant::now();
        let mut due: Vec<_> = open.into_iter().filter(|(_, _, due)| *due <= now).collect();
        due.sort_by_key(|(_, _, due)| *due);
        for part in due.chunks(AT_ONCE) {
            ask_after(shared, part);
        }
        thread::sleep(Duration::from_millis(700));
    }
}

fn ask_after(shared: &Shared, jobs: &[(u64, String, Instant)]) {
    let mut status = shared.user.gridiron();
    status.args(["--json", "status"]).args(jobs.iter().map(|(_, contact, _)| contact));
    let out = command::run(status);
    if out.code != 0 || out.took > Duration::from_secs(20) {
        *shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = format!("{out:?}");
    }
    for line in out.stdout.lines() {
        let Ok(answer) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let Some((id, ..)) = jobs.iter().find(|(_, contact, _)| answer["job"] == **contact) else { continue };
        let end = match (answer["state"].as_str(), answer["exit_code"].as_i64()) {
            (Some("DONE"), Some(code)) => i32::try_from(code).ok(),
            (Some("FAILED"), _) => {
                shared.problem(format!("job {id} failed: {answer}"));
                Some(-1)
            }
            // Still running, or nobody answers: clients take that for the end of a job, and have no code then.
            _ => continue,
        };
        if let Some(Submission { fate: Fate::Accepted { end: known, .. }, .. }) = shared.ledger().get_mut(id)
        {
            *known = end;
        }
    }
}

/// The stock client that waits for the end by call-back, again and again.
fn run_with_call_backs(shared: &Shared, mut random: Random) {
    while shared.arriving() {
        let (_, time) = draw(&mut random);
        let (id, rsl) = shared.request(0, time);
        let out = shared.user.run("globusrun", ["-r", &shared.contact, &rsl]);
        let accepted = out.stdout.contains("GRAM Job submission successful");
        let done = out.stdout.contains("GLOBUS_GRAM_PROTOCOL_JOB_STATE_DONE");
        if accepted && !done {
            shared.problem(format!("job {id}: the stock client was told no end: {out:?}"));
        }
        shared.note(id, 0, stock_fate(&out, accepted.then(String::new), Some(0)));
    }
}

/// The stock client that leaves at once, and asks later.
fn submit_and_ask(shared: &Shared, mut random: Random) {
    while shared.arriving() {
        let (_, time) = draw(&mut random);
        let (id, rsl) = shared.request(0, time);
        let out = shared.user.run("globusrun", ["-F", "-r", &shared.contact, &rsl]);
        let contact = out.stdout.lines().find(|line| line.starts_with("https://")).map(str::to_owned);
        if let Some(contact) = &contact {
            thread::sleep(time);
            shared.user.until_status(contact, "DONE");
        }
        shared.note(id, 0, stock_fate(&out, contact, Some(0)));
    }
}

fn stock_fate(out: &Finished, contact: Option<String>, end: Option<i32>) -> Fate {
    let text =
        out.stdout.lines().chain(out.stderr.lines()).find(|line| line.contains("failed")).unwrap_or_default();
    match contact {
        Some(contact) => Fate::Accepted { contact, due: Instant::now(), end },
        None if out.code == 10 || text.contains("error code 10)") => Fate::InDoubt(text.to_owned()),
        None => Fate::Refused(text.to_owned()),
    }
}
