//! Conversations over an in-memory stream, after a handshake that is only said to have happened.

use super::*;
use crate::config::ServiceConfig;
use crate::fake::{self, Fake};
use crate::launch::Launcher;
use crate::policy::RunsAs;
use crate::start::{Direct, Starter};
use gram::StateMask;
use gram::wire::{self, request};
use gsi::Subject;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// A site with the services `jobmanager`, `limited` and `broken`, where alice is mapped to our account.
struct House {
    folder: TempDir,
    site: Arc<Site>,
    fake: Arc<Fake>,
    _server: tokio::sync::oneshot::Sender<()>,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let (server, _) = fake::serve(folder.path(), "alice", &fake);
    let service =
        |scheduler: &str, accept_limited| ServiceConfig { scheduler: scheduler.into(), accept_limited };
    let services = [
        ("jobmanager".to_owned(), service("fork", false)),
        ("limited".to_owned(), service("fork", true)),
        ("broken".to_owned(), service("nothing", true)),
    ];
    let gridmap = "\n".repeat(6) + "\"/CN=alice\" alice\n\"/CN=bob\" bob\n\"/CN=carl\" alice\n";
    fs::write(folder.path().join("gridmap"), gridmap).unwrap();
    fs::write(folder.path().join("banned"), "# nobody else\nsubject \"/CN=carl\" he knows why\n").unwrap();
    fs::create_dir(folder.path().join("certificates")).unwrap();
    let config = fake::config(folder.path(), services.into());
    let uid = rustix::process::geteuid().as_raw();
    let limit = Duration::from_secs(20);
    let state = folder.path().to_owned();
    let starter = Starter::Direct(Direct { state, command: vec!["/bin/false".into()], uid, patience: limit });
    let launcher = Launcher::new(folder.path().to_owned(), starter, limit);
    let site = Site {
        rules: SiteRules::load(&config, RunsAs::Personal("alice".into())).unwrap(),
        managers: Arc::new(Attendance::open(folder.path().join("register"), launcher).unwrap()),
        audit: Arc::new(Audit::open(config.audit_config(), Metrics::default()).unwrap()),
        metrics: Metrics::default(),
        limits: Limits::default(),
        rates: Arc::default(),
        host: "vm".into(),
        port: 2119,
    };
    House { folder, site: Arc::new(site), fake, _server: server }
}

/// What a client is told, and the last audit line.
struct Heard {
    message: String,
    audit: serde_json::Value,
}

impl House {
    async fn converse(&self, identity: &str, limited: bool, delegated: bool, message: &[u8]) -> Heard {
        let (near, mut far) = duplex(1 << 20);
        far.write_all(message).await.unwrap();
        let serving = tokio::spawn(self.conversation(near, identity, limited, delegated));
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        drop(far);
        serving.await.unwrap();
        let audit = std::fs::read_to_string(self.folder.path().join("audit")).unwrap();
        Heard {
            message: String::from_utf8(answer).unwrap(),
            audit: serde_json::from_str(audit.lines().last().unwrap()).unwrap(),
        }
    }

    fn conversation(
        &self,
        stream: DuplexStream,
        identity: &str,
        limited: bool,
        delegated: bool,
    ) -> impl Future<Output = ()> + Send + use<> {
        let record = Record::new(jiff::Timestamp::now(), "r1".into(), "127.0.0.1:9".parse().unwrap());
        let identity = Subject::new(identity);
        let subject = Subject::new(format!("{identity}/CN=1"));
        let asker = Asker { subject, limited, ..Asker::named(identity) };
        let delegated = delegated.then(|| Zeroizing::new("PEM".to_owned()));
        let conversation = Conversation::new(stream, Instant::now(), record, asker, delegated);
        let site = Arc::clone(&self.site);
        async move { conversation.converse(&site, "/CN=host").await }
    }

    async fn alice(&self, message: &[u8]) -> Heard {
        self.converse("/CN=alice", false, true, message).await
    }
}

fn job() -> Vec<u8> {
    let request = JobRequest {
        mask: StateMask::ALL,
        callback: Some("https://vm:1/".into()),
        rsl: b"&(executable=a)".into(),
    };
    request::encode_job("jobmanager", None, "vm", &request)
}

