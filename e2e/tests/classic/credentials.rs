//! Proxies and certificates: made, shown and removed.

use crate::pair::Pair;
use e2e::{Finished, User, need};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

#[test]
fn the_same_things_are_said_of_a_proxy() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.same(&[
        &["grid-proxy-info", "-subject"],
        &["grid-proxy-info", "-issuer"],
        &["grid-proxy-info", "-identity"],
        &["grid-proxy-info", "-type"],
        &["grid-proxy-info", "-strength"],
        &["grid-proxy-info", "-path"],
        &["grid-proxy-info", "-s", "-i", "-identity"],
        &["grid-proxy-info", "-exists"],
        &["grid-proxy-info", "-e", "-h", "1"],
        &["grid-proxy-info", "-e", "-h", "100"],
        &["grid-proxy-info", "-e", "-valid", "1:30"],
        &["grid-proxy-info", "-e", "-b", "2048"],
        &["grid-proxy-info", "-e", "-b", "4096"],
        &["grid-proxy-info", "-text"],
        &["grid-proxy-info", "-exists", "-type", "-text"],
        &["grid-proxy-info", "-exists", "-hours", "100", "-subject"],
        &["grid-proxy-info", "-debug", "-type"],
    ]);
    let left = [&pair.stock, &pair.ours].map(|user| {
        let out = user.run("grid-proxy-info", ["-timeleft"]);
        out.ok().trim().parse::<i64>().unwrap()
    });
    assert!((0..60).contains(&(left[0] - left[1])), "{left:?}");
    // Seconds pass between the two.
    let without_time = |user: &User, out: &Finished| {
        Pair::plain(user, &out.stdout)
            .lines()
            .filter(|line| !line.starts_with("timeleft"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for line in [&["grid-proxy-info"][..], &["grid-proxy-info", "-all"], &["grid-proxy-info", "-rfc2253"]] {
        let (stock, ours) = pair.run(line);
        assert_eq!(without_time(&pair.stock, &stock), without_time(&pair.ours, &ours), "{line:?}");
    }
}

#[test]
fn proxies_of_either_make_are_alike_to_both() {
    let Some(pair) = Pair::new() else { return };
    for options in KINDS {
        for (maker, other) in [(&pair.stock, &pair.ours), (&pair.ours, &pair.stock)] {
            maker.proxy_init(&maker.pki.carol, options);
            let proxy = maker.file("proxy").display().to_string();
            let seen = [maker, other].map(|user| {
                user.run("grid-proxy-info", ["-file", &proxy, "-type", "-identity", "-strength"])
                    .ok()
                    .to_owned()
            });
            assert_eq!(seen[0], seen[1], "{options:?} made by {:?}", maker.client);
        }
        let types =
            [&pair.stock, &pair.ours].map(|user| user.run("grid-proxy-info", ["-type"]).ok().to_owned());
        assert_eq!(types[0], types[1], "{options:?}");
    }
}

#[test]
fn proxy_init_talks_alike() {
    let Some(pair) = Pair::new() else { return };
    let init = |user: &User, options: &[&str]| {
        let alice = &user.pki.alice;
        let (certificate, key) = (alice.certificate.display().to_string(), alice.key.display().to_string());
        user.run("grid-proxy-init", [&["-cert", &certificate, "-key", &key], options].concat())
    };
    let talk = |user: &User, options: &[&str]| {
        let out = init(user, options);
        // How many dots a key takes is chance, and so is the second in which it ends.
        let lines = out.stdout.lines().map(|line| match line.split_once("valid until:") {
            Some((label, _)) => format!("{label}valid until:"),
            None => line.replace(['.', '+', '*'], ""),
        });
        (out.code, lines.collect::<Vec<_>>(), Pair::plain(user, &out.stderr))
    };
    for options in [
        &[][..],
        &["-q"],
        &["-limited"],
        &["-valid", "1:00"],
        &["-hours", "2"],
        &["-verify"],
        &["-q", "-verify"],
        &["-pwstdin"],
        // Longer than the certificate lasts: a warning.
        &["-hours", "1000"],
        &["-q", "-valid", "1000:00"],
    ] {
        assert_eq!(talk(&pair.stock, options), talk(&pair.ours, options), "{options:?}");
    }
    for (input, options) in [("secret\n", &["-q"][..]), ("secret\n", &[]), ("secret", &["-q"])] {
        let made = [&pair.stock, &pair.ours].map(|user| with_encrypted_key(user, options, input));
        assert_eq!((made[0].code, made[1].code), (0, 0), "{made:#?}");
        assert_eq!((&*made[0].stderr, &*made[1].stderr), ("", ""), "{made:#?}");
        assert_eq!(made[0].stdout.is_empty(), made[1].stdout.is_empty(), "{made:#?}");
    }
    for user in [&pair.stock, &pair.ours] {
        let refused = with_encrypted_key(user, &["-q"], "wrong\n");
        assert!(refused.code == 1 && !refused.stderr.is_empty(), "{refused:#?}");
    }
    // No lifetime is that of the certificate, and the last word counts.
    for options in [&["-valid", "0:00"][..], &["-valid", "1:00", "-hours", "0"]] {
        let ends = [&pair.stock, &pair.ours].map(|user| {
            let said = init(user, options).ok().lines().last().map(str::to_owned);
            assert!(user.run("grid-proxy-info", ["-exists", "-hours", "24"]).code == 0, "{options:?}");
            said
        });
        assert_eq!(ends[0], ends[1], "{options:?}");
    }
    for options in [&["-debug"][..], &["-debug", "-verify"]] {
        let said = [&pair.stock, &pair.ours].map(|user| Pair::plain(user, &init(user, options).stderr));
        assert_eq!(said[0], said[1], "{options:?}");
    }
}

/// `grid-proxy-init -pwstdin` with an encrypted copy of the user's key; the pass phrase is `secret`.
fn with_encrypted_key(user: &User, options: &[&str], input: &str) -> Finished {
    let alice = &user.pki.alice;
    let key = user.file("encrypted.key");
    let mut openssl = Command::new("openssl");
    openssl.args(["pkey", "-aes256", "-passout", "pass:secret", "-in"]).arg(&alice.key).arg("-out").arg(&key);
    let made = e2e::command::run(openssl);
    assert_eq!(made.code, 0, "{made:#?}");
    assert!(fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).is_ok());
    let (certificate, key) = (alice.certificate.display().to_string(), key.display().to_string());
    let arguments = [&["-pwstdin", "-cert", &certificate, "-key", &key], options].concat();
    user.run_with_input("grid-proxy-init", arguments, input)
}

#[test]
fn proxies_are_destroyed_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.same(&[
        &["grid-proxy-destroy", "-dryrun"],
        &["grid-proxy-destroy", "-dryrun", "nosuchfile", "proxy"],
        &["grid-proxy-destroy", "-debug", "-dryrun"],
        &["grid-proxy-destroy"],
    ]);
    pair.same_status(&[&["grid-proxy-destroy"]]);
    for user in [&pair.stock, &pair.ours] {
        assert!(!user.file("proxy").exists(), "{:?}", user.client);
    }
}

