//! A site for many accounts, started by root: jobs run as the accounts they are mapped to, nobody gets at what is
//! another's, and what listens on the network is not root. The clients are the stock ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the helpers of tests fail by panicking, as tests do"
)]

mod house;

use e2e::{Running, accounts::Account, stock, user::gridiron};
use house::{House, Person, listeners, ours, port, status, until};
use rustix::{
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
        SocketType, connect, recv, sendmsg, socket,
    },
    pipe::pipe,
    process::{Pid, Signal, kill_process},
};
use std::{
    fs::{self, Permissions},
    io::{IoSlice, Read},
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixDatagram, UnixStream},
        },
    },
    path::Path,
    process::Command,
};

fn no_more_lines(_: &House) -> Vec<String> {
    Vec::new()
}

fn alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).join("exe").exists()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Every id of a process, and everything else that could give it power.
#[track_caller]
fn has_no_privilege(pid: u32, account: &Account) {
    let all = |id: u32| vec![id.to_string(); 4]; // real, effective, saved, file system
    assert_eq!(status(pid, "Uid"), all(account.uid));
    assert_eq!(status(pid, "Gid"), all(account.gid));
    assert!(!status(pid, "Groups").contains(&"0".to_owned()));
    for kind in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, kind), ["0000000000000000"], "{kind}");
    }
}

#[test]
fn each_job_runs_as_its_account() {
    let tables =
        "umask = \"027\"\nno_new_privileges = true\n[launcher.limits]\nopen_files = 512\nprocesses = 4000\n";
    let Some(house) = House::new(tables, no_more_lines) else { return };
    let script = "id -u; id -g; id -G; echo $HOME; echo $LOGNAME; pwd; umask; ulimit -c; ulimit -n; ulimit -Hn; \
                  grep NoNewPrivs /proc/self/status; grep CapPrm /proc/self/status; grep CapEff /proc/self/status; \
                  grep SigBlk /proc/self/status; ls /proc/self/fd | wc -w";
    for person in [&house.alice, &house.bob] {
        let account = &person.account;
        let out = house.job(person, &format!("&(executable=/bin/sh)(arguments=-c \"{script}\")"));
        let home = account.home.display().to_string();
        let (uid, gid, groups) = (account.id("-u"), account.id("-g"), account.id("-G"));
        let told: Vec<&str> = out.ok().lines().collect();
        assert_eq!(&told[..2], [&*uid, &*gid]);
        let sorted = |line: &str| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(sorted(told[2]), sorted(&groups));
        assert_eq!(&told[3..7], [&*home, &*account.name, &*home, "0027"]);
        assert_eq!(&told[7..10], ["0", "512", "512"], "limits");
        let none = "0000000000000000";
        assert_eq!(
            &told[10..14],
            [
                "NoNewPrivs:\t1",
                &*format!("CapPrm:\t{none}"),
                &*format!("CapEff:\t{none}"),
                &*format!("SigBlk:\t{none}")
            ]
        );
        assert_eq!(told[14], "4", "three, and the one that ls reads the list from");
    }
    assert!(house.alice.account.id("-G").contains(' '), "alice has a supplementary group");

    // A file the job makes is the account's.
    house.job(&house.alice, "&(executable=/bin/touch)(arguments=made)").ok();
    let made = fs::metadata(house.alice.account.home.join("made")).unwrap();
    assert_eq!(
        (made.uid(), made.gid(), made.mode() & 0o777),
        (house.alice.account.uid, house.alice.account.gid, 0o640)
    );
}