#[tokio::test]
async fn ping() {
    let heard = house().alice(&request::encode_ping("jobmanager", "vm")).await;
    assert_eq!(heard.message.as_bytes(), wire::reply::encode_pong());
    assert_eq!(heard.audit["outcome"], "granted");
    assert_eq!(heard.audit["operation"], "ping");
    assert_eq!(heard.audit["identity"], "/CN=alice");
    assert_eq!(heard.audit["subject"], "/CN=alice/CN=1");
    assert_eq!(heard.audit["account"], "alice");
    assert_eq!(heard.audit["line"], 7);
    assert_eq!(heard.audit["request"], "r1");
}

#[tokio::test]
async fn version() {
    let heard = house().alice(&request::encode_version("jobmanager", "vm")).await;
    let body = heard.message.split_once("\r\n\r\n").unwrap().1;
    let reply = gram::wire::VersionReply::decode(body.as_bytes()).unwrap();
    assert!(wire::body::extension(&reply.extensions, "version").is_some());
    assert_eq!(heard.audit["operation"], "version");
}

#[tokio::test]
async fn job_request() {
    let house = house();
    let heard = house.alice(&job()).await;
    let body = heard.message.split_once("\r\n\r\n").unwrap().1;
    let reply = JobReply::decode(body.as_bytes()).unwrap();
    assert_eq!((reply.status, reply.contact.as_deref()), (GramError::SUCCESS, Some("https://vm:1/2/3/")));
    assert_eq!(heard.audit["outcome"], "granted");
    assert_eq!(heard.audit["job"], "https://vm:1/2/3/");
    let asked = house.fake.requests().remove(0);
    assert_eq!(asked.rsl, b"&(executable=a)");
    assert_eq!((asked.scheduler.as_str(), asked.identity.as_str()), ("fork", "/CN=alice"));
    assert_eq!((asked.request_id.as_str(), asked.delegated_credential.as_slice()), ("r1", &b"PEM"[..]));
    assert_eq!((asked.callback_url.as_str(), asked.job_state_mask), ("https://vm:1/", 0xF_FFFF));
    assert_eq!((asked.gatekeeper_port, asked.client_address.as_str()), (2119, "127.0.0.1"));
}

#[tokio::test]
async fn a_job_the_manager_refuses() {
    let house = house();
    let reply = v1::SubmitReply { error: 1, job_contact: String::new(), message: "no \"foo\"".into() };
    *house.fake.reply.lock().unwrap() = Some(reply);
    let heard = house.alice(&job()).await;
    assert!(heard.message.contains("status: 1\r\nversion: "), "{}", heard.message);
    assert!(heard.message.contains("gt3-failure-message: \"no \\\"foo\\\"\"\r\n"), "{}", heard.message);
    assert!(!heard.message.contains("job-manager-url"));
    assert_eq!((&heard.audit["outcome"], &heard.audit["error"]), (&"rejected".into(), &1.into()));
    assert_eq!(heard.audit["reason"], "no \"foo\"");
}

