//! The launcher's side of the socket: making it, or having it from systemd, and taking one request from a connection.

use std::{
    fs::{self, DirBuilder},
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::Path,
    time::Duration,
};

use rustix::{
    fs::{FileType, Mode, chown, fstat},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
        SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, recvmsg, send,
        socket_with,
        sockopt::{Timeout, set_socket_timeout, socket_peercred},
    },
    process::{Gid, Uid, umask},
};

use crate::{
    Doing, Failure,
    account::Gatekeeper,
    protocol::{AccountName, MAX_REQUEST, Refusal, Reply, decode_request, encode_reply},
};

/// Connections that may wait for their turn.
const BACKLOG: i32 = 64;
/// How long a peer may take to say what it wants, and to take its answer. The gatekeeper does both at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket to be asked at.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

/// Somebody who has connected.
#[derive(Debug)]
pub struct Peer {
    connection: OwnedFd,
}

/// What the gatekeeper wants.
#[derive(Debug)]
pub struct Request {
    /// A job manager for this account…
    pub account: AccountName,
    /// …with this as its standard output: the write end of a pipe.
    pub output: OwnedFd,
}

impl Listener {
    /// The socket that systemd made for us (which then says whose it is), if it did.
    pub fn inherited() -> Result<Option<Self>, Failure> {
        let (family, kind) =
            (AddressFamily::UNIX.as_raw().into(), SocketType::SEQPACKET.as_raw().cast_signed());
        let socket =
            listenfd::ListenFd::from_env().take_custom(0, family, kind, "SOCK_SEQPACKET Unix socket");
        Ok(socket.doing(|| "taking the socket over from systemd".to_owned())?.map(|socket| Self { socket }))
    }

    /// Makes the socket; only the gatekeeper can connect to it. One that a dead launcher left behind is replaced.
    pub fn bind(path: &Path, gatekeeper: Gatekeeper) -> Result<Self, Failure> {
        let doing = || format!("the socket {}", path.display());
        prepare_folder(path.parent().unwrap_or(Path::new("/"))).doing(doing)?;
        let address = SocketAddrUnix::new(path).doing(doing)?;
        let new = || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        if connect(new().doing(doing)?, &address).is_ok() {
            return Err(Failure::new(doing(), "another launcher answers there"));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::new(doing(), error));
            }
            _ => {}
        }
        let socket = new().doing(doing)?;
        let before = umask(Mode::from_raw_mode(0o177)); // nobody shall ever meet it with wider permissions
        let bound = bind(&socket, &address);
        umask(before);
        bound.doing(doing)?;
        chown(path, Some(Uid::from_raw(gatekeeper.uid)), Some(Gid::from_raw(gatekeeper.gid))).doing(doing)?;
        listen(&socket, BACKLOG).doing(doing)?;
        Ok(Self { socket })
    }

    /// Makes a socket for the account we run as, wherever that is: for tests of the asking side.
    pub fn of_ourselves(path: &Path) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok(Self { socket })
    }

    /// Who has connected; waits for somebody.
    pub fn accept(&self) -> io::Result<Peer> {
        let connection = accept_with(&self.socket, SocketFlags::CLOEXEC)?;
        set_socket_timeout(&connection, Timeout::Recv, Some(PATIENCE))?;
        set_socket_timeout(&connection, Timeout::Send, Some(PATIENCE))?;
        Ok(Peer { connection })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The folder of the socket: made if need be (`/run` is empty after every start of the machine), and only root's to
/// write, so that nobody can put another socket in its place.
fn prepare_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::symlink_metadata(folder)?;
    if metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let what = format!("{} must be a folder of root's that nobody else may write in", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

impl Peer {
    /// The peer's request, if it is the gatekeeper and asks for something that could be.
    pub fn request(&self, gatekeeper: Gatekeeper) -> Result<Request, Refusal> {
        let peer = socket_peercred(&self.connection).map_err(|_| Refusal::Stranger)?;
        if peer.uid.as_raw() != gatekeeper.uid {
            return Err(Refusal::Stranger);
        }
        // One more than fits, so that a packet that is too long is seen to be.
        let mut packet = [0; MAX_REQUEST + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let buffers = &mut [IoSliceMut::new(&mut packet)];
        let received = recvmsg(&self.connection, buffers, &mut control, RecvFlags::CMSG_CLOEXEC)
            .map_err(|_| Refusal::Malformed)?;
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        let [output] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| Refusal::Malformed)?;
        let is_pipe =
            fstat(&output).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if !is_pipe || received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Refusal::Malformed);
        }
        let account = decode_request(packet.get(..received.bytes).unwrap_or_default())?;
        Ok(Request { account, output })
    }

    /// Answers. A peer that has gone, or does not listen, has itself to blame.
    pub fn answer(self, reply: Reply) {
        let _ = send(&self.connection, &encode_reply(reply), SendFlags::NOSIGNAL);
    }
}

#[cfg(test)]
mod tests;
