//! The gatekeeper's side: ask for a job manager.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::BorrowedFd,
    path::Path,
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recv, sendmsg, socket_with,
    sockopt::{Timeout, set_socket_timeout, socket_peercred},
};

use crate::protocol::{AccountName, REPLY, Reply, decode_reply, encode_request};

/// Asks the launcher at `socket`, which must be held by the account `owner` (root: 0), for a job manager whose standard
/// output is `output`, the write end of a pipe. Blocks for at most about three times `patience`.
///
/// `NotFound` and `ConnectionRefused`: no launcher runs. `PermissionDenied`: we are not whom it answers, or it is not
/// who it should be.
pub fn ask(
    socket: &Path,
    owner: u32,
    account: &AccountName,
    output: BorrowedFd<'_>,
    patience: Duration,
) -> io::Result<Reply> {
    let address = SocketAddrUnix::new(socket)?;
    let connection = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&connection, Timeout::Send, Some(patience))?;
    set_socket_timeout(&connection, Timeout::Recv, Some(patience))?;
    connect(&connection, &address)?;
    let holder = socket_peercred(&connection)?.uid.as_raw();
    if holder != owner {
        let what = format!("the socket is held by uid {holder}, not by {owner}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }

    let descriptors = [output];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let request = encode_request(account);
    sendmsg(&connection, &[IoSlice::new(&request)], &mut control, SendFlags::NOSIGNAL)?;

    // One more than fits, so that a packet that is too long is seen to be.
    let mut packet = [0; REPLY + 1];
    let (length, _) = recv(&connection, &mut packet, RecvFlags::empty())?;
    let reply = packet.get(..length).and_then(decode_reply);
    reply.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not a launcher's"))
}