#[tokio::test]
async fn refusals_say_little_to_the_client_and_everything_to_the_audit() {
    let house = house();
    let text = |text: &str| text.as_bytes().to_vec();
    let ping = |service: &str| request::encode_ping(service, "vm");
    let (alice, bare) = (("/CN=alice", false), text("POST /jobmanager HTTP/1.1\r\n\r\n"));
    let odd_name = text("POST /ping/jobmanager HTTP/1.1\r\n\r\n");
    for ((identity, limited), message, status, code, reason) in [
        (("/CN=eve", false), ping("jobmanager"), "403", "unmapped", "no entry for /CN=eve"),
        (("/CN=carl", false), ping("jobmanager"), "403", "banned", "is banned: he knows why"),
        (("/CN=bob", false), ping("jobmanager"), "403", "account_unusable", "account bob is not the one"),
        (("/CN=alice", true), ping("jobmanager"), "403", "limited_proxy", "limited proxy"),
        (alice, ping("jobmanager@bob"), "403", "account_not_listed", "does not map /CN=alice to bob"),
        (alice, text("GET / HTTP/1.1\r\n\r\n"), "403", "malformed_request", "GET /"),
        (alice, text("POST jobmanager HTTP/1.1\r\n\r\n"), "403", "malformed_request", "jobmanager"),
        (alice, ping("none"), "404", "no_service", "no service \"none\""),
        (alice, odd_name, "404", "no_service", "ping/jobmanager"),
        (alice, ping("broken"), "500", "service_unusable", "no adapter for the scheduler \"nothing\""),
        (alice, job(), "400", "no_credential", "no credential was delegated"),
        (alice, bare, "400", "malformed_request", "no Content-Length"),
    ] {
        let heard = house.converse(identity, limited, code != "no_credential", &message).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(heard.message.starts_with(&expected), "{reason}: {}", heard.message);
        assert!(heard.message.ends_with("\r\nConnection: close\r\n\r\n\0"), "{reason}: {}", heard.message);
        assert_eq!((&heard.audit["outcome"], &heard.audit["code"]), (&"refused".into(), &code.into()));
        let told = heard.audit["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told:?} should say {reason:?}");
    }
    assert!(house.fake.requests().is_empty());
    let heard = house.converse("/CN=carl", false, true, &ping("jobmanager")).await;
    assert!(heard.audit["file"].as_str().unwrap().ends_with("/banned"), "{}", heard.audit);
    assert_eq!(heard.audit["line"], 2);
}

#[tokio::test]
async fn who_asks_too_often_has_to_wait() {
    let mut house = house();
    let mut site = (*house.site).clone();
    site.limits = Limits { requests_per_minute: 1, requests_burst: 3, ..site.limits };
    house.site = Arc::new(site);
    let ping = request::encode_ping("jobmanager", "vm");
    for _ in 0..3 {
        assert_eq!(house.alice(&ping).await.audit["outcome"], "granted");
    }
    let heard = house.alice(&job()).await;
    assert!(heard.message.contains("\r\nstatus: 3\r\n"), "{}", heard.message);
    assert!(heard.message.contains("gt3-failure-message: \"too many requests"), "{}", heard.message);
    assert!(house.alice(&ping).await.message.starts_with("HTTP/1.1 400 "));
    assert_eq!(house.alice(&ping).await.audit["code"], "too_many_requests");
    let other = house.converse("/CN=carl", false, true, &ping).await;
    assert_eq!(other.audit["code"], "banned", "others are served as ever");
}

#[tokio::test]
async fn limited_proxies_where_they_may() {
    let heard = house().converse("/CN=alice", true, true, &request::encode_ping("limited", "vm")).await;
    assert_eq!(heard.audit["outcome"], "granted");
    assert_eq!(heard.audit["limited"], true);
}

#[tokio::test]
async fn bodies_that_are_too_long_or_say_nothing() {
    let house = house();
    let long =
        format!("POST /jobmanager HTTP/1.1\r\nContent-Length: {}\r\n\r\nbeginning", wire::MAX_BODY + 1);
    let heard = house.alice(long.as_bytes()).await;
    assert!(heard.message.contains("Content-Length: 33\r\n\r\nprotocol-version: 2\r\nstatus: 10\r\n"));
    for body in ["protocol-version: 3\r\n", "protocol-version: 2\r\n", "nonsense"] {
        let message = wire::http::encode_request("/jobmanager", "vm", body.as_bytes());
        let heard = house.alice(&message).await;
        assert!(heard.message.contains("\r\nstatus: 91\r\n"), "{}", heard.message);
    }
}

