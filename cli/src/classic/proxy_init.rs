//! `grid-proxy-init`: makes a proxy of the user's certificate.

use super::{
    Original, Program,
    options::{Opt, Order, Parsed, flag, parse, valued},
    proxy_text::{self, date},
    terminal::{err, out},
};
use crate::{
    commands::passphrase,
    proxy::{self, NewProxy},
};
use gsi::{ProxyFormat, ProxyKind, TrustDirectory};
use jiff::Timestamp;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "grid-proxy-init",
    summary: "make a proxy of your certificate, for the programs that act for you",
    synopsis: "[-help][-pwstdin][-limited][-valid H:M] ...",
    options: OPTIONS,
    notes: "",
    example: "grid-proxy-init -valid 24:00",
    original: Original::Compiled,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-debug"], "show which files are used"),
    flag(&["-q", "-quiet"], "print only errors"),
    flag(&["-verify"], "check the new proxy against the trusted authorities"),
    flag(&["-pwstdin"], "read the pass phrase from standard input"),
    flag(&["-limited"], "a limited proxy: it may not submit jobs"),
    flag(&["-independent"], "an independent proxy: an identity of its own"),
    flag(&["-draft"], "a draft (GSI-3) proxy"),
    flag(&["-old"], "a legacy (GSI-2) proxy"),
    flag(&["-rfc"], "an RFC 3820 proxy (default)"),
    valued(&["-valid"], "h:m", "lifetime in hours and minutes (default 12:00; 0:0 as long as possible)"),
    valued(&["-hours"], "hours", "lifetime in hours"),
    valued(&["-bits"], "bits", "key size: 2048 (default), 3072, 4096 or 8192"),
    valued(&["-policy"], "file", "refused: no service accepts restricted proxies"),
    valued(&["-pl", "-policy-language"], "oid", "refused, as -policy"),
    valued(&["-path-length"], "l", "how many further proxies may be made from this one"),
    valued(&["-cert"], "file", "your certificate"),
    valued(&["-key"], "file", "your key"),
    valued(&["-certdir"], "directory", "trusted authorities, for -verify"),
    valued(&["-out"], "file", "where the proxy goes"),
];

/// The original's answer to an expired certificate.
const EXPIRED: u8 = 2;

/// How the original asks.
const PROMPT: &str = "Enter GRID pass phrase for this identity:";

/// Without `-valid`: 12 hours.
const DEFAULT_LIFETIME: u64 = 12 * 3600;

/// What `-valid 0:0` asks for.
const AS_LONG_AS_POSSIBLE: u64 = u64::MAX;

/// The originals also make 512 and 1024, which nobody should trust, and no 3072 or 8192.
const KEY_SIZES: [u32; 4] = [2048, 3072, 4096, 8192];

/// What is asked for, checked.
struct Request {
    proxy: NewProxy,
    quiet: bool,
    debug: bool,
    verify: bool,
    pass_phrase_on_stdin: bool,
    trust: Option<PathBuf>,
}

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.option_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    match request(&parsed) {
        Ok(request) => make(&request),
        Err(message) => PROGRAM.option_error(&message),
    }
}

fn request(parsed: &Parsed) -> Result<Request, String> {
    if let Some(extra) = parsed.operands.first() {
        return Err(format!("option {} : unrecognized option", extra.to_string_lossy()));
    }
    let issuer = match (parsed.value("-cert"), parsed.value("-key")) {
        (None, None) => None,
        (certificate, key) => {
            let (usual_certificate, usual_key) = proxy::issuer_paths(&empty_request());
            let certificate =
                certificate.map_or(Ok(usual_certificate), |file| existing("-cert", Path::new(file)))?;
            let key = key.map_or(Ok(usual_key), |file| existing("-key", Path::new(file)))?;
            Some((certificate, key))
        }
    };
    let trust = match parsed.value("-certdir") {
        Some(directory) if Path::new(directory).is_dir() => Some(PathBuf::from(directory)),
        Some(directory) => {
            return Err(format!("option -certdir : {} is not a directory", Path::new(directory).display()));
        }
        None => None,
    };
    Ok(Request {
        proxy: NewProxy {
            issuer,
            out: parsed.value("-out").map(PathBuf::from),
            format: format(parsed)?,
            kind: kind(parsed)?,
            lifetime: lifetime(parsed)?,
            bits: bits(parsed)?,
            path_length: path_length(parsed)?,
        },
        quiet: parsed.has("-q"),
        debug: parsed.has("-debug"),
        verify: parsed.has("-verify"),
        pass_phrase_on_stdin: parsed.has("-pwstdin"),
        trust,
    })
}

