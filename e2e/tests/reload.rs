//! What changes while a gatekeeper of ours runs: every file it goes by is read again, broken ones change nothing and are named
//! in the log; and it can be stopped and started again without anybody noticing who was inside.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test harness fails by panicking")]

use e2e::{
    Kind::Ours,
    World,
    forgery::{self, Workshop},
    our_site::OurSite,
    pki::Identity,
    user::temporary_folder,
    world::{Setup, account},
};
use rustix::process::Signal;
use std::{
    fs,
    io::ErrorKind,
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A world with a trust directory of its own, which a test may change.
fn world(extra: &[&str]) -> Option<(World, tempfile::TempDir)> {
    let folder = temporary_folder();
    let trust = folder.path().join("trust");
    forgery::copy_trust(&e2e::pki::Pki::shared().trust, &trust);
    let gatekeeper_lines = extra.iter().map(|line| (*line).to_owned()).collect();
    let setup = Setup { trust: Some(trust), gatekeeper_lines, ..Setup::default() };
    Some((World::new(Ours, Ours, &setup)?, folder))
}

/// Whether the user's proxy is let in.
fn let_in(world: &World) -> bool {
    world.run("globusrun", ["-a", "-r", world.contact()]).code == 0
}

/// The code of the last refusal.
fn last_code(world: &World) -> String {
    let audit = world.our_site().audit();
    audit.last().and_then(|line| line["code"].as_str()).unwrap_or_default().to_owned()
}

#[track_caller]
fn refused(world: &World, code: &str) {
    let before = world.our_site().audit().len();
    assert!(!let_in(world), "should be refused: {code}");
    world.our_site().audit_beyond(before);
    assert_eq!(last_code(world), code);
}

/// Has everything read again; whoever is let in after this finds it so.
#[track_caller]
fn hang_up(world: &World) {
    let gatekeeper = world.our_site().gatekeeper();
    let before = gatekeeper.errors_so_far().matches(READING).count();
    gatekeeper.signal(Signal::HUP);
    gatekeeper.wait_for_errors(|log| log.matches(READING).count() > before);
}

/// What the log says when it begins.
const READING: &str = "reading all files again";

/// Asks until the answer is this refusal, or with an empty code until there is none; not for ever.
#[track_caller]
fn until(world: &World, code: &str) {
    let start = Instant::now();
    loop {
        let before = world.our_site().audit().len();
        let answer = let_in(world);
        world.our_site().audit_beyond(before);
        if answer == code.is_empty() && last_code(world) == code {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "never {code:?} but {:?}", last_code(world));
    }
}

#[test]
fn gridmap_and_bans_at_once() {
    let Some((world, _folder)) = world(&[]) else { return };
    let (gridmap, banned) = (world.our_site().file("grid-mapfile"), world.our_site().file("banned"));
    let known = fs::read_to_string(&gridmap).expect("it is there");
    let alice = world.pki.alice.subject.clone();
    assert!(let_in(&world));

    fs::write(&gridmap, known.replace(&alice, "/CN=somebody else")).expect("writable");
    refused(&world, "unmapped");
    fs::write(&gridmap, &known).expect("writable");
    assert!(let_in(&world));
    for broken in ["\u{1}\u{2}garbage\n".to_owned(), format!("{}\n\"/CN=never closed\n", known.trim_end())] {
        fs::write(&gridmap, broken).expect("writable");
        assert!(let_in(&world), "a broken gridmap replaces nothing");
    }
    world.our_site().gatekeeper().wait_for_error("grid-mapfile:3: the double quote is never closed");
    fs::remove_file(&gridmap).expect("it is there");
    assert!(let_in(&world), "nor does one that has gone");
    fs::write(&gridmap, &known).expect("writable");

    fs::write(&banned, format!("subject \"{alice}\" for a test\n")).expect("writable");
    refused(&world, "banned");
    fs::write(&banned, "sujbect \"/CN=x\"\n").expect("writable");
    refused(&world, "banned");
    world.our_site().gatekeeper().wait_for_error("line 1: \"sujbect\" begins no ban");
    fs::remove_file(&banned).expect("it is there");
    refused(&world, "banned");
    fs::write(&banned, "").expect("writable");
    assert!(let_in(&world), "an emptied list lifts the bans");
}

#[test]
fn trust_directory() {
    let Some((world, folder)) = world(&[]) else { return };
    let trust = folder.path().join("trust");
    let authority = &world.pki.authority;
    let file = |suffix: &str| trust.join(format!("{}.{suffix}", forgery::hash(authority)));
    let policy = fs::read(file("signing_policy")).expect("it is there");
    assert!(let_in(&world));
    for (suffix, broken) in [("0", "no certificate"), ("signing_policy", "no policy"), ("r0", "no list")] {
        let path = file(suffix);
        let good = fs::read(&path).ok();
        fs::write(&path, broken).expect("writable");
        // One that is new has nothing to fall back on.
        if suffix == "r0" {
            hang_up(&world);
            refused(&world, "broken_crl");
            fs::remove_file(&path).expect("just written");
        } else {
            hang_up(&world);
            assert!(let_in(&world), "a broken .{suffix} replaces nothing");
            fs::write(&path, good.expect("it was there")).expect("writable");
        }
    }
    fs::write(file("signing_policy"), String::from_utf8_lossy(&policy).replace("/*", "/nobody/*"))
        .expect("writable");
    // No signal: dates are looked at again after a second.
    until(&world, "outside_signing_policy");
    fs::write(file("signing_policy"), policy).expect("writable");
    until(&world, "");

    let workshop = Workshop { pki: &world.pki, folder: folder.path() };
    workshop.revoke(authority, &[&world.pki.alice], -1, 2, &trust);
    until(&world, "revoked");
    workshop.revoke(authority, &[], -1, 2, &trust);
    until(&world, "");
    // The directory as a whole: gone for a moment, as when it is replaced.
    fs::rename(&trust, folder.path().join("away")).expect("ours");
    hang_up(&world);
    assert!(let_in(&world), "a trust directory that has gone takes nobody's trust away");
}

/// The subject of the certificate that the gatekeeper shows.
fn shown(contact: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", contact, "-noservername", "-tls1_2"]);
    let told = e2e::command::run(command);
    let line = told.stdout.lines().find(|line| line.starts_with("subject="));
    line.unwrap_or_default().to_owned()
}

#[test]
fn host_certificate() {
    let folder = temporary_folder();
    let pki = e2e::pki::Pki::shared();
    let [certificate, key] = ["host.pem", "host.key"].map(|name| folder.path().join(name));
    let install = |who: &Identity| {
        // Each file in one step; for a moment they do not belong together, which must do no harm.
        for (from, to) in [(&who.key, &key), (&who.certificate, &certificate)] {
            let new = to.with_extension("new");
            fs::copy(from, &new).and_then(|_| fs::rename(&new, to)).expect("writable");
        }
    };
    let setup = Setup { host: Some((certificate.clone(), key.clone())), ..Setup::default() };
    install(&pki.host);
    let Some(world) = World::new(Ours, Ours, &setup) else { return };
    assert!(let_in(&world));
    install(&pki.carol);
    let contact = format!("{}:{}", world.contact(), pki.carol.subject);
    assert!(shown(world.contact()).contains("Carol Clark"), "{}", shown(world.contact()));
    assert_eq!(world.run("globusrun", ["-a", "-r", &*contact]).code, 0, "{contact}");
    fs::write(&certificate, "broken\n").expect("writable");
    assert!(shown(world.contact()).contains("Carol Clark"), "a broken certificate replaces nothing");
    world.our_site().gatekeeper().wait_for_error("host.pem");
    install(&pki.host);
    assert!(let_in(&world));
}

#[test]
fn configuration() {
    let Some((world, _folder)) = world(&[]) else { return };
    let site_file = world.our_site().file("gridiron.toml");
    let good = fs::read_to_string(&site_file).expect("it is there");
    let write = |text: &str| fs::write(&site_file, text).expect("writable");
    assert!(let_in(&world));

    write(&good.replace("[jobmanager]", "min_rsa_bits = 4096\n[jobmanager]"));
    refused(&world, "weak_key");
    for broken in
        ["[gatekeeper\n", "[gatekeeper]\nmin_rsa_bits = 'many'\n", "[gatekeeper]\nmin_rsa_bits = 512\n"]
    {
        write(broken);
        hang_up(&world);
        refused(&world, "weak_key");
    }
    let gatekeeper = world.our_site().gatekeeper();
    gatekeeper.wait_for_error("gridiron.toml:1: ");
    gatekeeper.wait_for_error("gridiron.toml:2: `min_rsa_bits`: invalid type");
    write(&good);
    hang_up(&world);
    gatekeeper.wait_for_error("configuration taken into use changed=[\"min_rsa_bits\"]");
    assert!(let_in(&world));

    // What cannot change is named, and what can is changed.
    let service = "accept_limited = true";
    assert!(good.contains(service));
    write(&good.replace("[::]:0", "[::]:1").replace(service, "accept_limited = false"));
    hang_up(&world);
    gatekeeper.wait_for_error("take effect when the gatekeeper is restarted changed=[\"listen\"]");
    world.proxy_init(&world.pki.alice, &["-limited"]);
    let limited = world.service("jobmanager-limited");
    assert_ne!(world.run("globusrun", ["-a", "-r", &*limited]).code, 0);
    assert_eq!(last_code(&world), "limited_proxy");
}

/// Somebody in the middle of a request when the gatekeeper is told to stop is served to the end; the next gatekeeper takes the
/// port over at once; a running job notices nothing.
#[test]
fn restart() {
    let Some((world, _folder)) = world(&[]) else { return };
    let site = world.our_site();
    let port = world.contact().rsplit(':').next().unwrap_or_default();
    let site_file = site.file("gridiron.toml");
    let text = fs::read_to_string(&site_file).expect("it is there");
    fs::write(&site_file, text.replace("[::]:0", &format!("[::]:{port}"))).expect("writable");
    let job = "&(executable=/bin/sh)(arguments=-c \"echo $$ > pid; exec sleep 300\")";
    let job = format!("{job}(directory={})", world.file("").display());
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), &job]).job_contact();
    let process = world.job_process();

    let request = e2e::by_hand::post("ping/jobmanager", "");
    let (begin, end) = request.split_at(20);
    let speaker = world.speaker(&world.pki.alice);
    let half = speaker.begin(world.contact(), begin.as_bytes());
    // Its place in the queue is before that of this one, which has been served.
    assert!(let_in(&world));
    site.gatekeeper().signal(Signal::TERM);
    site.gatekeeper().wait_for_error("stopping");
    let connected = TcpStream::connect(("localhost", port.parse().expect("a port")));
    assert!(connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));

    let next = OurSite::gatekeeper_of(&site.file(""), &[]);
    next.wait_for("GRAM contact: ");
    assert!(let_in(&world));
    let reply = half.end(end.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    site.gatekeeper().wait_for_end();
    assert!(process.runs());
    world.run("globusrun", ["-status", &job]).is(0, "ACTIVE\n", "");
    world.run("globusrun", ["-k", &job]).is(0, "", "");
    assert!(process.ends());
    let accounts = site.audit().iter().filter(|line| line["account"] == account()).count();
    assert!(accounts >= 4, "every request has its line, whichever gatekeeper served it: {accounts}");
    assert!(Path::new(&site_file).exists());
}
