//! The captured exchanges of gram.md §22, byte for byte: made by GCT 6.2 (gatekeeper 11.4, job manager 15.8,
//! gram-protocol 13.6, client tools 12.2) on a host named `vm`.

use super::*;
use crate::{JobState, Signal, StateMask};

const CONTACT: &str = "https://vm:33911/17370766278073067596/72057598265938833/";

/// The reference prints one line per line; on the wire each ends CR LF.
fn wire(lines: &[&str], nul: bool) -> Vec<u8> {
    let mut bytes: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
    bytes.extend(nul.then_some(0));
    bytes
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn extensions() -> Extensions {
    vec![("version".into(), "15.8 (1653033972-1)".into()), ("toolkit-version".into(), "6.2".into())]
}

/// Decodes a whole request into its URI and body, checking that the length is genuine.
fn request(bytes: &[u8]) -> (String, &[u8]) {
    let Ok(Decoded::Value(head, taken)) = RequestHead::decode(bytes) else { panic!("a request header") };
    assert_eq!(head.length, Some(bytes.len() - taken));
    (head.uri, &bytes[taken..])
}

/// Decodes a whole reply into its body, checking that the length is genuine.
fn reply(bytes: &[u8]) -> &[u8] {
    let Ok(Decoded::Value(head, taken)) = ReplyHead::decode(bytes) else { panic!("a reply header") };
    assert_eq!((head.status, head.length), (200, Some(bytes.len() - taken)));
    &bytes[taken..]
}

fn assert_bytes(made: &[u8], captured: &[u8]) {
    assert_eq!(shown(made), shown(captured));
    assert_eq!(made, captured);
}

#[test]
fn ping() {
    let lines = [
        "POST ping/jobmanager HTTP/1.1",
        "Host: vm",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 0",
        "",
    ];
    let captured = wire(&lines, false);
    assert_bytes(&request::encode_ping("jobmanager", "vm"), &captured);
    let (uri, body) = request(&captured);
    assert_eq!(
        Target::parse(&uri).unwrap(),
        Target { ping: true, service: "jobmanager".into(), account: None }
    );
    assert!(body.is_empty());
    let lines = ["HTTP/1.1 200 OK", "Content-Type: application/x-globus-gram", "Content-Length: 0", ""];
    assert_bytes(&reply::encode_pong(), &wire(&lines, true));
}

#[test]
fn job_request() {
    let lines = [
        "POST /jobmanager-fork HTTP/1.1",
        "Host: vm",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 175",
        "",
        "protocol-version: 2",
        "job-state-mask: 1048575",
        "callback-url: https://vm:35917/",
        r#"rsl: "&(\"executable\" = \"/bin/true\" )(\"two_phase\" = \"30\" )(\"save_state\" = \"yes\" )""#,
    ];
    let captured = wire(&lines, true);
    let job = JobRequest {
        mask: StateMask::ALL,
        callback: Some("https://vm:35917/".into()),
        rsl: br#"&("executable" = "/bin/true" )("two_phase" = "30" )("save_state" = "yes" )"#.to_vec(),
    };
    assert_bytes(&request::encode_job("jobmanager-fork", None, "vm", &job), &captured);
    let (uri, body) = request(&captured);
    assert_eq!(uri, "/jobmanager-fork");
    assert_eq!(GatekeeperBody::decode(body), Ok(GatekeeperBody::Job(job)));
}

#[test]
fn job_reply() {
    let lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 166",
        "",
        "protocol-version: 2",
        "status: 110",
        "job-manager-url: https://vm:33911/17370766278073067596/72057598265938833/",
        r#"version: "15.8 (1653033972-1)""#,
        r#"toolkit-version: "6.2""#,
    ];
    let captured = wire(&lines, true);
    let answer = JobReply {
        status: GramError::WAITING_FOR_COMMIT,
        contact: Some(CONTACT.into()),
        extensions: extensions(),
    };
    assert_bytes(&answer.encode(), &captured);
    assert_eq!(JobReply::decode(reply(&captured)), Ok(answer));
}

#[test]
fn job_reply_with_the_other_reason_phrase() {
    let captured = wire(
        &[
            "HTTP/1.1 200 Ok",
            "Content-Type: application/x-globus-gram",
            "Content-Length: 33",
            "",
            "protocol-version: 2",
            "status: 10",
        ],
        false,
    );
    assert_eq!(JobReply::decode(reply(&captured)).unwrap().status, GramError::PROTOCOL_FAILED);
    assert_eq!(reply::encode_too_long().len(), captured.len());
}

