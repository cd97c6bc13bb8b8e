//! Our client at our gatekeeper; what changes while it runs; and how it stops.

use super::house::{ALICE, House, MALLORY};
use gram::client::{Client, ClientError};
use gram::{GramError, ResourceContact, StateMask};
use gsi::DelegationMode;
use std::fs;
use std::time::Duration;

fn client(house: &House, proxy: &str) -> Client {
    Client::new(&house.credential(proxy), &house.trust()).unwrap()
}

fn contact(house: &House, service: &str) -> ResourceContact {
    format!("{}{service}", house.address()).parse().unwrap()
}

fn code<T>(result: Result<T, ClientError>) -> GramError {
    result.err().unwrap().code
}

#[tokio::test]
async fn every_operation() {
    let house = House::new().await;
    let alice = client(&house, "alice");
    let here = contact(&house, "");
    alice.ping(&here).await.unwrap();
    let version = alice.version(&here).await.unwrap();
    assert_eq!(version.version.as_deref(), Some(gram::version::VERSION));
    let rsl = b"&(executable=/bin/true)";
    for mode in [DelegationMode::Limited, DelegationMode::Full] {
        let submitted =
            alice.submit(&here, None, rsl, StateMask::ALL, Some("https://h:1/"), mode).await.unwrap();
        assert_eq!(submitted.contact.to_string(), "https://vm:1/2/3/");
        let asked = house.fake.requests().pop().unwrap();
        let delegated = gsi::Credential::from_pem(&asked.delegated_credential).unwrap();
        assert_eq!(delegated.is_limited(), mode == DelegationMode::Limited);
    }
    // without a credential there is no job
    let refused = alice.submit(&here, None, rsl, StateMask::ALL, None, DelegationMode::None).await;
    assert_eq!(code(refused), GramError::PROTOCOL_FAILED);

    assert_eq!(code(client(&house, "mallory").ping(&here).await), GramError::AUTHORIZATION);
    assert_eq!(code(alice.ping(&contact(&house, "/none")).await), GramError::SERVICE_NOT_FOUND);
    assert_eq!(code(client(&house, "limited").ping(&here).await), GramError::AUTHORIZATION);
    assert_eq!(code(alice.ping(&contact(&house, "/broken")).await), GramError::GATEKEEPER_MISCONFIGURED);
    let somebody_else = format!("{}:/O=Grid/CN=other", house.address()).parse().unwrap();
    assert_eq!(code(alice.ping(&somebody_else).await), GramError::AUTHORIZATION);
}

#[tokio::test]
async fn gridmap_and_services_are_read_again() {
    let house = House::new().await;
    let mallory = client(&house, "mallory");
    let here = contact(&house, "/classic");
    assert_eq!(code(mallory.ping(&here).await), GramError::AUTHORIZATION);
    let gridmap = format!("\"{MALLORY}\" {}\n", house.account);
    fs::write(house.path("grid-mapfile"), gridmap).unwrap();
    assert_eq!(code(mallory.ping(&here).await), GramError::SERVICE_NOT_FOUND);
    let line = "accept_limited - /usr/sbin/globus-job-manager globus-job-manager -type fork\n";
    fs::write(house.path("services/classic"), line).unwrap();
    mallory.ping(&here).await.unwrap();
    // a gridmap that has gone does not take anybody's leave away
    fs::remove_file(house.path("grid-mapfile")).unwrap();
    mallory.ping(&here).await.unwrap();
    let last = house.audit().pop().unwrap();
    assert_eq!((&last["line"], &last["identity"]), (&1.into(), &MALLORY.into()));
}

#[tokio::test]
async fn stopping_lets_requests_finish() {
    let mut house = House::new().await;
    let here = contact(&house, "");
    let alice = client(&house, "alice");
    // One request is under way: it has a connection and has not said anything yet.
    let waiting = tokio::net::TcpStream::connect((here.host.as_str(), here.port)).await.unwrap();
    alice.ping(&here).await.unwrap(); // so the one before has been accepted
    let mut running = house.stop();
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut running).await.is_err());
    assert_eq!(code(alice.ping(&here).await), GramError::CONTACTING_JOB_MANAGER);
    let connector = gsi::Connector::new(&house.credential("alice"), &house.trust()).unwrap();
    let expect = gsi::Expect::Host("localhost".into());
    let mut stream = connector.connect_gsi(waiting, &expect, DelegationMode::None).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let ping = gram::wire::request::encode_ping("jobmanager", "localhost");
    gram::exchange::write_message(&mut stream, &ping, deadline).await.unwrap();
    assert_eq!(gram::exchange::read_reply(&mut stream, deadline).await.unwrap().0.status, 200);
    drop(stream);
    running.await.unwrap().unwrap();
    assert_eq!(house.audit().pop().unwrap()["identity"], ALICE);
}