#[test]
fn what_listens_on_the_network_is_not_root() {
    let Some(house) = House::new("", no_more_lines) else { return };
    let (job, _) = house.long_job(&house.alice);
    let front_door = listeners(port(house.contact()));
    assert_eq!(front_door.len(), 1, "the launcher does not hold the socket too");
    for pid in &front_door {
        has_no_privilege(*pid, &house.gatekeeper);
        // Not even a set-user-id program could help it.
        assert_eq!(status(*pid, "CapBnd"), ["0000000000000000"]);
        assert_eq!(status(*pid, "NoNewPrivs"), ["1"]);
    }
    for pid in listeners(port(&job)) {
        has_no_privilege(pid, &house.alice.account);
    }
    for (role, account) in
        [("serve", &house.gatekeeper), ("jobmanager", &house.alice.account), ("reaper", &house.alice.account)]
    {
        let pids = house.processes(role);
        assert!(!pids.is_empty(), "{role}");
        pids.iter().for_each(|pid| has_no_privilege(*pid, account));
    }
    // The one process that is root listens nowhere but on its own socket.
    let launcher = house.site().gatekeeper().id();
    assert_eq!(status(launcher, "Uid")[1], "0");
    let sockets: Vec<_> = fs::read_dir(format!("/proc/{launcher}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .collect();
    assert!(sockets.len() <= 1, "{sockets:?}");
}

/// The stock client cannot be told to send a signal to a job, so that one is sent by hand.
#[test]
fn neither_touches_the_others_job() {
    let Some(house) = House::new("", no_more_lines) else { return };
    let both = [(&house.alice, &house.bob), (&house.bob, &house.alice)];
    let jobs = [house.long_job(&house.alice), house.long_job(&house.bob)];
    for ((owner, other), (job, pid)) in both.into_iter().zip(&jobs) {
        let own = owner.user.run("globusrun", ["-status", job]);
        own.is(0, "ACTIVE\n", "");

        // At the job contact.
        let looked = other.user.run("globusrun", ["-status", job]);
        assert!(looked.code != 0 && !looked.stdout.contains("ACTIVE"), "{looked:#?}");
        let cancelled = other.user.run("globusrun", ["-k", job]);
        assert_ne!(cancelled.code, 0, "{cancelled:#?}");
        for query in ["status", "cancel", "signal 6 x", "register 1048575 https://localhost:1/"] {
            let reply = house.speaker(other).ask(job, query);
            assert!(
                reply.status != 200 || [7, 162].contains(&reply.number("failure-code")),
                "{query}: {reply:?}"
            );
        }

        // As a process.
        for attempt in
            [format!("kill {pid}"), format!("cat /proc/{pid}/environ"), format!("ls /proc/{pid}/fd")]
        {
            assert_ne!(other.account.shell(&attempt).code, 0, "{attempt}");
        }
        owner.user.run("globusrun", ["-status", job]).is(0, "ACTIVE\n", "");
        assert!(alive(*pid));
        on_disk(&house, owner, other);
    }
    for ((owner, _), (job, pid)) in both.into_iter().zip(&jobs) {
        assert_eq!(owner.user.run("globusrun", ["-k", job]).code, 0);
        until("the owner's cancel ends the job", || !alive(*pid));
    }
}

/// Root gathers from every account, and nobody leads it out of the site.
#[test]
fn a_support_bundle_of_all_accounts() {
    let Some(house) = House::new("", no_more_lines) else { return };
    let jobs = [house.long_job(&house.alice), house.long_job(&house.bob)];
    let secret = house.file("secret-of-root");
    fs::write(&secret, "nobody may see this").unwrap();
    let log = house.state(&house.bob.account.name).join("jobmanager.log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&secret, &log).unwrap();

    let bundle = house.file("b.tar.gz");
    let mut command = Command::new(gridiron());
    command.args(["support-bundle", "--config"]).arg(house.file("gridiron.toml")).arg("--out").arg(&bundle);
    let out = e2e::command::run(command);
    assert!(out.code == 0 && out.stdout.contains(&log.display().to_string()), "{out:#?}");
    let mut tar = Command::new("tar");
    tar.args(["-xzOf"]).arg(&bundle);
    let text = e2e::command::run(tar).stdout;
    for (job, _) in &jobs {
        assert!(text.contains(&format!("\"job\": \"{job}\"")), "no {job} in {text}");
    }
    assert!(text.contains("LISTEN") && !text.contains("nobody may see this"), "{text}");
    for (person, (job, pid)) in [&house.alice, &house.bob].into_iter().zip(&jobs) {
        assert_eq!(person.user.run("globusrun", ["-k", job]).code, 0);
        until("the owner's cancel ends the job", || !alive(*pid));
    }
}

/// What another account, and the gatekeeper, can reach of an account's files.
fn on_disk(house: &House, owner: &Person, other: &Person) {
    let folder = house.state(&owner.account.name);
    let metadata = fs::metadata(&folder).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777),
        (owner.account.uid, house.gatekeeper.gid, 0o710)
    );
    let files = folder.display();
    // Root sees all there is; everything in it is the owner's.
    let all = e2e::command::run(find(&folder));
    let names: Vec<&str> = all.ok().lines().skip(1).collect();
    assert!(names.iter().any(|name| name.ends_with("x509_user_proxy")), "{names:?}");
    for name in &names {
        assert_eq!(fs::symlink_metadata(name).unwrap().uid(), owner.account.uid, "{name}");
    }
    for stranger in [&other.account, &house.gatekeeper, &house.system] {
        let found = stranger.shell(&format!("find {files} -mindepth 1"));
        assert!(found.code != 0 && found.stdout.is_empty(), "{found:#?}");
        for name in names.iter().filter(|name| Path::new(name).is_file()) {
            let read = stranger.shell(&format!("cat '{name}'"));
            assert!(read.code != 0 && read.stdout.is_empty(), "{read:#?}");
        }
        assert_ne!(stranger.shell(&format!("echo x > {files}/new")).code, 0);
        assert_ne!(stranger.shell(&format!("rm -rf {files}; test ! -e {files}")).code, 0);
        assert!(folder.exists());
    }
    // The control socket: the folder keeps other accounts away from it, and the manager whoever gets past that, even
    // root, who is neither the account nor the gatekeeper.
    let socket = folder.join("control.sock");
    if let Some(perl) = stock::find("perl") {
        let script = format!(
            "{} -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => \"{}\") or die $!'",
            perl.display(),
            socket.display()
        );
        let refused = other.account.shell(&script);
        assert!(refused.code != 0 && refused.stderr.contains("Permission denied"), "{refused:#?}");
        assert_eq!(owner.account.shell(&script).code, 0);
        assert_eq!(house.gatekeeper.shell(&script).code, 0);
    } else {
        stock::skip("not installed: perl");
    }
    let mut connection = UnixStream::connect(&socket).unwrap();
    assert_eq!(connection.read(&mut [0; 1]).unwrap_or(0), 0, "closed without a word");
}

fn find(folder: &Path) -> Command {
    let mut command = Command::new(stock::program("find"));
    command.arg(folder);
    command
}

#[test]
fn accounts_that_run_no_jobs() {
    let lines = |house: &House| {
        let mallory = &house.alice.user.pki.mallory.subject;
        let accounts = [
            "root".to_owned(),
            house.system.name.clone(),
            house.gatekeeper.name.clone(),
            "gi-no-such".to_owned(),
        ];
        vec![format!("\"{mallory}\" {}", accounts.join(","))]
    };
    let Some(house) = House::new("accounts = \"accounts\"\n", lines) else { return };
    let list = house.file("accounts");
    fs::write(&list, format!("# the only ones\n{}\n", house.alice.account.name)).unwrap();
    house.job(&house.alice, "&(executable=/bin/echo)(arguments=hello)").is(0, "hello\n", "");

    let refused = |person: &Person, rsl: &str, contact: &str, number: i32, reason: &str| {
        let out = person.user.run("globusrun", ["-q", "-r", contact, rsl]);
        assert_eq!(out.code, number, "{contact}: {out:#?}");
        assert!(out.stderr.contains(&format!("(error code {number})")), "{out:#?}");
        let line = house.last_audit();
        assert!(line.contains(reason) && line.contains("\"refused\""), "{contact}: {line}");
    };
    let rsl = "&(executable=/bin/true)";
    refused(&house.bob, rsl, house.contact(), 7, "not in the site's list of accounts");
    // It counts at once, and not at all while others than root could have written it.
    fs::write(&list, format!("{}\n", house.bob.account.name)).unwrap();
    house.job(&house.bob, "&(executable=/bin/echo)(arguments=hello)").is(0, "hello\n", "");
    // Bob's manager runs now; what the list says next is asked of accounts without one.
    house.bob.user.proxy_init(&house.bob.user.pki.mallory, &[]);
    for (account, number, reason) in [
        ("root", 7, "uid 0 or is in group 0"),
        (&*house.system.name, 7, "uid is below the minimum"),
        (&*house.gatekeeper.name, 7, "the gatekeeper's own"),
        ("gi-no-such", 47, "no such account"),
    ] {
        refused(&house.bob, rsl, &format!("{}/jobmanager@{account}", house.contact()), number, reason);
        assert!(house.last_audit().contains("\"account_unusable\""), "{}", house.last_audit());
        let mallory = &house.bob.user.pki.mallory.subject;
        let arguments = ["explain", "--config", "gridiron.toml", "--account", account, "subject", mallory];
        let explained = ours(&house, &arguments);
        assert!(explained.code == 1 && explained.stdout.contains(reason), "{explained:#?}");
        assert!(explained.stdout.contains("account_unusable"), "{explained:#?}");
    }
    for folder in ["root", &house.system.name, &house.gatekeeper.name] {
        assert!(!house.state(folder).exists(), "{folder}");
    }
    fs::set_permissions(&list, Permissions::from_mode(0o666)).unwrap();
    house.processes("jobmanager").into_iter().for_each(|pid| signal(pid, Signal::TERM));
    until("the managers end", || house.processes("jobmanager").is_empty());
    refused(&house.alice, rsl, house.contact(), 47, "the launcher failed");
}

/// What the launcher answers to this packet, with a pipe, from whoever runs the test: root, who is not the gatekeeper.
fn ask_launcher(path: &Path, packet: &[u8]) -> Vec<u8> {
    let client: OwnedFd = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    connect(&client, &SocketAddrUnix::new(path).unwrap()).unwrap();
    let (_read, write) = pipe().unwrap();
    let descriptors = [write.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // It may have hung up already.
    let _ = sendmsg(&client, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL);
    let mut answer = [0; 64];
    let length = recv(&client, &mut answer, RecvFlags::empty()).map_or(0, |(length, _)| length);
    answer[..length].to_vec()
}

#[test]
fn the_launcher_answers_only_the_gatekeeper() {
    let Some(house) = House::new("", no_more_lines) else { return };
    let socket = house.file("run/launcher.sock");
    let metadata = fs::metadata(&socket).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (house.gatekeeper.uid, 0o600));
    let request = format!("\x01{}", house.alice.account.name);
    let answer = ask_launcher(&socket, request.as_bytes());
    assert!(answer.is_empty() || answer == [1, 2, 0, 0, 0, 0], "refused as a stranger: {answer:?}");
    assert!(!house.state(&house.alice.account.name).exists(), "and nothing was done");
    if let Some(perl) = stock::find("perl") {
        let script = format!(
            "{} -MSocket -e 'socket(S, AF_UNIX, SOCK_SEQPACKET, 0) or die; connect(S, sockaddr_un(\"{}\")) or die $!'",
            perl.display(),
            socket.display()
        );
        let refused = house.alice.account.shell(&script);
        assert!(refused.code != 0 && refused.stderr.contains("Permission denied"), "{refused:#?}");
    }
    // It goes on serving.
    house.job(&house.alice, "&(executable=/bin/echo)(arguments=hello)").is(0, "hello\n", "");
}

#[test]
fn root_alone_is_not_let_near_the_network() {
    let Some(house) = House::not_served("") else { return };
    let site_file = house.file("gridiron.toml");
    let serve = |complaint: &str| {
        let out = ours(&house, &["serve", "--config", "gridiron.toml"]);
        assert!(out.code == 78 && out.stderr.contains(complaint), "{complaint}: {out:#?}");
    };
    // A site file that others can write would let them choose what root runs.
    fs::set_permissions(&site_file, Permissions::from_mode(0o666)).unwrap();
    serve("others may write there");
    std::os::unix::fs::chown(&site_file, Some(house.alice.account.uid), None).unwrap();
    fs::set_permissions(&site_file, Permissions::from_mode(0o644)).unwrap();
    serve("belongs to uid");
    std::os::unix::fs::chown(&site_file, Some(0), None).unwrap();
    // Without [launcher] root would be the one who reads what strangers send.
    let text = fs::read_to_string(&site_file).unwrap();
    let without: String = text.split("[launcher]").next().unwrap().to_owned();
    fs::write(&site_file, without).unwrap();
    serve("does not run as root");
}

/// As in deploy/README.md.
#[test]
fn a_site_is_set_up_in_minutes() {
    let Some(house) = House::not_served("") else { return };
    let (gatekeeper, alice) = (&house.gatekeeper.name, &house.alice.account.name);
    let host = e2e::pki::host_name();
    let made =
        ours(&house, &["init", "--ca", "--host", &host, "--listen", "[::]:0", "--user", gatekeeper, "made"]);
    assert_eq!(made.code, 0, "{made:#?}");
    let gridmap = ["gridmap", "add", "--file", "made/grid-mapfile", "/O=Grid/CN=Alice"];
    let map = |account: &str| assert_eq!(ours(&house, &[&gridmap[..], &[account]].concat()).code, 0);
    map(alice);
    // Elsewhere than where a real site on this machine may have it.
    let site_file = house.file("made/gridiron.toml");
    let text = fs::read_to_string(&site_file).unwrap();
    let placed = text.replace("#socket = \"/run/gridiron/launcher.sock\"", "socket = \"run/launcher.sock\"");
    assert_ne!(text, placed);
    fs::write(&site_file, placed).unwrap();

    let check = || ours(&house, &["check", "--config", "made/gridiron.toml"]);
    let fine = check();
    assert_eq!(fine.code, 0, "{fine:#?}");
    for (setting, value) in
        [("user", &**gatekeeper), ("minimum_uid", "1000"), ("umask", "077"), ("core_bytes", "0")]
    {
        let shows = |line: &str| {
            line.trim().split_once(' ').is_some_and(|(name, rest)| (name, rest.trim()) == (setting, value))
        };
        assert!(fine.stdout.lines().any(shows), "{setting}: {fine:#?}");
    }
    let serving = Running::start(
        {
            let mut command = e2e::command::lifeline(&gridiron());
            command.arg("serve").arg("--config").arg(&site_file).current_dir("/");
            command
        },
        None,
    );
    serving.wait_for("GRAM contact: ");
    signal(serving.id(), Signal::TERM);
    assert_eq!(serving.finish().code, 0);

    // And every way to spoil it is found.
    let complains = |about: &str| {
        let out = check();
        assert!(out.code == 1 && out.stdout.contains(about), "{about}: {out:#?}");
    };
    map("root");
    complains("is mapped to root, which runs no jobs: the account has uid 0");
    let mode =
        |name: &str, mode| fs::set_permissions(house.file(name), Permissions::from_mode(mode)).unwrap();
    mode("made/gridiron.toml", 0o666);
    complains("others may write there");
    mode("made/gridiron.toml", 0o600);
    complains("job managers read it as their accounts");
    mode("made/gridiron.toml", 0o644);
    mode("made/hostkey.pem", 0o644);
    complains("hostkey.pem: others may read it; try: chmod 400");
    std::os::unix::fs::chown(house.file("made/hostkey.pem"), Some(0), None).unwrap();
    complains("hostkey.pem: it must belong to the gatekeeper's account");
    std::os::unix::fs::chown(house.file("made/state"), Some(house.alice.account.uid), None).unwrap();
    complains("made/state: it belongs to uid");
}

#[test]
fn an_ordinary_user_needs_no_launcher() {
    let Some(house) = House::not_served("") else { return };
    let account = &house.alice.account;
    let program = gridiron().display().to_string();
    let shown = account.shell(&format!("cd; TMPDIR=$HOME {program} demo"));
    assert_eq!(shown.code, 0, "{shown:#?}");
    let said = shown.stdout + &shown.stderr;
    assert!(said.contains(&format!("running as {}", account.name)), "{said}");
    // A site for many accounts is not hers to start.
    let file = house.file("gridiron.toml");
    let refused = account.shell(&format!("{program} serve --config {}", file.display()));
    assert!(refused.code == 78 && refused.stderr.contains("site for many accounts"), "{refused:#?}");
    let launcher = account.shell(&format!("{program} launcher --config {}", file.display()));
    assert!(launcher.code != 0 && launcher.stderr.contains("has to be root"), "{launcher:#?}");
}

#[test]
fn gatekeeper_and_launcher_die_and_come_back() {
    let Some(mut house) = House::new("", no_more_lines) else { return };
    let (job, pid) = house.long_job(&house.alice);
    // The gatekeeper: the launcher starts it again, on the same port where it is configured.
    let [gatekeeper] = house.processes("serve")[..] else { panic!("one gatekeeper") };
    signal(gatekeeper, Signal::KILL);
    until("a new gatekeeper", || house.processes("serve").iter().any(|pid| *pid != gatekeeper));
    house.alice.user.run("globusrun", ["-status", &job]).is(0, "ACTIVE\n", "");

    // The launcher: its gatekeeper goes with it, job managers and jobs do not; root starts the site again.
    let managers = house.processes("jobmanager");
    signal(house.site().gatekeeper().id(), Signal::KILL);
    until("the gatekeeper ends", || house.processes("serve").is_empty());
    house.alice.user.run("globusrun", ["-status", &job]).is(0, "ACTIVE\n", "");
    house.serve_again();
    assert_eq!(house.processes("jobmanager"), managers);
    house.job(&house.bob, "&(executable=/bin/echo)(arguments=hello)").is(0, "hello\n", "");
    house.job(&house.alice, "&(executable=/bin/echo)(arguments=hello)").is(0, "hello\n", "");
    assert!(alive(pid));

    // Asked to stop, the launcher stops the gatekeeper first.
    let launcher = house.site().gatekeeper().id();
    signal(launcher, Signal::TERM);
    until("both end", || house.processes("serve").is_empty() && !alive(launcher));
    assert!(alive(pid), "jobs live on");
    assert_eq!(house.alice.user.run("globusrun", ["-k", &job]).code, 0);
    until("the job ends", || !alive(pid));
}

/// The gatekeeper cannot look into the accounts' folders; its own register says who has jobs.
#[test]
fn after_the_death_of_everything_jobs_are_looked_after_without_being_asked() {
    let Some(mut house) = House::new("", no_more_lines) else { return };
    let jobs = [&house.alice, &house.bob].map(|person| house.long_job(person));
    let roles = ["serve", "jobmanager", "reaper"];
    let mut all: Vec<u32> = roles.iter().flat_map(|role| house.processes(role)).collect();
    all.push(house.site().gatekeeper().id());
    for pid in all {
        // One may have gone with another.
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).ok();
    }
    until("all are dead", || roles.iter().all(|role| house.processes(role).is_empty()));
    house.serve_again();
    for (person, (job, pid)) in [&house.alice, &house.bob].into_iter().zip(jobs) {
        person.user.until_status(&job, "ACTIVE");
        signal(pid, Signal::TERM);
        person.user.until_status(&job, "DONE");
        let mut status = person.user.gridiron();
        status.args(["status", &job]);
        e2e::command::run(status).is(0, "DONE, exit code 143\n", "");
    }
}

