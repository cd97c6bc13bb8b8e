//! All kinds of proxies, as the user's own and as what the job gets.

use e2e::{World, matrix};

matrix!(
    rfc_proxy,
    draft_proxy,
    legacy_proxy,
    limited_rfc_proxy_needs_a_service_that_takes_it,
    limited_draft_proxy_needs_a_service_that_takes_it,
    limited_legacy_proxy_needs_a_service_that_takes_it,
    proxy_of_a_proxy,
    independent_proxy_is_nobody,
    expired_proxy_is_refused,
    short_proxy_is_refused,
    job_gets_a_limited_proxy,
    job_gets_a_full_proxy_when_asked,
);

#[track_caller]
fn works(world: &World) {
    world.run("globus-job-run", [world.contact(), "/bin/echo", "hello"]).is(0, "hello\n", "");
}

#[track_caller]
fn fails(world: &World, service: &str, code: i32) {
    let out = world.run("globus-job-run", [service, "/bin/echo", "hello"]);
    assert_eq!((out.code, &*out.stdout), (code, ""), "{out:#?}");
    assert!(out.stderr.contains(&format!("(error code {code})")), "{out:#?}");
}

fn rfc_proxy(world: &World) {
    world.proxy_init(&world.pki.alice, &["-rfc"]);
    works(world);
}

fn draft_proxy(world: &World) {
    world.proxy_init(&world.pki.alice, &["-draft"]);
    works(world);
}

/// Carol, because Alice's certificate may not sign proxies of this kind (gsi.md §5.4 rule 3).
fn legacy_proxy(world: &World) {
    world.proxy_init(&world.pki.carol, &["-old"]);
    works(world);
}

#[track_caller]
fn limited(world: &World) {
    fails(world, world.contact(), 7);
    let taken = world.run("globus-job-run", [&*world.service("jobmanager-limited"), "/bin/echo", "hello"]);
    taken.is(0, "hello\n", "");
}

fn limited_rfc_proxy_needs_a_service_that_takes_it(world: &World) {
    world.proxy_init(&world.pki.alice, &["-rfc", "-limited"]);
    limited(world);
}

fn limited_draft_proxy_needs_a_service_that_takes_it(world: &World) {
    world.proxy_init(&world.pki.alice, &["-draft", "-limited"]);
    limited(world);
}

fn limited_legacy_proxy_needs_a_service_that_takes_it(world: &World) {
    world.proxy_init(&world.pki.carol, &["-old", "-limited"]);
    limited(world);
}

fn proxy_of_a_proxy(world: &World) {
    let first = e2e::pki::Identity {
        subject: world.pki.alice.subject.clone(),
        certificate: world.file("proxy-1"),
        key: world.file("proxy-1"),
    };
    world.rename("proxy", "proxy-1");
    world.proxy_init(&first, &[]);
    works(world);
}

/// Its identity is the proxy's own subject, which no gridmap knows.
fn independent_proxy_is_nobody(world: &World) {
    world.proxy_init(&world.pki.alice, &["-independent"]);
    fails(world, world.contact(), 7);
}

/// Both clients notice before they connect.
fn expired_proxy_is_refused(world: &World) {
    e2e::pki::expired_proxy(&world.pki.alice, &world.file("proxy"));
    let out = world.run("globusrun", ["-a", "-r", world.contact()]);
    assert_ne!(out.code, 0, "{out:#?}");
}

/// Less than ten minutes are no use to a job manager (gram.md §13).
fn short_proxy_is_refused(world: &World) {
    world.proxy_init(&world.pki.alice, &["-valid", "0:5"]);
    let out = world.run("globusrun", ["-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    assert_eq!(out.code, 131, "{out:#?}");
}

/// Prints the policy language of the proxy that the job got.
fn policy(world: &World, options: &[&str]) -> String {
    let rsl = "&(executable=/bin/sh)(arguments=-c 'openssl x509 -noout -text -in $X509_USER_PROXY | grep -A1 Language')";
    let mut arguments = options.to_vec();
    arguments.extend(["-s", "-r", world.contact(), rsl]);
    world.run("globusrun", arguments).ok().to_owned()
}

fn job_gets_a_limited_proxy(world: &World) {
    let policy = policy(world, &[]);
    assert!(policy.contains("1.3.6.1.4.1.3536.1.1.1.9"), "{policy}");
}

fn job_gets_a_full_proxy_when_asked(world: &World) {
    let policy = policy(world, &["-D"]);
    assert!(policy.contains("Inherit all"), "{policy}");
}
