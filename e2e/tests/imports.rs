//! Holds the import table of ARCHITECTURE.md, and the dependency policy, true over `cargo metadata`.
#![allow(clippy::expect_used, reason = "the helpers of tests fail by panicking, as tests do")]

use serde_json::Value;
use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

/// Who may import whom, in this workspace. The list is whole: a crate that is not here fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("rsl", &[]),
    ("gsi", &[]),
    ("gram", &["gsi"]),
    ("gass", &["gsi"]),
    // Root's program imports nothing; what asks it, and what starts it, take its protocol and settings from it.
    ("launcher", &[]),
    ("gatekeeper", &["gsi", "gram", "launcher"]),
    ("jobmanager", &["rsl", "gsi", "gram", "gass"]),
    // The one program starts the daemons (`gridiron serve`, `gridiron demo`); it uses their front, not their insides.
    ("gridiron", &["rsl", "gsi", "gram", "gass", "gatekeeper", "launcher", "jobmanager"]),
    ("e2e", &[]),
    ("xtask", &[]),
];

/// Libraries that only `gsi` may name: TLS, X.509 and the cryptography below them.
const GSI_ONLY: &[&str] =
    &["aws-lc-rs", "rcgen", "rustls", "rustls-pki-types", "tokio-rustls", "x509-parser"];

/// All that is compiled into the program that is root, down to the system's library.
const ROOTS_OWN: &[&str] =
    &["bitflags", "cfg-if", "close_fds", "errno", "libc", "linux-raw-sys", "listenfd", "nix", "rustix"];

/// Second stacks: what must not come in, not even through a dependency of a dependency.
const RIVALS: &[(&str, &str)] = &[
    ("async-executor", "tokio is the runtime"),
    ("async-global-executor", "tokio is the runtime"),
    ("async-std", "tokio is the runtime"),
    ("chrono", "jiff is the calendar"),
    ("native-tls", "rustls is the TLS stack"),
    ("openssl", "rustls is the TLS stack"),
    ("openssl-sys", "rustls is the TLS stack"),
    ("ring", "aws-lc-rs is the cryptography"),
    ("rsa", "aws-lc-rs is the cryptography"),
    ("smol", "tokio is the runtime"),
    ("webpki-roots", "trust comes from the trust directory alone"),
    ("x509-cert", "x509-parser is the X.509 parser"),
];

/// Libraries of which two versions at once would be two stacks.
const ONE_VERSION: &[&str] = &[
    "aws-lc-rs",
    "http",
    "hyper",
    "prost",
    "rustix",
    "rustls",
    "sqlx",
    "tokio",
    "tokio-rustls",
    "tonic",
    "tracing",
    "x509-parser",
];

/// Licences whose text allows what we do; every dependency must offer one of them.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CDLA-Permissive-2.0",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e lies in the workspace")
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn metadata() -> Value {
    serde_json::from_slice(&cargo(&["metadata", "--format-version", "1"])).expect("cargo metadata is JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The packages of this workspace: those that lie in it, not in the registry.
fn ours(metadata: &Value) -> Vec<&Value> {
    list(metadata, "packages").iter().filter(|package| package["source"].is_null()).collect()
}

#[test]
fn the_import_table_holds() {
    let metadata = metadata();
    let ours = ours(&metadata);
    let names: BTreeSet<&str> = ours.iter().map(|package| text(package, "name")).collect();
    let listed: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names, listed,
        "every crate of the workspace has its line in the table, and the other way round"
    );
    for package in ours {
        let name = text(package, "name");
        let allowed =
            MAY_IMPORT.iter().find(|(listed, _)| *listed == name).map_or(&[][..], |(_, allowed)| allowed);
        for dependency in list(package, "dependencies").iter().map(|dependency| text(dependency, "name")) {
            assert!(
                !names.contains(dependency) || allowed.contains(&dependency),
                "{name} imports {dependency}; the table allows it only {allowed:?}"
            );
        }
    }
}

#[test]
fn only_gsi_names_the_tls_and_x509_libraries() {
    let metadata = metadata();
    for package in ours(&metadata).into_iter().filter(|package| text(package, "name") != "gsi") {
        for dependency in list(package, "dependencies").iter().map(|dependency| text(dependency, "name")) {
            assert!(
                !GSI_ONLY.contains(&dependency),
                "{} names {dependency}: that is gsi's",
                text(package, "name")
            );
        }
    }
}

/// A package that is really compiled. (The graph in `cargo metadata` also holds features nobody turns on.)
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Compiled {
    name: String,
    version: String,
    licence: String,
}

#[test]
fn the_root_program_stays_small() {
    let arguments =
        ["tree", "--package", "launcher", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = String::from_utf8(cargo(&arguments)).expect("cargo tree is text");
    let names: BTreeSet<&str> = output.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut expected: BTreeSet<&str> = ROOTS_OWN.iter().copied().collect();
    expected.insert("launcher");
    assert!(names.is_subset(&expected), "new to the program that is root: {:?}", &names - &expected);
    assert!(names.contains("rustix"), "the list is there");
}

fn compiled() -> BTreeSet<Compiled> {
    let output =
        cargo(&["tree", "--workspace", "--target", "all", "--prefix", "none", "--format", "{p}|{l}"]);
    let text = String::from_utf8(output).expect("cargo tree is text");
    text.lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
        .map(|(package, licence)| {
            let mut words = package.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            Compiled { name: word(), version: word(), licence: licence.to_owned() }
        })
        .collect()
}

#[test]
fn there_is_one_stack_of_each_kind() {
    let packages = compiled();
    assert!(packages.iter().any(|package| package.name == "rustls"), "the list is there");
    for (rival, reason) in RIVALS {
        assert!(!packages.iter().any(|package| package.name == *rival), "{rival} came in; {reason}");
    }
    for single in ONE_VERSION {
        let versions: BTreeSet<&str> = packages
            .iter()
            .filter(|package| package.name == *single)
            .map(|package| &*package.version)
            .collect();
        assert!(versions.len() < 2, "two of {single} are compiled: {versions:?}");
    }
}

#[test]
fn dependencies_are_under_a_permissive_licence() {
    for Compiled { name, licence, .. } in compiled() {
        let choices = licence.replace(['(', ')'], "").replace('/', " OR ");
        let permitted = choices
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(|part| LICENCES.contains(&part.trim())));
        assert!(permitted, "{name} is under {licence:?}");
    }
}

#[test]
fn dependencies_come_from_the_registry() {
    for package in list(&metadata(), "packages") {
        let source = text(package, "source");
        assert!(
            source.is_empty() || source == "registry+https://github.com/rust-lang/crates.io-index",
            "{} comes from {source}",
            text(package, "name")
        );
    }
}

#[test]
fn every_crate_takes_the_workspace_lints_and_versions() {
    let metadata = metadata();
    for package in ours(&metadata) {
        let (name, manifest) = (text(package, "name"), text(package, "manifest_path"));
        let manifest = fs::read_to_string(manifest).expect("manifest is readable");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} does not take the workspace's lints");
        let dependencies = manifest.split_once("dependencies]").map_or("", |(_, rest)| rest);
        let own = dependencies.lines().find(|line| line.contains("version ="));
        assert_eq!(own, None, "{name} names the version of a dependency itself, not in the root manifest");
    }
}