#[tokio::test]
async fn a_job_manager_that_cannot_be_started() {
    let mut house = house();
    house._server = tokio::sync::oneshot::channel().0;
    std::fs::remove_file(gram::control::socket_path(house.folder.path(), "alice")).unwrap();
    let heard = house.alice(&job()).await;
    assert!(heard.message.starts_with("HTTP/1.1 500 "), "{}", heard.message);
    assert!(heard.audit["reason"].as_str().unwrap().contains("ended before it was ready"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_dropped() {
    let house = house();
    let (near, mut far) = duplex(64);
    far.write_all(b"POST /jobmanager").await.unwrap();
    house.conversation(near, "/CN=alice", false, true).await;
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
}

mod batches {
    use super::*;
    use gram::wire::bulk::{BulkReply, Template};

    fn batch(first: u64, jobs: &[&str]) -> Vec<u8> {
        let template = |rsl: &&str| Template { rsl: rsl.as_bytes().to_vec(), indices: None };
        let mut templates: Vec<_> = jobs.iter().map(template).collect();
        templates[0].indices = Some("5-6".parse().unwrap());
        let batch = "0123456789abcdef".to_owned();
        let jobs = BulkJobs { batch, first, mask: StateMask::ALL, callback: None, templates };
        jobs.encode("jobmanager", None, "vm")
    }

    fn audit(house: &House) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(house.folder.path().join("audit")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn ask(far: &mut DuplexStream, message: &[u8]) -> Option<BulkReply> {
        far.write_all(message).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let (_, body) = exchange::read_reply(far, deadline).await.unwrap();
        BulkReply::decode(&body).unwrap()
    }

    #[tokio::test]
    async fn several_over_one_connection() {
        let house = house();
        let (near, mut far) = duplex(1 << 20);
        let serving = tokio::spawn(house.conversation(near, "/CN=alice", false, true));
        let items = ask(&mut far, &batch(0, &["a", "b"])).await.unwrap().0;
        assert_eq!(items.len(), 3);
        assert!(items.iter().all(|item| item.code.is_success() && item.text == "https://vm:1/2/3/"));
        let refusal = v1::SubmitReply { error: 51, job_contact: String::new(), message: "bad\ncount".into() };
        *house.fake.reply.lock().unwrap() = Some(refusal);
        let items = ask(&mut far, &batch(3, &["c"])).await.unwrap().0;
        assert_eq!((items.len(), items[1].code.0, items[1].text.as_str()), (2, 51, "bad\ncount"));
        drop(far);
        serving.await.unwrap();

        let requests = house.fake.requests();
        assert_eq!(
            requests.iter().map(|request| request.rsl.as_slice()).collect::<Vec<_>>(),
            [b"a", b"a", b"b", b"c", b"c"]
        );
        assert_eq!(requests[0].delegated_credential, b"PEM");
        // One line for each job, and none for the end of the connection.
        let audit = audit(&house);
        let ids: Vec<_> = audit.iter().map(|line| line["request"].as_str().unwrap()).collect();
        assert_eq!(ids, ["0", "1", "2", "3", "4"].map(|number| format!("0123456789abcdef.{number}")));
        assert_eq!(
            (&audit[2]["outcome"], &audit[2]["job"]),
            (&"granted".into(), &"https://vm:1/2/3/".into())
        );
        assert_eq!((&audit[4]["outcome"], &audit[4]["error"]), (&"rejected".into(), &51.into()));
    }

    /// A ban counts from the next batch on.
    #[tokio::test]
    async fn each_is_judged_anew() {
        let house = house();
        let (near, mut far) = duplex(1 << 20);
        let serving = tokio::spawn(house.conversation(near, "/CN=alice", false, true));
        assert!(ask(&mut far, &batch(0, &["a"])).await.is_some());
        far.write_all(&wire::request::encode_job(
            "broken",
            None,
            "vm",
            &JobRequest { mask: StateMask::ALL, callback: None, rsl: b"x".into() },
        ))
        .await
        .unwrap();
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 500 "));
        drop(far);
        serving.await.unwrap();
        assert_eq!(audit(&house).last().unwrap()["outcome"], "refused");
    }

    #[tokio::test]
    async fn without_a_credential_or_a_mapping_there_is_none() {
        let house = house();
        let message = batch(0, &["a"]);
        let heard = house.converse("/CN=alice", false, false, &message).await;
        assert!(heard.message.starts_with("HTTP/1.1 400 "), "{}", heard.message);
        let heard = house.converse("/CN=nobody", false, true, &message).await;
        assert!(heard.message.starts_with("HTTP/1.1 403 "), "{}", heard.message);
        assert!(house.fake.requests().is_empty());
    }
}