#[test]
fn commit() {
    let lines = [
        "POST /17370766278073067596/72057598265938833/ HTTP/1.1",
        "Host: vm",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 41",
        "",
        "protocol-version: 2",
        r#""signal 5 commit""#,
    ];
    let captured = wire(&lines, true);
    let query = Query::Signal(Signal::CommitRequest);
    assert_bytes(&query.encode("/17370766278073067596/72057598265938833/", "vm"), &captured);
    assert_eq!(Query::decode(request(&captured).1), Ok(query));

    let lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 128",
        "",
        "protocol-version: 2",
        "status: 32",
        "failure-code: 0",
        "job-failure-code: 0",
        r#"version: "15.8 (1653033972-1)""#,
        r#"toolkit-version: "6.2""#,
    ];
    let captured = wire(&lines, true);
    let answer = QueryReply {
        status: JobState::Unsubmitted.value(),
        failure_code: GramError::SUCCESS,
        job_failure_code: GramError::SUCCESS,
        extensions: extensions(),
    };
    assert_bytes(&answer.encode(), &captured);
    assert_eq!(QueryReply::decode(reply(&captured)), Ok(answer));
}

#[test]
fn state_update() {
    let lines = [
        "POST / HTTP/1.1",
        "Host: vm",
        "Content-Type: application/x-globus-gram",
        "Content-Length: 181",
        "",
        "protocol-version: 2",
        "job-manager-url: https://vm:33911/17370766278073067596/72057598265938833/",
        "status: 2",
        "failure-code: 0",
        r#"version: "15.8 (1653033972-1)""#,
        r#"toolkit-version: "6.2""#,
    ];
    let captured = wire(&lines, true);
    let update = Update {
        contact: CONTACT.into(),
        status: JobState::Active.value(),
        failure_code: GramError::SUCCESS,
        extensions: extensions(),
    };
    assert_bytes(&update.encode("/", "vm"), &captured);
    assert_eq!(Update::decode(request(&captured).1), Ok(update));
    assert_bytes(
        &http::encode_acknowledgement(),
        &wire(&["HTTP/1.1 200 OK", "Connection: Close", ""], false),
    );
}

#[test]
fn interactive_job_request() {
    let line = r#"rsl: "&(\"rsl_substitution\" = (\"GLOBUSRUN_GASS_URL\" \"https://vm:57159\" ) )(\"stderr\" = $(\"GLOBUSRUN_GASS_URL\") # \"/dev/stderr\" )(\"stdout\" = $(\"GLOBUSRUN_GASS_URL\") # \"/dev/stdout\" )(\"executable\" = \"/bin/echo\" )(\"arguments\" = \"hi\" )""#;
    let body =
        wire(&["protocol-version: 2", "job-state-mask: 1048575", "callback-url: https://vm:1/", line], true);
    let Ok(GatekeeperBody::Job(job)) = GatekeeperBody::decode(&body) else { panic!("a job request") };
    assert!(job.rsl.starts_with(br#"&("rsl_substitution" = ("GLOBUSRUN_GASS_URL" "#));
    assert_bytes(&job.encode_body(), &body);
}

#[test]
fn failure_update_with_extensions_in_any_order() {
    let body = wire(
        &[
            "protocol-version: 2",
            "job-manager-url: https://vm:1/2/3/",
            "status: 4",
            "failure-code: 135",
            r#"version: "15.8 (1653033972-1)""#,
            r#"gt3-failure-destination: "/tmp/y""#,
            r#"gt3-failure-source: "https://vm:1/x""#,
            r#"gt3-failure-message: """#,
            r#"toolkit-version: "6.2""#,
            r#"gt3-failure-type: "filestagein""#,
        ],
        true,
    );
    let update = Update::decode(&body).unwrap();
    assert_eq!(update.failure_code, GramError::STAGE_IN_FAILED);
    assert_eq!(body::extension(&update.extensions, "gt3-failure-type"), Some("filestagein"));
    assert_eq!(body::extension(&update.extensions, "gt3-failure-message"), Some(""));
    assert_eq!(body::extension(&update.extensions, "gt3-failure-source"), Some("https://vm:1/x"));
}

#[test]
fn cancelled_job_and_unknown_job() {
    let answer = QueryReply::state(JobState::Failed, GramError::USER_CANCELLED, None);
    assert!(shown(&answer.encode()).contains("status: 4\r\nfailure-code: 0\r\njob-failure-code: 8\r\n"));
    let answer = QueryReply::unknown_job();
    let text = shown(&answer.encode());
    assert!(text.contains("status: 0\r\nfailure-code: 156\r\njob-failure-code: 0\r\nversion: \""), "{text}");
}

#[test]
fn refusals_end_with_a_nul() {
    assert_bytes(
        &reply::encode_gatekeeper_refusal(403),
        &wire(&["HTTP/1.1 403 Forbidden", "Connection: close", ""], true),
    );
}
