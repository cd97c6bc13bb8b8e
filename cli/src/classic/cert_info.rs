//! `grid-cert-info`: shows a certificate.

use super::{
    Original, Program,
    certificate_text::{self, Wording},
    options::{Opt, Order, flag, parse, valued},
    proxy_text,
    terminal::out,
};
use gsi::{Certificate, Name};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "grid-cert-info",
    summary: "show your certificate",
    synopsis: "[-help] [-file certfile] [-all] [-subject] [...]",
    options: OPTIONS,
    notes: "Without -file it is $X509_USER_CERT, or ~/.globus/usercert.pem.",
    example: "grid-cert-info -subject -enddate",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    valued(&["-file", "-f"], "certfile", "the certificate to look at"),
    flag(&["-rfc2253"], "names in RFC 2253 form"),
    flag(&["-all"], "the whole certificate"),
    flag(&["-subject", "-s"], "subject"),
    flag(&["-issuer", "-i"], "issuer"),
    flag(&["-issuerhash", "-ih"], "hash of the issuer's name"),
    flag(&["-startdate", "-sd"], "start of validity"),
    flag(&["-enddate", "-ed"], "end of validity"),
];

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.usage_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    if let Some(extra) = parsed.operands.first() {
        return PROGRAM.usage_error(&format!("option {} : unrecognized option", extra.to_string_lossy()));
    }
    let path = parsed.value("-file").map_or_else(default_path, PathBuf::from);
    let Ok(pem) = std::fs::read(&path) else {
        return PROGRAM
            .usage_error(&format!("option -file : \"{}\" is not a valid filename", path.display()));
    };
    let certificate = match Certificate::from_pem(&pem).map(|certificates| certificates.into_iter().next()) {
        Ok(Some(certificate)) => certificate,
        Ok(None) => return PROGRAM.usage_error(&format!("{} holds no certificate", path.display())),
        Err(error) => return PROGRAM.usage_error(&format!("{}: {error}", path.display())),
    };
    let rfc2253 = parsed.has("-rfc2253");
    let name = |name: &Name| out(without_proxies(name, rfc2253));
    let whole = || {
        let wording = if rfc2253 { Wording::CertInfoRfc2253 } else { Wording::CertInfo };
        out(certificate_text::render(&certificate, wording));
    };
    let mut printed = false;
    for option in parsed.names() {
        match option {
            "-subject" => name(certificate.subject()),
            "-issuer" => name(certificate.issuer()),
            "-issuerhash" => out(certificate.issuer().hash()),
            "-startdate" => out(proxy_text::openssl_date(certificate.not_before())),
            "-enddate" => out(proxy_text::openssl_date(certificate.not_after())),
            "-all" => whole(),
            _ => continue,
        }
        printed = true;
    }
    if !printed {
        whole();
    }
    ExitCode::SUCCESS
}

/// The name; in the one-line form the levels that legacy proxies add are left out.
fn without_proxies(name: &Name, rfc2253: bool) -> String {
    if rfc2253 {
        return certificate_text::rfc2253(name);
    }
    certificate_text::plain(name).replace("/CN=proxy", "").replace("/CN=limited proxy", "")
}

fn default_path() -> PathBuf {
    match std::env::var_os("X509_USER_CERT") {
        Some(path) => PathBuf::from(path),
        None => std::env::home_dir().unwrap_or_default().join(".globus/usercert.pem"),
    }
}
