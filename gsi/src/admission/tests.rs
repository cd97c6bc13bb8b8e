use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn admission(strangers: usize, guests: usize, per_address: usize, per_identity: usize) -> Admission {
    Admission::new(Bounds { strangers, guests, per_address, per_identity })
}

fn must_go(stranger: &mut Stranger) -> bool {
    stranger.stay.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

fn is_empty(admission: &Admission) -> bool {
    let state = admission.lock();
    state.strangers.is_empty()
        && state.guests == 0
        && state.addresses.is_empty()
        && state.identities.is_empty()
}

#[test]
fn who_floods_pushes_out_himself() {
    let door = admission(4, 9, 9, 9);
    let quiet = || door.enter(address("10.0.0.1")).unwrap();
    let mut good = quiet();
    let mut bad: Vec<_> = (0..3).map(|_| door.enter(address("10.0.0.2")).unwrap()).collect();
    let mut newest = door.enter(address("10.0.0.2")).unwrap();
    assert!(must_go(&mut bad[0]), "the longest waiting of the address with most");
    assert!(!must_go(&mut good) && !must_go(&mut bad[1]) && !must_go(&mut newest));
    let mut other = door.enter(address("10.0.0.3")).unwrap();
    assert!(must_go(&mut bad[1]) && !must_go(&mut other) && !must_go(&mut good));
    assert_eq!(bad.remove(0).welcome(&Subject::new("/CN=x")).unwrap_err(), Crowded::PushedOut);
    assert!(good.welcome(&Subject::new("/CN=x")).is_ok());
    drop((bad, newest, other));
    assert!(is_empty(&door));
}

#[test]
fn one_address_has_its_share() {
    let door = admission(9, 9, 2, 9);
    let someone = || door.enter(address("2001:db8:1:2:3::4"));
    let mut first = someone().unwrap();
    let second = door.enter(address("2001:db8:1:2::9")).unwrap();
    let third = someone().unwrap();
    assert!(must_go(&mut first), "the whole network is one holder");
    let guests = [second, third].map(|stranger| stranger.welcome(&Subject::new("/CN=x")).unwrap());
    assert_eq!(someone().unwrap_err(), Crowded::Address(2));
    assert!(door.enter(address("2001:db8:1:3::9")).is_ok());
    assert!(door.enter(address("10.0.0.1")).is_ok() && door.enter(address("::ffff:10.0.0.1")).is_ok());
    drop((guests, first));
    assert!(someone().is_ok());
    assert!(is_empty(&door));
}

#[test]
fn guests_are_never_pushed_out_and_share_their_places() {
    let door = admission(9, 3, 9, 2);
    let enter = |name: &str| door.enter(address("10.0.0.1")).unwrap().welcome(&Subject::new(name));
    let alice = [enter("/CN=Alice").unwrap(), enter("/cn=alice").unwrap()];
    assert_eq!(enter("/CN=Alice").unwrap_err(), Crowded::Identity(2));
    let bob = enter("/CN=Bob").unwrap();
    assert_eq!(enter("/CN=Carol").unwrap_err(), Crowded::Full(3));
    drop(alice);
    let carol = enter("/CN=Carol").unwrap();
    drop((bob, carol));
    assert!(is_empty(&door));
}

#[test]
fn bounds_may_change_and_room_may_be_made() {
    let door = admission(2, 1, 9, 1);
    let mut first = door.enter(address("10.0.0.1")).unwrap();
    door.set_bounds(Bounds { strangers: 1, guests: 1, per_address: 9, per_identity: 1 });
    assert!(!must_go(&mut first));
    let mut second = door.enter(address("10.0.0.2")).unwrap();
    assert!(must_go(&mut first));
    assert!(door.make_room() && must_go(&mut second) && !door.make_room());
}

#[tokio::test]
async fn being_pushed_out_is_heard_of() {
    let door = admission(1, 1, 9, 1);
    let mut first = door.enter(address("10.0.0.1")).unwrap();
    let second = door.enter(address("10.0.0.2")).unwrap();
    first.pushed_out().await;
    drop(second);
}
