//! Malformed everything, slow, and much of it: our front door refuses clearly, does not panic, keeps its memory bounded, and
//! serves whoever behaves within a second meanwhile.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test harness fails by panicking"
)]

use e2e::{
    Finished,
    Kind::{self, Ours, Stock},
    Running, World,
    by_hand::{Delegation, post},
    stock,
    world::Setup,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    ops::Deref,
    thread,
    time::{Duration, Instant},
};

/// How soon somebody who behaves has been served, from the start of his program to its end, where it takes less than a
/// fifth of that when nobody else is there: on a machine that is busy with other things, five times what it takes then.
const SOON: Duration = Duration::from_secs(1);
/// How much the gatekeeper may grow, in kB: 256 handshakes of at most 256 KiB each would be 64 MiB.
const GROWTH: u64 = 64 * 1024;

/// The bounds that make a test short; all others are the defaults.
const SHORT: &str = "[gatekeeper.limits]\nhandshake_seconds = 6\nrequest_seconds = 6\nidle_seconds = 3";

/// A site of ours, with a user of the stock make where there is one.
fn site(lines: &str) -> Option<Besieged> {
    let client = if stock::missing(stock::CLIENT).is_empty() { Stock } else { Ours };
    let setup = Setup { gatekeeper_lines: vec![lines.to_owned()], ..Setup::default() };
    let world = World::new(client, Ours, &setup)?;
    // The first one also pays for whatever is slow the first time only.
    let quiet = (0..3).map(|_| ping(&world).took).min().unwrap_or_default();
    Some(Besieged { world, soon: SOON.max(5 * quiet) })
}

/// A site of ours, and how soon somebody who behaves is to be served there.
struct Besieged {
    world: World,
    soon: Duration,
}

