//! `grid-proxy-info`: shows a proxy, or tests whether it still does.

use super::{
    Original, Program,
    certificate_text::{self, Wording},
    options::{Opt, Order, Parsed, flag, parse, valued},
    proxy_text,
    terminal::{err, out},
};
use gsi::{Certificate, Credential, Name};
use jiff::Timestamp;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "grid-proxy-info",
    summary: "show your proxy, or test with -exists whether it is good enough",
    synopsis: "[-help][-f proxyfile][-subject][...][-e [-h H][-b B]]",
    options: OPTIONS,
    notes: "-valid, -hours and -bits belong to -exists, which prints nothing of itself: exit code 0 is yes.",
    example: "grid-proxy-info -exists -valid 1:00 || grid-proxy-init",
    original: Original::Compiled,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-debug"], "say more about what is wrong"),
    valued(&["-file", "-f"], "proxyfile", "the proxy to look at"),
    flag(&["-exists", "-e"], "exit with 0 if the proxy is valid, 1 otherwise"),
    flag(&["-subject", "-s"], "subject"),
    flag(&["-issuer", "-i"], "issuer"),
    flag(&["-identity"], "whom it stands for"),
    flag(&["-type"], "format and kind"),
    flag(&["-timeleft"], "seconds until it expires"),
    flag(&["-strength"], "key size in bits"),
    flag(&["-all"], "all of the above, for people"),
    flag(&["-text"], "the certificate"),
    flag(&["-path"], "the file"),
    flag(&["-rfc2253"], "names in RFC 2253 form"),
    valued(&["-valid", "-v"], "H:M", "valid at least so long"),
    valued(&["-hours", "-h"], "H", "valid at least so many hours"),
    valued(&["-bits", "-b"], "B", "key at least so big"),
];

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.option_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    if let Some(extra) = parsed.operands.first() {
        return PROGRAM.option_error(&format!("option {} : unrecognized option", extra.to_string_lossy()));
    }
    let demand = match Demand::parse(&parsed) {
        Ok(demand) => demand,
        Err(message) => return PROGRAM.option_error(&message),
    };
    let path = parsed.value("-file").map_or_else(gsi::credential::default_proxy_path, PathBuf::from);
    let credential = match Credential::read(&path) {
        Ok(credential) => credential,
        Err(error) => {
            err(format_args!(
                "\nERROR: Couldn't find a valid proxy.\n       {error}\n\nUse -debug for further information."
            ));
            return ExitCode::FAILURE;
        }
    };
    let Some(leaf) = credential.chain().first() else { return ExitCode::FAILURE };
    let facts = Facts {
        credential: &credential,
        leaf,
        path: &path,
        left: (credential.expires().as_second() - Timestamp::now().as_second()).max(0),
        rfc2253: parsed.has("-rfc2253"),
    };
    let mut printed = false;
    for name in parsed.names() {
        printed |= facts.print(name);
    }
    match demand {
        Some(demand) if !demand.is_met(&facts) => return ExitCode::FAILURE,
        None if !printed => drop(facts.print("-all")),
        _ => {}
    }
    ExitCode::SUCCESS
}

/// What `-exists` asks.
struct Demand {
    seconds: u64,
    bits: usize,
}

impl Demand {
    fn parse(parsed: &Parsed) -> Result<Option<Self>, String> {
        let exists = parsed.has("-exists");
        if let Some(stray) =
            parsed.names().find(|name| ["-valid", "-hours", "-bits"].contains(name)).filter(|_| !exists)
        {
            return Err(format!("option {stray} : suboption to -exists"));
        }
        if !exists {
            return Ok(None);
        }
        let bad = |option: &str| format!("option {option} : value must be a number");
        let mut demand = Self { seconds: 0, bits: 0 };
        if let Some(text) = parsed.text("-hours") {
            let hours: u32 = text.parse().map_err(|_| bad("-hours"))?;
            demand.seconds = u64::from(hours) * 3600;
        }
        if let Some(text) = parsed.text("-valid") {
            demand.seconds = proxy_text::hours_and_minutes("-valid", &text)?;
        }
        if let Some(text) = parsed.text("-bits") {
            demand.bits = text.parse().map_err(|_| bad("-bits"))?;
        }
        Ok(Some(demand))
    }

    fn is_met(&self, facts: &Facts<'_>) -> bool {
        facts.left > 0
            && facts.left.unsigned_abs() >= self.seconds
            && facts.leaf.rsa_bits().unwrap_or(0) >= self.bits
    }
}

/// A proxy, ready to be shown.
struct Facts<'a> {
    credential: &'a Credential,
    leaf: &'a Certificate,
    path: &'a Path,
    /// Seconds.
    left: i64,
    rfc2253: bool,
}

impl Facts<'_> {
    /// Prints what an option asks for; false when it asks for nothing.
    fn print(&self, option: &str) -> bool {
        match option {
            "-subject" => out(self.name(self.leaf.subject())),
            "-issuer" => out(self.name(self.leaf.issuer())),
            "-identity" => out(self.identity()),
            "-type" => out(proxy_text::kind(self.leaf)),
            "-timeleft" => out(self.left),
            "-strength" => out(self.bits()),
            "-path" => out(self.path.display()),
            "-text" => out(certificate_text::render(self.leaf, Wording::ProxyInfo)),
            "-all" => out(format_args!(
                "subject  : {}\nissuer   : {}\nidentity : {}\ntype     : {}\nstrength : {} bits\npath     : {}\ntimeleft : {}",
                self.name(self.leaf.subject()),
                self.name(self.leaf.issuer()),
                self.identity(),
                proxy_text::kind(self.leaf),
                self.bits(),
                self.path.display(),
                proxy_text::time_left(self.left),
            )),
            _ => return false,
        }
        true
    }

    fn name(&self, name: &Name) -> String {
        if self.rfc2253 { certificate_text::rfc2253(name) } else { name.subject().to_string() }
    }

    fn identity(&self) -> String {
        let identity = self.credential.identity();
        let mut names = self.credential.chain().iter().map(Certificate::subject);
        match names.find(|name| self.rfc2253 && name.subject() == identity) {
            Some(name) => certificate_text::rfc2253(name),
            None => identity.to_string(),
        }
    }

    fn bits(&self) -> usize {
        self.leaf.rsa_bits().unwrap_or(0)
    }
}
