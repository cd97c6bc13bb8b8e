//! Every refusal of the front door, met by the stock client: the number it ends with is the same at a stock site and at
//! ours, with either version of TLS; ours writes exactly one audit line with the true reason, and `gridiron explain`
//! has said so beforehand.
//!
//! A refusal during the handshake is 7 in TLS 1.2. In TLS 1.3 the client believes itself connected before its certificate has
//! been looked at, and ends with 12.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test harness fails by panicking")]

use e2e::{
    Kind::{self, Ours, Stock},
    Running, World,
    forgery::{self, FULL, FULL_AND_LAST, Workshop},
    pki::{Identity, Pki},
    user::{gridiron, temporary_folder},
    world::{Setup, account},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const TLS_1_2: &str = "TLS1_2_VERSION";
const TLS_1_3: &str = "TLS1_3_VERSION";

/// What a refused client ends with, in TLS 1.2 and 1.3.
const HANDSHAKE: (i32, i32) = (7, 12);
const FORBIDDEN: (i32, i32) = (7, 7);

/// Somebody with a proxy that is refused.
struct Case {
    /// The reason by its name in the audit file.
    code: &'static str,
    proxy: PathBuf,
    numbers: (i32, i32),
    /// Stock sites refuse it as well.
    stock: bool,
    /// The end of the name of the file that decides, and whether a line of it is told.
    decides: Option<(&'static str, bool)>,
}

/// The certificates of all cases, and the two trust directories.
struct Cases {
    _folder: TempDir,
    cases: Vec<Case>,
    setup: Setup,
    users_trust: PathBuf,
}

impl Cases {
    fn make() -> Self {
        let (pki, folder) = (Pki::shared(), temporary_folder());
        let workshop = Workshop { pki: &pki, folder: folder.path() };
        let [sites, users] = ["sites-trust", "users-trust"].map(|name| folder.path().join(name));
        forgery::copy_trust(&pki.trust, &sites);
        forgery::copy_trust(&pki.trust, &users);
        let all = Some("/O=Gridiron/*");
        let authority = |name: &str, policy: Option<&str>| {
            let made = workshop.authority(name, "good", -2, 3);
            forgery::install(&made, &users, all);
            forgery::install(&made, &sites, policy);
            made
        };
        let user = |authority: &Identity, name: &str| workshop.user(authority, name, -1, 2, &pki.alice.key);
        let proxy = |user: &Identity, name: &str| workshop.proxy(user, name, FULL).file;
        let mut gridmap_lines = Vec::new();
        let mut cases = Vec::new();
        let mut refused = |code, user: &Identity, proxy: PathBuf, numbers, stock, decides| {
            if code != "unmapped" {
                gridmap_lines.push(format!("\"{}\" {}", user.subject, account()));
            }
            cases.push(Case { code, proxy, numbers, stock, decides });
        };

        let mallory = &pki.mallory;
        refused(
            "unmapped",
            mallory,
            proxy(mallory, "unmapped"),
            FORBIDDEN,
            true,
            Some(("grid-mapfile", false)),
        );
        let banned = user(&pki.authority, "Bann Ed");
        refused("banned", &banned, proxy(&banned, "banned"), FORBIDDEN, false, Some(("banned", true)));
        let of_banned = user(&authority("Banned CA", all), "Of Banned CA");
        refused("banned", &of_banned, proxy(&of_banned, "ca"), FORBIDDEN, false, Some(("banned", true)));

        // The site still has the edition of the CA that has expired; clients do not let their own certificates expire.
        let old = authority("Old CA", all);
        forgery::install(&workshop.authority("Old CA", "expired", -3, -1), &sites, all);
        let of_old = user(&old, "Of Old CA");
        refused("expired", &of_old, proxy(&of_old, "expired"), HANDSHAKE, true, None);
        let early = workshop.user(&pki.authority, "Ear Ly", 1, 2, &pki.alice.key);
        refused("not_yet_valid", &early, proxy(&early, "early"), HANDSHAKE, true, None);

        let listing = authority("Listing CA", all);
        let revoked = user(&listing, "Revo Ked");
        workshop.revoke(&listing, &[&revoked], -1, 2, &sites);
        refused("revoked", &revoked, proxy(&revoked, "revoked"), HANDSHAKE, true, Some((".r0", false)));
        let stale = authority("Stale CA", all);
        workshop.revoke(&stale, &[], -3, -1, &sites);
        let of_stale = user(&stale, "Of Stale CA");
        let list = Some((".r0", false));
        refused("crl_out_of_date", &of_stale, proxy(&of_stale, "stale"), HANDSHAKE, true, list);

        let narrow = user(&authority("Narrow CA", Some("/O=Elsewhere/*")), "Out Sider");
        let policy = Some((".signing_policy", true));
        refused("outside_signing_policy", &narrow, proxy(&narrow, "narrow"), HANDSHAKE, true, policy);
        let silent = user(&authority("Silent CA", None), "Of Silent CA");
        let policy = Some((".signing_policy", false));
        refused("no_signing_policy", &silent, proxy(&silent, "silent"), HANDSHAKE, true, policy);
        let unknown = workshop.authority("Unknown CA", "good", -2, 3);
        forgery::install(&unknown, &users, all);
        let stranger = user(&unknown, "Of Unknown CA");
        let directory = Some(("sites-trust", false));
        refused("unknown_ca", &stranger, proxy(&stranger, "unknown"), HANDSHAKE, true, directory);

        let last = user(&pki.authority, "La St");
        let no_more = workshop.proxy(&last, "last", FULL_AND_LAST);
        let one_more = workshop.proxy(&no_more.issuer, "one-more", FULL);
        refused("path_length", &last, one_more.file, HANDSHAKE, true, None);
        let short = workshop.user(&pki.authority, "We Ak", -1, 2, &workshop.short_key());
        // A stock gatekeeper looks at the size of the proxy's key only, and lets her in.
        refused("weak_key", &short, proxy(&short, "weak"), HANDSHAKE, false, None);

        let bans = format!(
            "# of this test\nsubject \"{}\" until 2100-01-01 for testing\nissuer \"/O=Gridiron/OU=e2e/CN=Banned CA\"\n",
            banned.subject
        );
        let bans_file = folder.path().join("banned");
        std::fs::write(&bans_file, bans).expect("writable");
        let gatekeeper_lines = vec![format!("banned = {bans_file:?}")];
        let setup = Setup { gridmap_lines, trust: Some(sites), gatekeeper_lines, ..Setup::default() };
        Self { _folder: folder, cases, setup, users_trust: users }
    }

    /// Runs all cases at a site.
    fn play(server: Kind) {
        let made = Self::make();
        let Some(world) = World::new(Stock, server, &made.setup) else { return };
        // Two that are made with the stock tool: of a kind a service does not take, and one whose issuer may not sign such.
        let limited = proxy_of(&world, "limited", &["-limited"]);
        let legacy = proxy_of(&world, "legacy", &["-old"]);
        let more = [("limited_proxy", limited, FORBIDDEN), ("key_usage", legacy, HANDSHAKE)];
        let more =
            more.map(|(code, proxy, numbers)| Case { code, proxy, numbers, stock: true, decides: None });
        let mut wrong = Vec::new();
        for case in made.cases.iter().chain(&more) {
            for (tls, number) in [(TLS_1_2, case.numbers.0), (TLS_1_3, case.numbers.1)] {
                let seen = match server {
                    Stock if !case.stock => continue,
                    Stock => refusal(&world, &made.users_trust, &case.proxy, tls),
                    Ours => {
                        let before = world.our_site().audit().len();
                        let seen = refusal(&world, &made.users_trust, &case.proxy, tls);
                        check_audit(&world, case, before, &mut wrong);
                        seen
                    }
                };
                if seen != number {
                    wrong.push(format!("{} in {tls}: expected {number}, got {seen}", case.code));
                }
            }
            if server == Ours {
                check_explanation(&world, case, &mut wrong);
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let alice = refusal(&world, &made.users_trust, &world.file("proxy"), TLS_1_3);
        assert_eq!(alice, 0, "whoever is in order is let in by the same site");
    }
}

fn proxy_of(world: &World, name: &str, options: &[&str]) -> PathBuf {
    world.proxy_init(&world.pki.alice, options);
    world.rename("proxy", name);
    world.proxy_init(&world.pki.alice, &[]);
    world.file(name)
}

/// The stock client's exit status for a job, which is the error number.
fn refusal(world: &World, trust: &Path, proxy: &Path, tls: &str) -> i32 {
    let mut command = world.command("globusrun");
    command.args(["-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    command.env("X509_USER_PROXY", proxy).env("X509_CERT_DIR", trust);
    command.env("GLOBUS_GSSAPI_MIN_TLS_PROTOCOL", tls).env("GLOBUS_GSSAPI_MAX_TLS_PROTOCOL", tls);
    Running::start(command, None).finish().code
}

/// Exactly one line, with the code, the reason, and the file that decided.
fn check_audit(world: &World, case: &Case, before: usize, wrong: &mut Vec<String>) {
    let audit = world.our_site().audit_beyond(before);
    let [line] = audit.get(before..).unwrap_or_default() else {
        wrong.push(format!("{}: {} audit lines", case.code, audit.len() - before));
        return;
    };
    let file = line["file"].as_str();
    let right = line["code"] == case.code
        && line["outcome"] == "refused"
        && line["reason"].as_str().is_some_and(|reason| !reason.is_empty())
        && case.decides.is_none_or(|(name, has_line)| {
            file.is_some_and(|file| file.ends_with(name)) && line["line"].is_u64() == has_line
        });
    if !right {
        wrong.push(format!("{}: audit line {line}", case.code));
    }
}

/// `gridiron explain` says the same as the audit file. (The words may differ: clients send the root as well, which is not in
/// the proxy file.)
fn check_explanation(world: &World, case: &Case, wrong: &mut Vec<String>) {
    let mut command = Command::new(gridiron());
    command.args(["explain", "proxy", "--json", "--config"]).arg(world.our_site().file("gridiron.toml"));
    let told = e2e::command::run({
        command.arg(&case.proxy);
        command
    });
    let value: serde_json::Value = serde_json::from_str(&told.stdout).unwrap_or_default();
    let last = world.our_site().audit().pop().unwrap_or_default();
    let same = ["code", "file", "line"].iter().all(|key| value[key] == last[key]);
    if told.code != 1 || value["let_in"] != false || value["code"] != case.code || !same {
        wrong.push(format!("{}: explained as {value}, audited as {last}", case.code));
    }
}

#[test]
fn at_stock() {
    Cases::play(Stock);
}

#[test]
fn at_ours() {
    Cases::play(Ours);
}

/// A revocation list that has run out, at a site that would rather go by it than stop working.
#[test]
fn an_old_list_may_be_tolerated() {
    let (pki, folder) = (Pki::shared(), temporary_folder());
    let trust = folder.path().join("trust");
    forgery::copy_trust(&pki.trust, &trust);
    let workshop = Workshop { pki: &pki, folder: folder.path() };
    workshop.revoke(&pki.authority, &[&pki.carol], -3, -1, &trust);
    let gatekeeper_lines = vec!["crl_out_of_date = \"warn\"".to_owned()];
    let setup = Setup { gatekeeper_lines, trust: Some(trust), ..Setup::default() };
    let Some(world) = World::new(Ours, Ours, &setup) else { return };
    let ping = || world.run("globusrun", ["-a", "-r", world.contact()]).code;
    let last = || world.our_site().audit().pop().unwrap_or_default();
    assert_eq!(ping(), 0);
    assert!(
        last()["warning"].as_str().is_some_and(|warning| warning.contains("is out of date")),
        "{}",
        last()
    );
    world.proxy_init(&world.pki.carol, &[]);
    assert_ne!(ping(), 0, "what the list says counts");
    world.our_site().audit_beyond(1);
    assert_eq!(last()["code"], "revoked");
}

/// No client shows an expired proxy, so it is shown by hand.
#[test]
fn an_expired_proxy() {
    let Some(world) = World::new(Ours, Ours, &Setup::default()) else { return };
    let proxy = world.file("expired");
    e2e::pki::expired_proxy(&world.pki.alice, &proxy);
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-quiet",
        "-nocommands",
        "-noservername",
        "-tls1_2",
        "-connect",
        world.contact(),
    ]);
    command.arg("-cert").arg(&proxy).arg("-key").arg(&proxy).arg("-cert_chain").arg(&proxy);
    let told = Running::start(command, None).finish();
    assert!(told.stderr.contains("alert certificate expired"), "{told:#?}");
    let audit = world.our_site().audit_beyond(0);
    assert_eq!((audit.len(), &audit[0]["code"]), (1, &"expired".into()));
}

/// Who is let in is told as whom and by which line; an unknown subject is not.
#[test]
fn explaining_who_is_let_in() {
    let Some(world) = World::new(Ours, Ours, &Setup::default()) else { return };
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(gridiron());
        command.arg("explain").args(arguments).arg("--config").arg(world.our_site().file("gridiron.toml"));
        e2e::command::run(command)
    };
    let alice = world.pki.alice.certificate.display().to_string();
    let told = explain(&["cert", &alice]);
    let expected = format!("{} is let in to jobmanager as {}", world.pki.alice.subject, account());
    assert_eq!((told.code, told.stdout.lines().next()), (0, Some(&*expected)), "{told:#?}");
    for place in ["/grid-mapfile:1\n", ".signing_policy:2\n", ".0\n"] {
        assert!(told.stdout.contains(place), "{place}: {told:#?}");
    }
    let told = explain(&["proxy", &world.file("proxy").display().to_string(), "--service", "none"]);
    assert!(told.code == 1 && told.stdout.starts_with("refused (no_service): "), "{told:#?}");
    let told = explain(&["subject", &world.pki.mallory.subject]);
    assert!(told.code == 1 && told.stdout.starts_with("refused (unmapped): "), "{told:#?}");
    assert!(world.our_site().audit().is_empty(), "questions are no requests");
}

/// Who asks too often is told so in words and with a number of the protocol; others are served as ever.
#[test]
fn too_many_requests() {
    let limits = "[gatekeeper.limits]\nrequests_burst = 2\nrequests_per_minute = 1";
    let setup = Setup { gatekeeper_lines: vec![limits.to_owned()], ..Setup::default() };
    let Some(world) = World::new(Stock, Ours, &setup) else { return };
    let submit = || world.run("globusrun", ["-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    for _ in 0..2 {
        submit().ok();
    }
    let refused = submit();
    assert!(refused.code == 3 && refused.stderr.contains("too many requests of"), "{refused:#?}");
    assert_eq!(world.our_site().audit().pop().unwrap_or_default()["code"], "too_many_requests");
    world.proxy_init(&world.pki.carol, &[]);
    submit().ok();
}
