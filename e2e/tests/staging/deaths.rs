//! The big job, with everything that staging has, run by the stock client; and then with the job manager killed once in every state.
//! The result is the same each time: nothing runs twice, nothing has a wrong name, nothing is left.

use super::{folder_of, names, states, web::Web};
use e2e::{
    Finished, Kind, Running, User, World,
    command::DEADLINE,
    mortal_site::{MortalSite, Role},
    stock,
    world::Setup,
};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What the job does: it keeps a book of its starts, and goes on when the file `go` is there.
const PROGRAM: &str = "#!/bin/sh\n\
    echo started >> book\n\
    while [ ! -e go ]; do sleep 0.05; done\n\
    cat; cat in1 in2 shared\n\
    touch $SCRATCH_DIRECTORY/left\n\
    echo one > result1; echo two > result2\n";

/// The states that every contact hears of, in order.
const EXPECTED: [&str; 4] = ["STAGE_IN", "ACTIVE", "STAGE_OUT", "DONE"];

/// The job, its files on the web, and its folder.
struct Big {
    web: Web,
    folder: PathBuf,
    rsl: String,
}

impl Big {
    fn new(user: &User) -> Self {
        let (web, folder) = (Web::start(), folder_of(user));
        let dir = folder.display();
        let program = web.put("/program", PROGRAM);
        let (stdin, one, two) = (web.put("/stdin", "0\n"), web.put("/in1", "1\n"), web.put("/in2", "2\n"));
        let shared = web.put("/shared", "3\n");
        let rsl = format!(
            "&(two_phase=60)(directory={dir})(gass_cache={cache})(scratch_dir={dir})(executable={program})(stdin={stdin})\
             (file_stage_in=({one} in1)({two} in2))(file_stage_in_shared=({shared} shared))\
             (stdout=({out1})({out2}))(file_stage_out=(result1 {result1})(result2 {result2}))\
             (file_clean_up={dir}/in1 {dir}/shared)",
            cache = user.temporary().join("cache").display(),
            out1 = web.url("/out1"),
            out2 = web.url("/out2"),
            result1 = web.url("/result1"),
            result2 = web.url("/result2"),
        );
        Self { web, folder, rsl }
    }

    fn start(&self, user: &User, contact: &str) -> Running {
        user.start("globusrun", ["-r", contact, &self.rsl])
    }

    fn go(&self) {
        fs::write(self.folder.join("go"), "").expect("writable");
    }

    #[track_caller]
    fn wait_for_start(&self) {
        wait("the job to start", || self.folder.join("book").exists());
    }

    #[track_caller]
    fn has_gone_well(&self, out: &Finished) {
        assert_eq!((out.code, states(out)), (0, EXPECTED.to_vec()), "{out:#?}");
        self.has_all();
    }

    /// The same with the manager killed: of the call-backs that had not gone out then only the last is sent by the next one.
    #[track_caller]
    fn has_gone_well_all_the_same(&self, out: &Finished) {
        let told = states(out);
        let mut expected = EXPECTED.iter();
        assert!(out.code == 0 && told.last() == Some(&"DONE"), "{out:#?}");
        assert!(told.iter().all(|state| expected.any(|next| next == state)), "{out:#?}");
        self.has_all();
    }

    /// Everything is where it should be, whole and once; what is no longer needed goes.
    #[track_caller]
    fn has_all(&self) {
        let web = |path| self.web.file(path).unwrap_or_default();
        assert_eq!([web("/out1"), web("/out2")], ["0\n1\n2\n3\n", "0\n1\n2\n3\n"]);
        assert_eq!([web("/result1"), web("/result2")], ["one\n", "two\n"]);
        let book = fs::read_to_string(self.folder.join("book")).expect("the job has run");
        assert_eq!(book, "started\n", "it ran once");
        let kept = ["book", "go", "in2", "result1", "result2"];
        wait("clean-up", || names(&self.folder) == kept);
        let cache = self.folder.with_file_name("cache").join("global");
        wait("the cache to be left", || fs::read_dir(&cache).is_ok_and(|entries| entries.count() == 0));
    }
}

#[track_caller]
fn wait(what: &str, there: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !there() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        thread::sleep(Duration::from_millis(20));
    }
}

fn at(server: Kind) {
    let Some(world) = World::new(Kind::Stock, server, &Setup::default()) else { return };
    let big = Big::new(&world);
    big.go();
    let out = big.start(&world, world.contact()).finish();
    // A stock site leaves more behind.
    if server == Kind::Stock {
        assert_eq!((out.code, states(&out)), (0, EXPECTED.to_vec()), "{out:#?}");
        return;
    }
    big.has_gone_well(&out);
}

#[test]
fn the_big_job_at_stock() {
    at(Kind::Stock);
}

#[test]
fn the_big_job_at_ours() {
    at(Kind::Ours);
}

/// A site whose job manager can be killed, a stock user where there is one, and the job.
struct Scene {
    big: Big,
    site: MortalSite,
    user: User,
}

impl Scene {
    fn new() -> Option<Self> {
        let kind = if stock::missing(stock::CLIENT).is_empty() { Kind::Stock } else { Kind::Ours };
        let user = User::new(kind)?;
        user.proxy_init(&user.pki.alice, &[]);
        let folder = user.temporary().join("site");
        fs::create_dir(&folder).expect("writable");
        let site = MortalSite::start(&folder, &user.pki);
        Some(Self { big: Big::new(&user), site, user })
    }