fn empty_request() -> NewProxy {
    NewProxy {
        issuer: None,
        out: None,
        format: None,
        kind: ProxyKind::Full,
        lifetime: DEFAULT_LIFETIME,
        bits: 2048,
        path_length: None,
    }
}

fn existing(option: &str, file: &Path) -> Result<PathBuf, String> {
    match file.is_file() {
        true => Ok(file.to_owned()),
        false => Err(format!("option {option} : {} is not a valid file", file.display())),
    }
}

fn format(parsed: &Parsed) -> Result<Option<ProxyFormat>, String> {
    let given: Vec<&str> = parsed.names().filter(|name| ["-rfc", "-draft", "-old"].contains(name)).collect();
    match given.as_slice() {
        [] => Ok(None),
        ["-rfc", ..] if given.iter().all(|name| *name == "-rfc") => Ok(Some(ProxyFormat::Rfc)),
        ["-draft"] => Ok(Some(ProxyFormat::Draft)),
        ["-old"] => Ok(Some(ProxyFormat::Legacy)),
        [.., last] => Err(format!("option {last} : -old, -rfc, and -draft are mutually exclusive")),
    }
}

fn kind(parsed: &Parsed) -> Result<ProxyKind, String> {
    let kinds = ["-limited", "-independent", "-policy", "-pl"];
    let given: Vec<&str> = parsed.names().filter(|name| kinds.contains(name)).collect();
    match given.as_slice() {
        [] => Ok(ProxyKind::Full),
        ["-limited"] => Ok(ProxyKind::Limited),
        ["-independent"] => Ok(ProxyKind::Independent),
        [restricted @ ("-policy" | "-pl")] | [restricted @ ("-policy" | "-pl"), "-policy" | "-pl"] => {
            Err(format!(
                "option {restricted} : restricted proxies are refused by every service and are not made here; try -limited"
            ))
        }
        [.., last] => Err(format!(
            "option {last} : -independent, -limited and -policy/-policy-language are mutually exclusive"
        )),
    }
}

/// Seconds, by whichever option stands last; zero means as long as the certificate lasts.
fn lifetime(parsed: &Parsed) -> Result<u64, String> {
    let seconds = match parsed.names().filter(|name| ["-valid", "-hours"].contains(name)).last() {
        Some("-valid") => {
            proxy_text::hours_and_minutes("-valid", &parsed.text("-valid").unwrap_or_default())?
        }
        Some(_) => {
            let hours: Option<u32> = number(parsed, "-hours")?;
            u64::from(hours.unwrap_or_default()) * 3600
        }
        None => DEFAULT_LIFETIME,
    };
    Ok(if seconds == 0 { AS_LONG_AS_POSSIBLE } else { seconds })
}

fn bits(parsed: &Parsed) -> Result<u32, String> {
    let Some(text) = parsed.text("-bits") else { return Ok(2048) };
    text.parse().ok().filter(|bits| KEY_SIZES.contains(bits)).ok_or_else(|| {
        format!("option -bits : value must be one of {}", KEY_SIZES.map(|bits| bits.to_string()).join(","))
    })
}

fn path_length(parsed: &Parsed) -> Result<Option<u32>, String> {
    match parsed.text("-path-length") {
        Some(text) if text.starts_with('-') => Err("option -path-length : integer argument missing".into()),
        Some(text) => {
            text.parse().map(Some).map_err(|_| "option -path-length : requires an integer argument".into())
        }
        None => Ok(None),
    }
}

fn number(parsed: &Parsed, option: &str) -> Result<Option<u32>, String> {
    let Some(text) = parsed.text(option) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("option {option} : \"{text}\" is not a number"))
}