/// Every kind of proxy, by the options of `grid-proxy-init` that make it.
const KINDS: [&[&str]; 9] = [
    &[],
    &["-rfc", "-limited"],
    &["-rfc", "-path-length", "3"],
    &["-independent"],
    &["-draft"],
    &["-draft", "-limited"],
    &["-draft", "-path-length", "0"],
    &["-old"],
    &["-old", "-limited"],
];

#[test]
fn the_same_things_are_said_of_a_certificate() {
    need!("grid-cert-info");
    let Some(pair) = Pair::new() else { return };
    let pki = &pair.stock.pki;
    let authority = fs::read_dir(&pki.trust).unwrap().map(|entry| entry.unwrap().path());
    let authority = authority.filter(|path| path.extension().is_some_and(|end| end == "0")).min().unwrap();
    let elliptic = elliptic_certificate(&pair.stock);
    let options: [&[&str]; 13] = [
        &[],
        &["-all"],
        &["-rfc2253"],
        &["-subject"],
        &["-s", "-i"],
        &["-issuer"],
        &["-subject", "-rfc2253"],
        &["-startdate"],
        &["-enddate"],
        &["-sd", "-ed", "-all"],
        &["-issuerhash"],
        &["-ih"],
        &["-subjecthash"],
    ];
    for file in [&pki.host.certificate, &pki.alice.certificate, &pki.carol.certificate, &authority, &elliptic]
    {
        let file = file.display().to_string();
        let lines = options.map(|options| [&["grid-cert-info", "-file", &*file][..], options].concat());
        pair.same(&lines.each_ref().map(Vec::as_slice));
    }
}

/// A certificate with an elliptic key and most extensions a grid's authority writes.
fn elliptic_certificate(user: &User) -> PathBuf {
    let file = user.file("elliptic.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
        "-nodes",
        "-days",
        "3",
    ]);
    openssl.args(["-subj", "/DC=org/DC=Gridiron/O=Grid, Inc/CN=host\\/x \"y\"/emailAddress=a@example.org"]);
    for extension in [
        "extendedKeyUsage=serverAuth,clientAuth,1.2.3.4",
        "subjectAltName=DNS:x.example.org,IP:10.0.0.1,IP:2001:db8::1,email:a@example.org,URI:https://x/y,dirName:dn",
        "crlDistributionPoints=URI:http://x/crl.der,URI:ldap://y/z",
        "certificatePolicies=1.2.840.113612.5.2.2.1,1.2.3",
        "authorityInfoAccess=OCSP;URI:http://ocsp/,caIssuers;URI:http://ca/",
        "nsCertType=client,server,email",
        "nsComment=of the tests",
        "1.2.3.4.5=DER:0C026162",
    ] {
        openssl.arg("-addext").arg(extension);
    }
    let section = "[req]\ndistinguished_name=dn\n[dn]\nC=DE\nO=Grid\n";
    openssl.arg("-config").arg(user.write("elliptic.cnf", section));
    openssl.arg("-keyout").arg(user.file("elliptic.key")).arg("-out").arg(&file);
    let made = e2e::command::run(openssl);
    assert_eq!(made.code, 0, "{made:#?}");
    file
}

#[test]
fn every_kind_of_proxy_reads_alike() {
    need!("grid-cert-info");
    let Some(pair) = Pair::new() else { return };
    for options in KINDS {
        pair.stock.proxy_init(&pair.stock.pki.carol, options);
        let file = pair.stock.file("proxy").display().to_string();
        let about = |program, options: &[&'static str]| {
            [&[program, "-file", &file], options].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = [
            about("grid-proxy-info", &["-text"]),
            about("grid-proxy-info", &["-subject", "-issuer", "-identity", "-type", "-strength"]),
            about("grid-proxy-info", &["-subject", "-issuer", "-identity", "-rfc2253"]),
            about("grid-cert-info", &["-all"]),
            about("grid-cert-info", &["-subject", "-issuer"]),
        ];
        let lines = lines.each_ref().map(|line| line.iter().map(String::as_str).collect::<Vec<_>>());
        pair.same(&lines.each_ref().map(Vec::as_slice));
    }
}