/// The launcher and the gatekeeper each with a socket from outside, as the units in `deploy/systemd` have them; then they
/// do not depend on each other's lives.
#[test]
fn started_as_systemd_does() {
    let Some(activate) = stock::find("systemd-socket-activate") else {
        return stock::skip("not installed: systemd-socket-activate");
    };
    let Some(house) = House::not_served("") else { return };
    house.map(Vec::new());
    let gatekeeper = &house.gatekeeper;
    let socket = house.file("run/launcher.sock");
    let site_file = house.file("gridiron.toml");
    let launch = || {
        fs::remove_file(&socket).ok();
        let mut command = Command::new(&activate);
        command.arg("--seqpacket").arg("--listen").arg(&socket).arg(gridiron());
        command.args(["launcher", "--config"]).arg(&site_file);
        let running = Running::start(command, None);
        until("the socket is there", || socket.exists());
        std::os::unix::fs::chown(&socket, Some(gatekeeper.uid), Some(gatekeeper.gid)).unwrap();
        running
    };
    let launcher = launch();

    let told = house.file("run/notify");
    let notified = UnixDatagram::bind(&told).unwrap();
    fs::set_permissions(&told, Permissions::from_mode(0o666)).unwrap();
    let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(stock::program("setpriv"));
    command.args([
        "--reuid",
        &gatekeeper.uid.to_string(),
        "--regid",
        &gatekeeper.gid.to_string(),
        "--clear-groups",
    ]);
    command.arg(&activate).args(["--setenv", "NOTIFY_SOCKET", "--listen", &port.to_string()]);
    command.arg(gridiron()).args(["serve", "--config"]).arg(&site_file).env("NOTIFY_SOCKET", &told);
    let front_door = Running::start(command, None);
    until("the port is open", || TcpStream::connect(("localhost", port)).is_ok());
    let contact = format!("{}:{port}", e2e::pki::host_name());
    let echo = |person: &Person, word: &str| {
        let rsl = format!("&(executable=/bin/echo)(arguments={word})");
        person.user.run("globusrun", ["-s", "-r", &contact, &rsl])
    };
    echo(&house.alice, "hello").is(0, "hello\n", "");
    let mut word = [0; 64];
    let length = notified.recv(&mut word).unwrap();
    assert_eq!(String::from_utf8_lossy(&word[..length]).trim(), "READY=1");
    for pid in listeners(port) {
        has_no_privilege(pid, gatekeeper);
    }

    // The gatekeeper lives on without a launcher: running job managers go on, others cannot be started for now.
    signal(launcher.id(), Signal::KILL);
    launcher.finish();
    echo(&house.alice, "again").is(0, "again\n", "");
    let out = house.bob.user.run("globusrun", ["-q", "-r", &contact, "&(executable=/bin/true)"]);
    assert_eq!(out.code, 47, "{out:#?}");
    assert!(house.last_audit().contains("no launcher at"), "{}", house.last_audit());
    let launcher = launch();
    echo(&house.bob, "hello").is(0, "hello\n", "");
    drop((launcher, front_door));
}