fn make(request: &Request) -> ExitCode {
    let (certificate_file, key_file) = proxy::issuer_paths(&request.proxy);
    if request.debug {
        // Only -verify looks at it.
        let trusted = request.trust.clone().or_else(|| {
            let trust = request.verify.then(TrustDirectory::open_default)?.ok()?;
            Some(trust.path().to_owned())
        });
        let trusted = trusted.map(|path| path.display().to_string());
        let out = request.proxy.out.clone().unwrap_or_else(gsi::credential::default_proxy_path);
        err(format_args!(
            "\nUser Cert File: {}\nUser Key File: {}\n\nTrusted CA Cert Dir: {}\n\nOutput File: {}",
            certificate_file.display(),
            key_file.display(),
            trusted.unwrap_or("(null)".into()),
            std::path::absolute(&out).unwrap_or(out).display()
        ));
    }
    let identity = std::fs::read(certificate_file)
        .ok()
        .and_then(|pem| gsi::Certificate::from_pem(&pem).ok()?.into_iter().next());
    if let Some(certificate) = &identity {
        if !request.quiet {
            out(format_args!("Your identity: {}", certificate.subject().subject()));
        }
        if certificate.not_after() < Timestamp::now() {
            err(format_args!("\nERROR: Your certificate has expired: {}\n\n", date(certificate.not_after())));
            return ExitCode::from(EXPIRED);
        }
    }
    let mut pass_phrase = || passphrase::get(request.pass_phrase_on_stdin, PROMPT);
    let made = proxy::create(&request.proxy, &mut pass_phrase, Timestamp::now());
    let (credential, _) = match made {
        Ok(made) => made,
        Err(failure) => {
            err(format_args!("Error: {failure}"));
            if let Some(advice) = &failure.advice {
                err(format_args!("Try: {advice}"));
            }
            return ExitCode::FAILURE;
        }
    };
    if !request.quiet {
        out("Creating proxy ................................ Done");
    }
    if request.verify {
        let trust = match &request.trust {
            Some(directory) => TrustDirectory::open(directory),
            None => TrustDirectory::open_default(),
        };
        let verified =
            trust.and_then(|trust| gsi::chain::verify(credential.chain(), &trust, Timestamp::now()));
        if let Err(error) = verified {
            err(format_args!("Error: Couldn't verify the authenticity of the user's credential: {error}"));
            return ExitCode::FAILURE;
        }
        out("Proxy Verify OK");
    }
    report_validity(request, &credential);
    ExitCode::SUCCESS
}

/// A proxy never outlives the certificate behind it; when that cuts it short, say so.
fn report_validity(request: &Request, credential: &gsi::Credential) {
    let wanted = i64::try_from(request.proxy.lifetime).unwrap_or(i64::MAX);
    let expires = credential.expires();
    let short = expires.as_second().saturating_sub(Timestamp::now().as_second()) < wanted.saturating_sub(60);
    if short && request.proxy.lifetime != AS_LONG_AS_POSSIBLE {
        err(format_args!(
            "\nWarning: your certificate and proxy will expire {}\n which is within the requested lifetime of the proxy",
            date(expires)
        ));
    } else if !request.quiet {
        out(format_args!("Your proxy is valid until: {}", date(expires)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<NewProxy, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        request(&parse(OPTIONS, Order::Mixed, &words).unwrap()).map(|request| request.proxy)
    }

    #[test]
    fn lifetimes_are_hours_and_minutes() {
        assert_eq!(asked(&[]).unwrap().lifetime, 43_200);
        assert_eq!(asked(&["-valid", "1:30"]).unwrap().lifetime, 5_400);
        assert_eq!(asked(&["-hours", "2"]).unwrap().lifetime, 7_200);
        assert_eq!(asked(&["-valid", "1:30", "-hours", "2"]).unwrap().lifetime, 7_200);
        assert_eq!(asked(&["-valid", "0:00"]).unwrap().lifetime, AS_LONG_AS_POSSIBLE);
        assert_eq!(
            asked(&["-valid", "abc"]).unwrap_err(),
            "option -valid : value must be in the format: H:M"
        );
        assert_eq!(
            asked(&["-valid", "1:70"]).unwrap_err(),
            "option -valid : specified minutes must be in the range 0-60"
        );
        assert_eq!(asked(&["-bits", "4096"]).unwrap().bits, 4096);
        assert!(asked(&["-bits", "1024"]).unwrap_err().contains("one of 2048,"));
        assert!(asked(&["-valid", "99999999999999999999:0"]).is_err());
    }

    #[test]
    fn what_excludes_each_other_is_refused_in_the_originals_words() {
        assert_eq!(
            asked(&["-old", "-rfc"]).unwrap_err(),
            "option -rfc : -old, -rfc, and -draft are mutually exclusive"
        );
        assert_eq!(
            asked(&["-limited", "-independent"]).unwrap_err(),
            "option -independent : -independent, -limited and -policy/-policy-language are mutually exclusive"
        );
        assert!(asked(&["-pl", "1.2.3"]).unwrap_err().contains("restricted"));
        assert_eq!(asked(&["-draft", "-limited"]).unwrap().format, Some(ProxyFormat::Draft));
    }
}