    /// Kills the job manager when this request waits for its answer, and answers the next manager's.
    #[track_caller]
    fn dies_during(request: &str) {
        let Some(mut scene) = Self::new() else { return };
        scene.big.web.hold(request);
        scene.big.go();
        let client = scene.big.start(&scene.user, scene.site.contact());
        scene.big.web.wait_for(request, 0);
        scene.kill();
        scene.big.web.wait_for(request, 1);
        scene.big.web.let_go(request);
        scene.finish(client);
    }

    #[track_caller]
    fn kill(&mut self) {
        assert!(self.site.kill(&[Role::JobManager]) > 0, "there was no job manager");
    }

    #[track_caller]
    fn finish(self, client: Running) {
        let out = client.finish();
        if out.code != 0 {
            panic!("{out:#?}\n{}", self.site.logs());
        }
        self.big.has_gone_well_all_the_same(&out);
        wait("the job directory to go", || is_empty(&self.site.job_directories()));
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.count() == 0)
}

#[test]
fn killed_while_the_executable_is_fetched() {
    Scene::dies_during("GET /program");
}

#[test]
fn killed_while_stdin_is_fetched() {
    Scene::dies_during("GET /stdin");
}

#[test]
fn killed_while_a_file_is_staged_in() {
    Scene::dies_during("GET /in1");
}

#[test]
fn killed_while_a_shared_file_is_staged_in() {
    Scene::dies_during("GET /shared");
}

#[test]
fn killed_while_the_job_runs() {
    let Some(mut scene) = Scene::new() else { return };
    let client = scene.big.start(&scene.user, scene.site.contact());
    scene.big.wait_for_start();
    scene.kill();
    scene.site.wait_for(Role::JobManager);
    scene.big.go();
    scene.finish(client);
}

/// Its end is learnt from the reaper, and that it was ACTIVE is told all the same.
#[test]
fn killed_and_the_job_ends_meanwhile() {
    let Some(mut scene) = Scene::new() else { return };
    let client = scene.big.start(&scene.user, scene.site.contact());
    scene.big.wait_for_start();
    scene.big.go();
    scene.kill();
    scene.finish(client);
}

#[test]
fn killed_while_output_is_sent() {
    Scene::dies_during("PUT /out2");
}

#[test]
fn killed_while_a_file_is_staged_out() {
    Scene::dies_during("PUT /result1");
}

/// Before the first commit, and again before the second: no client waits there, so this one speaks by hand.
#[test]
fn killed_while_a_commit_is_waited_for() {
    let Some(mut scene) = Scene::new() else { return };
    let contact = scene.site.contact().to_owned();
    let speaker_folder = scene.user.temporary().to_owned();
    let pki = scene.user.pki.clone();
    let speaker = e2e::by_hand::Speaker { identity: &pki.alice, pki: &pki, folder: &speaker_folder };
    scene.big.go();
    let accepted = speaker.submit(&contact, &scene.big.rsl);
    assert_eq!(accepted.number("status"), 110, "{accepted:?}");
    let job = accepted.field("job-manager-url").unwrap_or_default().to_owned();

    scene.kill();
    scene.site.wait_for(Role::JobManager);
    speaker.ask_until(&job, |reply| reply.status == 200 && reply.field("status") == Some("32"));
    assert!(scene.big.web.requests().is_empty(), "nothing begins before the commit");
    speaker.ask(&job, "signal 5 commit");
    speaker.ask_until(&job, |reply| reply.field("status") == Some("8"));

    scene.kill();
    scene.site.wait_for(Role::JobManager);
    speaker.ask_until(&job, |reply| reply.field("status") == Some("8"));
    assert!(
        names(&scene.big.folder).contains(&"in1".to_owned()),
        "everything is kept until the second commit"
    );
    let committed = speaker.ask(&job, "signal 10 commit");
    assert_eq!(committed.number("failure-code"), 0, "{committed:?}");
    scene.big.has_all();
    wait("the job directory to go", || is_empty(&scene.site.job_directories()));
}

/// The user may have a new file of the same name when a manager comes back to a job that is over.
#[test]
fn nothing_is_cleaned_up_twice() {
    let Some(mut scene) = Scene::new() else { return };
    let mine = scene.big.folder.join("mine");
    fs::write(&mine, "old").expect("writable");
    let rsl = format!("&(executable=/bin/true)(file_clean_up={})", mine.display());
    let out = scene.user.run("globusrun", ["-r", scene.site.contact(), &rsl]);
    assert_eq!(out.code, 0, "{out:#?}");
    wait("clean-up", || !mine.exists());
    wait("the record of it", || is_empty(&scene.site.job_directories()));
    thread::sleep(Duration::from_millis(500));
    fs::write(&mine, "new").expect("writable");
    scene.kill();
    scene.user.run("globusrun", ["-r", scene.site.contact(), "&(executable=/bin/true)"]);
    assert!(mine.exists());
}

/// A server that is overloaded is asked again, one that refuses is not.
#[test]
fn what_may_pass_is_tried_again() {
    let Some(scene) = Scene::new() else { return };
    scene.big.web.refuse("GET /in1", 503, 2);
    scene.big.web.refuse("PUT /result1", 500, 1);
    scene.big.go();
    let client = scene.big.start(&scene.user, scene.site.contact());
    let asked = scene.big.web.clone();
    scene.finish(client);
    let times = |request: &str| asked.requests().iter().filter(|seen| *seen == request).count();
    assert_eq!((times("GET /in1"), times("PUT /result1"), times("GET /in2")), (3, 2, 1));
}
