//! The stock programs the end-to-end tests talk to, as Debian packages.

use std::process::{Command, Stdio};

/// Debian packages: the stock programs of bookworm, and the plain tools that the tests use beside them.
const PACKAGES: &[&str] = &[
    "globus-gatekeeper",
    "globus-gram-job-manager",
    "globus-gram-job-manager-fork-setup-poll",
    "globus-gram-client-tools",
    "globus-proxy-utils",
    "globus-gsi-cert-utils-progs",
    "globus-gss-assist-progs",
    "globus-simple-ca",
    "globus-gass-cache-program",
    "globus-gass-server-ez-progs",
    "globus-gass-copy-progs",
    "postgresql",
    "openssl",
    // Another time for some programs, where the real clock must not be set.
    "faketime",
    // For the unit files: `systemd-analyze`, and a system of its own that boots systemd, in a network of its own.
    "systemd",
    "iproute2",
    // libFuzzer is C++.
    "g++",
];

/// What it takes to call the stock RSL library from C.
const LIBRARIES: &[&str] = &["libglobus-rsl-dev", "pkg-config", "gcc", "libc6-dev"];

/// Installs what is missing, when this machine is Debian and we are root.
///
/// Returns the packages that are still missing; the tests that need them will be skipped, and counted.
pub(crate) fn install() -> Vec<&'static str> {
    install_all(PACKAGES)
}

/// The same for the libraries that benches compare with.
pub(crate) fn install_libraries() -> Vec<&'static str> {
    install_all(LIBRARIES)
}

fn install_all(packages: &[&'static str]) -> Vec<&'static str> {
    let missing = missing(packages);
    if missing.is_empty() {
        return missing;
    }
    if !may_install() {
        println!("not installed, and this account may not install them: {}", missing.join(" "));
        println!("to have everything: sudo apt-get install --no-install-recommends {}", missing.join(" "));
        return missing;
    }
    println!("installing {}", missing.join(" "));
    // A failed update is no reason to stop: the lists that are there may do.
    apt(&["update"]);
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments);
    self::missing(packages)
}

/// The packages that dpkg does not know as installed.
fn missing(packages: &[&'static str]) -> Vec<&'static str> {
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// Whether apt-get exists and we are root.
fn may_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && Command::new("apt-get").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn apt(arguments: &[&str]) -> bool {
    Command::new("apt-get")
        .args(["-q", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .is_ok_and(|status| status.success())
}
