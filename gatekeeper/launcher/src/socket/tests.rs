//! Both sides of the socket. Binding it needs root, as its folder has to be root's.

use super::*;
use crate::client::ask;
use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg},
    pipe::{PipeFlags, pipe_with},
};
use std::{
    io::{IoSlice, Read},
    os::fd::BorrowedFd,
};

fn ourselves() -> Gatekeeper {
    Gatekeeper::ourselves()
}

/// A listener in a folder of its own, whoever runs the test.
fn listener() -> (tempfile::TempDir, Listener, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::of_ourselves(&path).unwrap();
    (folder, listener, path)
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// What the launcher makes of a packet with these descriptors.
fn sent(packet: &[u8], descriptors: &[BorrowedFd<'_>], gatekeeper: Gatekeeper) -> Result<Request, Refusal> {
    let (_folder, listener, path) = listener();
    let client = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&client, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(&client, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL).unwrap();
    listener.accept().unwrap().request(gatekeeper)
}

#[test]
fn a_request_and_its_answer() {
    let (_folder, listener, path) = listener();
    let launcher = std::thread::spawn(move || {
        let peer = listener.accept().unwrap();
        let Request { account, output } = peer.request(ourselves()).unwrap();
        rustix::io::write(&output, account.as_str().as_bytes()).unwrap();
        peer.answer(Reply::Started { pid: 7 });
    });
    let (read, write) = pipe();
    let alice = AccountName::new("alice").unwrap();
    let patience = Duration::from_secs(20);
    let reply = ask(&path, ourselves().uid, &alice, write.as_fd(), patience).unwrap();
    assert_eq!(reply, Reply::Started { pid: 7 });
    launcher.join().unwrap();
    drop(write);
    let mut said = String::new();
    fs::File::from(read).read_to_string(&mut said).unwrap();
    assert_eq!(said, "alice", "the pipe went over");
    // There is nobody any more; and before, it would not have been who it should be.
    let (_read, write) = pipe();
    let gone = ask(&path, ourselves().uid, &alice, write.as_fd(), patience).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_launcher_that_is_somebody_else_is_not_asked() {
    let (_folder, _listener, path) = listener();
    let (_read, write) = pipe();
    let alice = AccountName::new("alice").unwrap();
    let error = ask(&path, ourselves().uid + 1, &alice, write.as_fd(), Duration::from_secs(20)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn requests_that_are_none() {
    let (_read, write) = pipe();
    let file = fs::File::open("/dev/null").unwrap();
    let (pipe, file) = (write.as_fd(), file.as_fd());
    let refusal = |packet: &[u8], descriptors: &[BorrowedFd<'_>]| {
        sent(packet, descriptors, ourselves()).map(drop).unwrap_err()
    };
    assert_eq!(refusal(b"\x01alice", &[]), Refusal::Malformed);
    assert_eq!(refusal(b"\x01alice", &[file]), Refusal::Malformed, "no pipe");
    assert_eq!(refusal(b"\x01alice", &[pipe, pipe]), Refusal::Malformed);
    assert_eq!(refusal(b"\x01alice", &[pipe, pipe, pipe]), Refusal::Malformed);
    assert_eq!(refusal(b"\x02alice", &[pipe]), Refusal::Malformed);
    assert_eq!(refusal(b"\x01a/b", &[pipe]), Refusal::Name);
    assert_eq!(refusal(&[b'x'; 4096], &[pipe]), Refusal::Malformed, "too long");
    assert_eq!(sent(b"\x01alice", &[pipe], ourselves()).unwrap().account.as_str(), "alice");
}

#[test]
fn strangers_are_not_listened_to() {
    let (_read, write) = pipe();
    let other = Gatekeeper { uid: ourselves().uid + 1, ..ourselves() };
    assert_eq!(sent(b"\x01alice", &[write.as_fd()], other).map(drop).unwrap_err(), Refusal::Stranger);
}

#[test]
fn one_who_says_nothing_is_waited_for_briefly() {
    let (_folder, listener, path) = listener();
    let client = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&client, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let peer = listener.accept().unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(peer.request(ourselves()).map(drop).unwrap_err(), Refusal::Malformed);
    assert!(begun.elapsed() >= PATIENCE);
}

#[test]
fn only_the_gatekeeper_can_connect_to_what_root_binds() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give the socket away");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/socket");
    let gatekeeper = Gatekeeper { uid: 54_321, gid: 54_322 };
    let listener = Listener::bind(&path, gatekeeper).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (54_321, 54_322, 0o600));
    assert!(Listener::bind(&path, gatekeeper).unwrap_err().why.contains("another launcher"));
    drop(listener);
    drop(Listener::bind(&path, gatekeeper).unwrap()); // one that a dead launcher left
    fs::set_permissions(path.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert!(Listener::bind(&path, gatekeeper).unwrap_err().why.contains("nobody else may write"));
}
