//! What one connection costs: both ends in one process, over loopback. `cargo bench -p gsi --bench handshake`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a bench stops where it is surprised"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use gsi::authority::{Authority, Holder, NewAuthority};
use gsi::key::PrivateKey;
use gsi::proxy::{self, ProxyRequest};
use gsi::tls::Versions;
use gsi::{
    Acceptor, Connector, Credential, DelegationMode, Expect, KeyPool, Name, ProxyKind, TrustDirectory, chain,
    delegation,
};
use jiff::Timestamp;
use std::hint::black_box;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

struct Site {
    _directory: tempfile::TempDir,
    trust: TrustDirectory,
    host: Credential,
    proxy: Credential,
}

fn site() -> Site {
    let directory = tempfile::tempdir().unwrap();
    let new = NewAuthority { name: "/O=Grid/CN=Bench CA", days: 30, bits: 2048, passphrase: None };
    let authority = Authority::create(&directory.path().join("ca"), &new).unwrap();
    let certificates = directory.path().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    authority.install(&certificates).unwrap();
    let issue = |name: &str, holder: &Holder| {
        let key = PrivateKey::generate_rsa(2048).unwrap();
        let subject = Name::parse_one_line(name).unwrap();
        let certificate = authority.issue(&subject, &key.public_key_info(), holder, 10).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    };
    let user = issue("/O=Grid/CN=Grid User", &Holder::User);
    let host = issue("/O=Grid/CN=localhost", &Holder::Host { names: vec!["localhost".to_owned()] });
    let request = ProxyRequest { format: None, kind: ProxyKind::Full, lifetime: None, path_length: None };
    let proxy = proxy::create(&user, 2048, &request, Timestamp::now()).unwrap();
    Site { trust: TrustDirectory::open(certificates).unwrap(), _directory: directory, host, proxy }
}

/// Two ends of a connection, closed by reset: those closed in order keep their port for a minute, and so many connections are
/// made here in a minute that none would be left.
async fn sockets(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().unwrap();
    let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let ends = (connected.unwrap(), accepted.unwrap().0);
    ends.0.set_zero_linger().unwrap();
    ends.1.set_zero_linger().unwrap();
    ends
}

async fn establish(
    listener: &TcpListener,
    (connector, acceptor): (&Connector, &Acceptor),
    keys: &KeyPool,
    mode: DelegationMode,
) {
    let (initiator, responder) = sockets(listener).await;
    let expect = Expect::Host("localhost".to_owned());
    let (connected, accepted) =
        tokio::join!(connector.connect_gsi(initiator, &expect, mode), acceptor.accept_gsi(responder, keys));
    black_box((connected.unwrap(), accepted.unwrap()));
}

fn connections(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let site = site();
    let keys = KeyPool::new(1, Duration::from_secs(3600));
    for (versions, version) in [(Versions::Tls12, "1.2"), (Versions::Tls13, "1.3")] {
        let connector = Connector::with_versions(&site.proxy, &site.trust, versions);
        let acceptor = Acceptor::with_versions(&site.host, &site.trust, versions);
        for (mode, what) in [(DelegationMode::None, "ping"), (DelegationMode::Limited, "delegation")] {
            criterion.bench_function(&format!("both ends, TLS {version}, {what}"), |bencher| {
                let ends = (&connector, &acceptor);
                bencher.iter(|| runtime.block_on(establish(&listener, ends, &keys, mode)));
            });
        }
    }
}

fn pieces(criterion: &mut Criterion) {
    let site = site();
    let presented = site.proxy.chain();
    criterion.bench_function("chain check, proxy and user", |bencher| {
        bencher.iter(|| chain::verify(black_box(presented), &site.trust, Timestamp::now()).unwrap());
    });
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let request = delegation::request(&key).unwrap();
    criterion.bench_function("delegation: request", |bencher| {
        bencher.iter(|| delegation::request(black_box(&key)).unwrap());
    });
    criterion.bench_function("delegation: sign", |bencher| {
        bencher.iter(|| delegation::sign(&site.proxy, black_box(&request), DelegationMode::Limited).unwrap());
    });
    let certificate = delegation::sign(&site.proxy, &request, DelegationMode::Limited).unwrap();
    criterion.bench_function("delegation: assemble", |bencher| {
        bencher.iter(|| delegation::assemble(certificate.clone(), black_box(&key), presented).unwrap());
    });
    criterion.bench_function("acceptor set-up", |bencher| {
        bencher.iter(|| Acceptor::with_versions(black_box(&site.host), &site.trust, Versions::Both));
    });
}

criterion_group!(benches, pieces, connections);
criterion_main!(benches);
