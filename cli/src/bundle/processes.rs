//! The processes of one site, and their sockets, as `/proc` shows them.

use crate::processes::{daemons, descendants};
use rustix::process::Pid;
use serde::Serialize;
use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Process {
    /// Its id.
    pub pid: i32,
    /// What it is of the site: `serve`, `jobmanager`, `reaper`, or `job` for what a reaper has started.
    pub role: &'static str,
    /// Its name; arguments are left out, those of jobs are their owners'.
    pub name: String,
    /// Lines of its status: state, parent, uids, memory, threads.
    pub status: Vec<String>,
    /// Its resource limits, as the kernel shows them; of daemons only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub limits: String,
    /// Open files; None: not to be seen.
    pub open_files: Option<usize>,
    /// Its sockets; of daemons only.
    pub sockets: Vec<Socket>,
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Socket {
    /// `tcp` or `unix`.
    pub kind: &'static str,
    /// Address or path here.
    pub local: String,
    /// Address there.
    pub remote: Option<String>,
    /// `LISTEN`, `ESTABLISHED` …
    pub state: String,
}

/// Lines of `/proc/PID/status` worth having.
const STATUS: [&str; 6] = ["State:", "PPid:", "Uid:", "VmRSS:", "Threads:", "VmHWM:"];

/// The site's daemons and the jobs below its reapers.
pub(super) fn of_site(file: &Path) -> Result<Vec<Process>, crate::failure::Failure> {
    let mut found = Vec::new();
    for (role, pid) in daemons(file)? {
        found.push(look(role, pid, true));
        if role == "reaper" {
            found.extend(descendants(pid)?.into_iter().map(|job| look("job", job, false)));
        }
    }
    Ok(found)
}

fn look(role: &'static str, pid: Pid, is_daemon: bool) -> Process {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let status = read("status");
    let descriptors = fs::read_dir(folder.join("fd")).ok().map(|entries| {
        let targets = entries.flatten().map(|entry| fs::read_link(entry.path()).map(PathBuf::into_os_string));
        targets.flatten().collect::<Vec<OsString>>()
    });
    let sockets =
        if is_daemon { sockets(&folder, descriptors.as_deref().unwrap_or_default()) } else { Vec::new() };
    Process {
        pid: pid.as_raw_nonzero().get(),
        role,
        name: read("comm").trim_end().to_owned(),
        status: status
            .lines()
            .filter(|line| STATUS.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect(),
        limits: if is_daemon { read("limits") } else { String::new() },
        open_files: descriptors.as_ref().map(Vec::len),
        sockets,
    }
}

/// The sockets among these descriptors.
fn sockets(folder: &Path, descriptors: &[OsString]) -> Vec<Socket> {
    let inode =
        |target: &OsString| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    let inodes: Vec<u64> = descriptors.iter().filter_map(inode).collect();
    let table = |name: &str| fs::read_to_string(folder.join("net").join(name)).unwrap_or_default();
    let mut known: HashMap<u64, Socket> = HashMap::new();
    for name in ["tcp", "tcp6"] {
        known.extend(table(name).lines().filter_map(tcp));
    }
    known.extend(table("unix").lines().filter_map(unix));
    inodes.iter().filter_map(|inode| known.remove(inode)).collect()
}

/// A line of `/proc/net/tcp` or `tcp6`.
fn tcp(line: &str) -> Option<(u64, Socket)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let state = match u8::from_str_radix(state, 16).ok()? {
        1 => "ESTABLISHED",
        2 => "SYN_SENT",
        3 => "SYN_RECV",
        4 => "FIN_WAIT1",
        5 => "FIN_WAIT2",
        6 => "TIME_WAIT",
        7 => "CLOSE",
        8 => "CLOSE_WAIT",
        9 => "LAST_ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "UNKNOWN",
    };
    let remote = address(remote)?;
    let socket = Socket {
        kind: "tcp",
        local: address(local)?.to_string(),
        remote: (remote.port() != 0).then(|| remote.to_string()),
        state: state.to_owned(),
    };
    Some((inode.parse().ok()?, socket))
}

/// `0100007F:0016`: words of the machine's own byte order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut words = Vec::new();
    for start in (0..ip.len()).step_by(8) {
        words.extend(u32::from_str_radix(ip.get(start..start + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match words.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(words).ok()?).to_canonical(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).to_canonical(),
        _ => return None,
    };
    Some((ip, port).into())
}

/// A line of `/proc/net/unix`.
fn unix(line: &str) -> Option<(u64, Socket)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, flags, _, state, inode, path @ ..] = fields.as_slice() else { return None };
    let listens = u32::from_str_radix(flags, 16).ok()? & 0x1_0000 != 0;
    let state = match *state {
        _ if listens => "LISTEN",
        "01" => "UNCONNECTED",
        "02" => "CONNECTING",
        "03" => "CONNECTED",
        _ => "UNKNOWN",
    };
    let socket = Socket { kind: "unix", local: path.join(" "), remote: None, state: state.to_owned() };
    Some((inode.parse().ok()?, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_tables() {
        let line = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4242 1 0 100";
        let (inode, socket) = tcp(line).unwrap();
        assert_eq!(
            (inode, socket.local.as_str(), socket.remote, socket.state.as_str()),
            (4242, "127.0.0.1:8080", None, "LISTEN")
        );
        let line = "   0: 0000000000000000FFFF00000100007F:0847 0000000000000000FFFF00000200007F:C350 01 0:0 0:0 0 0 0 77 1";
        let (_, socket) = tcp(line).unwrap();
        assert_eq!(
            (socket.local.as_str(), socket.remote.as_deref()),
            ("127.0.0.1:2119", Some("127.0.0.2:50000"))
        );
        let line = "0000000000000000: 00000002 00000000 00010000 0001 01 99 /run/gridiron/launcher.sock";
        let (inode, socket) = unix(line).unwrap();
        assert_eq!(
            (inode, socket.local.as_str(), socket.state.as_str()),
            (99, "/run/gridiron/launcher.sock", "LISTEN")
        );
        for header in [
            "  sl  local_address rem_address   st tx_queue",
            "Num RefCount Protocol Flags Type St Inode Path",
            "",
        ] {
            assert!(tcp(header).is_none() && unix(header).is_none());
        }
        assert_eq!(address("zz:1"), None);
    }

    #[test]
    fn our_own_sockets_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = look("serve", rustix::process::getpid(), true);
        let address = listener.local_addr().unwrap().to_string();
        assert!(
            here.sockets.iter().any(|socket| socket.local == address && socket.state == "LISTEN"),
            "{here:?}"
        );
        assert!(here.open_files.is_some() && here.limits.contains("Max open files"));
    }
}
