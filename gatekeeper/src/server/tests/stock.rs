//! The stock `globusrun` at our gatekeeper: every outcome it can see, with both TLS versions. What it prints was
//! compared with what it prints at a stock gatekeeper in the same situation.

use super::house::House;
use gram::GramError;
use gram::control::v1;
use std::fs;

const VERSIONS: [&str; 2] = ["TLS1_2_VERSION", "TLS1_3_VERSION"];

/// Exit code, and standard output and error in one.
fn said(output: &std::process::Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn ping_version_and_job() {
    let house = House::new().await;
    for tls in VERSIONS {
        let address = house.address();
        let Some(output) = house.globusrun("alice", tls, &["-a", "-r", address]).await else { return };
        let (code, text) = said(&output);
        assert_eq!((code, text.trim()), (0, "GRAM Authentication test successful"), "{tls}");
        // the subject as contact() gives it, in place of the host name
        let output = house.globusrun("alice", tls, &["-a", "-r", &house.contact]).await.unwrap();
        assert_eq!(said(&output).0, 0, "{}", said(&output).1);

        let (code, text) = said(&house.globusrun("alice", tls, &["-j", "-r", address]).await.unwrap());
        let expected = format!(
            "Toolkit version: {}\nJob Manager version: {}\n",
            gram::version::TOOLKIT_VERSION,
            gram::version::VERSION
        );
        assert_eq!((code, text), (0, expected));

        let arguments = ["-F", "-r", address, "&(executable=/bin/true)"];
        let (code, text) = said(&house.globusrun("alice", tls, &arguments).await.unwrap());
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("https://vm:1/2/3/"), "{text}");
        let asked = house.fake.requests().pop().unwrap();
        assert_eq!(asked.identity, super::house::ALICE);
        let delegated = gsi::Credential::from_pem(&asked.delegated_credential).unwrap();
        assert_eq!(delegated.identity().as_str(), super::house::ALICE);
        assert!(delegated.is_limited());

        let arguments = ["-F", "-D", "-r", address, "&(executable=/bin/true)"];
        house.globusrun("alice", tls, &arguments).await.unwrap();
        let asked = house.fake.requests().pop().unwrap();
        assert!(!gsi::Credential::from_pem(&asked.delegated_credential).unwrap().is_limited());
    }
    let outcomes: Vec<_> =
        house.audit().iter().map(|line| line["operation"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["ping", "ping", "version", "job", "job"].repeat(2));
}

#[tokio::test]
async fn refusals_of_pings() {
    let house = House::new().await;
    let at = |service: &str| format!("{}{service}", house.address());
    for tls in VERSIONS {
        for (proxy, contact, error, reason) in [
            ("mallory", at(""), GramError::AUTHORIZATION, "no entry for /O=Grid/CN=Mallory Moss"),
            ("mallory", at("/none"), GramError::AUTHORIZATION, "no entry for"),
            ("limited", at(""), GramError::AUTHORIZATION, "a limited proxy"),
            ("alice", at("/none"), GramError::SERVICE_NOT_FOUND, "no service \"none\""),
            ("limited", at("/none"), GramError::SERVICE_NOT_FOUND, "no service \"none\""),
            ("alice", at("/a/b"), GramError::SERVICE_NOT_FOUND, "cannot be a service name"),
            ("alice", at("/broken"), GramError::GATEKEEPER_MISCONFIGURED, "no adapter"),
        ] {
            let Some(output) = house.globusrun(proxy, tls, &["-a", "-r", &contact]).await else { return };
            let expected = format!("GRAM Authentication test failure: {}", error.text());
            assert_eq!(
                (said(&output).0, said(&output).1.trim()),
                (1, expected.as_str()),
                "{proxy} {contact}"
            );
            let line = house.audit().pop().unwrap();
            assert_eq!(line["outcome"], "refused");
            assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
        }
        let output = house.globusrun("limited", tls, &["-a", "-r", &at("/limited")]).await.unwrap();
        assert_eq!(said(&output).0, 0, "{}", said(&output).1);
    }
}

#[tokio::test]
async fn refusals_of_jobs() {
    let house = House::new().await;
    let address = house.address().to_owned();
    let rsl = "&(executable=/bin/true)";
    let long = house.path("long.rsl");
    fs::write(&long, format!("&(executable=/bin/true)(arguments={})", "x".repeat(64_500))).unwrap();
    for tls in VERSIONS {
        for (proxy, arguments, error) in [
            ("mallory", vec!["-F", "-r", &address, rsl], GramError::AUTHORIZATION),
            (
                "alice",
                vec!["-F", "-r", &address, "&(executable=a)(username=nobody-here)"],
                GramError::AUTHORIZATION,
            ),
            // Listed in the gridmap, but this gatekeeper runs as somebody else.
            (
                "alice",
                vec!["-F", "-r", &address, "&(executable=a)(username=other)"],
                GramError::AUTHORIZATION,
            ),
            ("alice", vec!["-F", "-r", &address, "-f", long.to_str().unwrap()], GramError::PROTOCOL_FAILED),
        ] {
            let Some(output) = house.globusrun(proxy, tls, &arguments).await else { return };
            let (code, text) = said(&output);
            let expected = format!("GRAM Job submission failed because {error}");
            assert!(text.contains(&expected), "{arguments:?}: {text}");
            assert_eq!(code, i32::from(error.0));
        }
    }
    let arguments = ["-F", "-r", &address, &format!("&(executable=a)(username={})", house.account)];
    assert_eq!(said(&house.globusrun("alice", VERSIONS[1], &arguments).await.unwrap()).0, 0);

    let reply = v1::SubmitReply { error: 55, job_contact: String::new(), message: "our own words".into() };
    *house.fake.reply.lock().unwrap() = Some(reply);
    let (code, text) =
        said(&house.globusrun("alice", VERSIONS[1], &["-F", "-r", &address, rsl]).await.unwrap());
    assert_eq!(code, 55);
    assert!(text.contains("our own words"), "{text}");
}

#[tokio::test]
async fn nobody_is_let_in_while_nologin_exists() {
    let house = House::new().await;
    fs::write(house.path("nologin"), "").unwrap();
    let arguments = ["-a", "-r", house.address()];
    let Some(output) = house.globusrun("alice", VERSIONS[1], &arguments).await else { return };
    // as at a stock gatekeeper: closed before TLS, which the client takes for a failed connection
    assert!(said(&output).1.contains(GramError::CONTACTING_JOB_MANAGER.text()), "{}", said(&output).1);
    fs::remove_file(house.path("nologin")).unwrap();
    let output = house.globusrun("alice", VERSIONS[1], &arguments).await.unwrap();
    assert_eq!(said(&output).0, 0);
    assert!(house.audit()[0]["reason"].as_str().unwrap().contains("nologin"));
}