impl Deref for Besieged {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

fn ping(world: &World) -> Finished {
    world.run("globusrun", ["-a", "-r", world.contact()])
}

fn connect(world: &World) -> TcpStream {
    let address = world.contact().replace(|c: char| c != ':' && !c.is_ascii_digit(), "");
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gatekeeper listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    stream
}

/// Somebody who behaves is let in, soon.
#[track_caller]
fn good(world: &Besieged) {
    let out = ping(world);
    assert!(out.code == 0 && out.took < world.soon, "{out:#?}");
}

/// Reads until the other end closes; how many bytes came. A reset is an end, too.
fn drain(stream: &mut TcpStream) -> usize {
    let (mut buffer, mut count) = ([0; 4096], 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return count,
            Ok(more) => count += more,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return count,
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

/// Sends the bytes and waits for the end.
fn send_and_drain(world: &World, bytes: &[u8]) {
    let mut stream = connect(world);
    // It may be closed before all of it has been taken.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    drain(&mut stream);
}

/// Nothing has panicked, nothing is left open, and memory is what it was, or nearly.
#[track_caller]
fn is_well(world: &World, before: u64) {
    let site = world.our_site();
    let (now, peak) = (site.gatekeeper().status_number("VmRSS"), site.gatekeeper().status_number("VmHWM"));
    assert!(peak < before + GROWTH, "VmRSS was {before} kB, is {now} kB, was up to {peak} kB");
    let logs = site.logs();
    assert!(!logs.contains("panicked"), "{logs}");
    assert_eq!(ping(world).code, 0);
}

/// Bytes that look random but are the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state & 0xFF).unwrap_or_default()
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn random_truncated_and_oversized() {
    let Some(world) = site(SHORT) else { return };
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let lines = world.our_site().audit().len();
    let mut sent = 0;
    let mut send = |bytes: &[u8]| {
        send_and_drain(&world, bytes);
        sent += 1;
    };
    for seed in 0..40 {
        send(&noise(seed, 1 << (seed % 14)));
    }
    // A record header, then noise; a token length, then noise; other protocols; lengths that are not kept or too great.
    for seed in 0..40 {
        let start: &[u8] = match seed % 4 {
            0 => &[22, 3, 1, 0x3F, 0xFF],
            1 => &[0, 0, 2, 0],
            2 => &[22, 3, 3, 0xFF, 0xFF],
            _ => &[0xFF, 0xFF, 0xFF, 0xFF],
        };
        send(&[start, &noise(seed, 2000)].concat());
    }
    send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    send(b"SSH-2.0-OpenSSH_9.2\r\n");
    send(b"");
    // Handshake messages that never end.
    send(&[&[22, 3, 1, 0x40, 0x00, 1, 0xFF, 0xFF, 0xFF][..], &[0; 16_379]].concat().repeat(40));
    send(&noise(99, 3_000_000));
    is_well(&world, before);
    let audit = world.our_site().audit();
    let refused = audit.iter().skip(lines).filter(|line| line["outcome"] == "refused").count();
    assert_eq!(refused, sent, "one audit line for each");
}

#[test]
fn slow_and_half_closed() {
    let Some(world) = site(SHORT) else { return };
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let start = Instant::now();
    // One byte a second is not idle, but the handshake has an end.
    let mut slow: Vec<TcpStream> = (0..20).map(|_| connect(&world)).collect();
    let mut half: Vec<TcpStream> = (0..20).map(|_| connect(&world)).collect();
    for stream in &mut half {
        stream.write_all(&[22, 3, 1, 0, 200, 1]).expect("open");
        stream.shutdown(Shutdown::Write).expect("open");
    }
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(&world)).collect();
    // And in the middle of a request.
    let speaker = world.speaker(&world.pki.alice);
    let begun = speaker.begin(world.contact(), b"POST ping/jobmanager HTTP/1.1\r\nHo");
    for byte in [22, 3, 1, 0] {
        for stream in &mut slow {
            stream.write_all(&[byte]).expect("open");
        }
        good(&world);
        thread::sleep(Duration::from_secs(1));
    }
    for stream in half.iter_mut().chain(&mut silent).chain(&mut slow) {
        drain(stream);
    }
    assert_eq!(begun.end(b"").status, 0, "closed without an answer");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    is_well(&world, before);
    let audit = world.our_site().audit();
    let with = |code: &str| audit.iter().filter(|line| line["code"] == code).count();
    assert_eq!((with("idle"), with("handshake_timeout")), (21, 20), "silent ones, and slow ones");
}

/// All of them stay open, and nobody is kept out.
#[test]
fn two_thousand_idle_connections() {
    let Some(world) = site("") else { return };
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits.maximum.map_or(4096, |most| most.min(4096));
    if wanted < 2100 {
        return stock::skip("too few file descriptors for 2,000 connections");
    }
    let raised = rustix::process::Rlimit { current: Some(wanted), ..limits };
    setrlimit(Resource::Nofile, raised).expect("up to the maximum");
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let mut idle = Vec::new();
    for hundred in 0..20 {
        idle.extend((0..100).map(|_| connect(&world)));
        if hundred % 5 == 4 {
            good(&world);
        }
    }
    // Half of them have begun to speak.
    for stream in idle.iter_mut().step_by(2) {
        let _ = stream.write_all(&[22, 3, 1, 0x3F, 0xFF, 1]);
    }
    for _ in 0..5 {
        good(&world);
    }
    is_well(&world, before);
    drop(idle);
    good(&world);
}

/// Others are served while somebody opens connections as fast as he can.
#[test]
fn a_flood_of_connections() {
    let Some(world) = site("") else { return };
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                held.push_back(connect(&world));
                if held.len() > 300 {
                    held.pop_front();
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        for _ in 0..5 {
            good(&world);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    is_well(&world, before);
}

#[test]
fn requests_that_make_no_sense() {
    let Some(world) = site(SHORT) else { return };
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let speaker = world.speaker(&world.pki.alice);
    let job = |length: &str, body: &[u8]| {
        let head =
            format!("POST /jobmanager HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let body = "protocol-version: 2\r\njob-state-mask: 1\r\ncallback-url: \"\"\r\nrsl: \"&(executable=/bin/true)\"\r\n";
    for (request, status) in [
        (job("1000000000", b"x"), 200), // too long: 200 with status 10
        (job("99999999999999999999", b"x"), 200),
        (job("-1", b"x"), 400),
        (job("3", b"xyz"), 200), // no job request: 200 with status 91
        (format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)).into_bytes(), 400),
        (format!("POST /jobmanager HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(2000)).into_bytes(), 400),
        (noise(5, 20_000), 400),
    ] {
        let reply = speaker.tell_gatekeeper(world.contact(), Delegation::None, &request);
        let refused = reply.status == status || (status == 400 && matches!(reply.status, 403 | 404));
        let text = String::from_utf8_lossy(request.get(..60).unwrap_or_default()).into_owned();
        assert!(refused, "{text}: expected {status}, got {reply:?}");
        assert!(!reply.body.contains("\nstatus: 0"), "{reply:?}");
    }
    // Attributes that are repeated, by the thousand.
    let many = format!("{body}{}", "a: b\r\n".repeat(5000));
    let reply =
        speaker.tell_gatekeeper(world.contact(), Delegation::Full, post("/jobmanager", &many).as_bytes());
    assert_eq!(reply.number("status"), 91, "{reply:?}");
    // RSL nested 10,000 deep, of three kinds; none begins a job.
    for (open, close) in [("(", ")"), ("&(a=(", "))"), ("+(&(", "))")] {
        let deep =
            format!("&(executable=/bin/true)(arguments={}{})", open.repeat(10_000), close.repeat(10_000));
        if deep.len() > 63_000 {
            let shallower = format!("&(x={}{})", open.repeat(6_000), close.repeat(6_000));
            assert!(refused_job(&world, &shallower) != 0);
        } else {
            assert!(refused_job(&world, &deep) != 0);
        }
    }
    assert_eq!(refused_job(&world, "&(executable=/bin/true)"), 0, "and the job manager lives");
    is_well(&world, before);
}

/// The error number of a job request.
fn refused_job(world: &World, rsl: &str) -> i64 {
    world.speaker(&world.pki.alice).submit(world.contact(), rsl).number("status")
}

/// A chain of sixty kilobytes, and one that is longer than any handshake may be.
#[test]
fn sixty_kilobytes_of_certificates() {
    let Some(world) = site(SHORT) else { return };
    let before = world.our_site().gatekeeper().status_number("VmRSS");
    let certificate = std::fs::read_to_string(&world.pki.carol.certificate).expect("it is there");
    // PEM is a third longer than what is sent.
    let der_length =
        certificate.lines().filter(|line| !line.starts_with("--")).map(str::len).sum::<usize>() * 3 / 4;
    for (bytes, expected) in [(60_000, &["403", "0"][..]), (120_000, &["0"]), (400_000, &["0"])] {
        let chain = world.write("chain.pem", &certificate.repeat(bytes / der_length));
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-quiet", "-nocommands", "-noservername", "-connect", world.contact()]);
        command.arg("-cert").arg(&world.pki.mallory.certificate).arg("-key").arg(&world.pki.mallory.key);
        command.arg("-cert_chain").arg(&chain).arg("-CApath").arg(&world.pki.trust);
        let lines = world.our_site().audit().len();
        let request = format!("0{}", post("ping/jobmanager", ""));
        let answer = Running::start(command, Some(request.as_bytes())).finish().stdout;
        let status = answer.split("HTTP/1.1 ").nth(1).and_then(|rest| rest.get(..3)).unwrap_or("0");
        assert!(expected.contains(&status), "{bytes}: {answer:?}");
        let audit = world.our_site().audit_beyond(lines);
        assert_eq!(audit.len(), lines + 1);
        assert_eq!(audit[lines]["outcome"], "refused", "{}", audit[lines]);
        good(&world);
    }
    is_well(&world, before);
}

/// The job contact holds out as the gatekeeper does.
#[test]
fn job_contact_under_siege() {
    let Some(world) = site("") else { return };
    let job = "&(executable=/bin/sleep)(arguments=300)";
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), job]).job_contact();
    let authority = job.trim_start_matches("https://").split('/').next().unwrap_or_default().to_owned();
    let idle: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(&*authority).expect("the job manager listens")).collect();
    for seed in 0..20 {
        let mut stream = TcpStream::connect(&*authority).expect("the job manager listens");
        let _ = stream.write_all(&noise(seed, 500));
    }
    let out = world.run("globusrun", ["-status", &job]);
    assert!(out.stdout.starts_with("ACTIVE") && out.took < world.soon, "{out:#?}");
    let reply = world.speaker(&world.pki.mallory).ask(&job, "cancel");
    assert_ne!(reply.number("failure-code"), 0, "{reply:?}");
    drop(idle);
    world.run("globusrun", ["-k", &job]).is(0, "", "");
    assert!(!world.our_site().logs().contains("panicked"));
}

/// The kind is part of what is asserted: the stock client where it is installed.
#[test]
fn the_good_client_is_the_stock_one() {
    let Some(world) = site("") else { return };
    if stock::missing(stock::CLIENT).is_empty() {
        assert_eq!(world.client, Kind::Stock);
    }
}
