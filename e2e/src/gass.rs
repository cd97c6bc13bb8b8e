//! GASS servers of both makes, and a wire between client and server that breaks.

use crate::{
    Kind, User,
    command::{Running, lifeline},
    stock,
    user::gridiron,
};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// `globus-gass-server` of either make, for the user who starts it. Dropping it ends it.
pub struct GassServer {
    /// `https://host:port`
    pub url: String,
    /// The program.
    pub running: Running,
}

impl GassServer {
    /// Starts it with these options in the user's environment and folder.
    #[track_caller]
    pub fn start(user: &User, make: Kind, options: &[&str]) -> Self {
        let command = match make {
            Kind::Stock => lifeline(&stock::program("globus-gass-server")),
            Kind::Ours => {
                let mut command = lifeline(&gridiron());
                command.args(["classic", "globus-gass-server"]);
                command
            }
        };
        Self::run(user, command, options)
    }

    /// The same of any program that prints its URL first.
    #[track_caller]
    pub fn run(user: &User, mut command: Command, options: &[&str]) -> Self {
        command.args(options);
        let running = Running::start(user.at_home(command), None);
        let url = running.wait_for("\n").trim().to_owned();
        Self { url, running }
    }

    /// The URL of a file in the user's folder.
    pub fn file(&self, user: &User, name: &str) -> String {
        format!("{}{}", self.url, user.file(name).display())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("the URL of a server ends with its port")
    }
}

/// A wire to a server that breaks after so many bytes; each connection has its own number, and those beyond the list hold.
pub struct Wire {
    /// Where its near end is, on this machine.
    pub port: u16,
    carried: Arc<AtomicU64>,
}

impl Wire {
    /// To this port of this machine.
    pub fn to(port: u16, breaks: Vec<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let near = listener.local_addr().expect("it is bound").port();
        let carried = Arc::new(AtomicU64::new(0));
        let (mut breaks, count) = (breaks.into_iter(), Arc::clone(&carried));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", port))) else {
                    return;
                };
                let left = breaks.next().unwrap_or(u64::MAX);
                carry(client, server, left, &count);
            }
        });
        Self { port: near, carried }
    }

    /// Bytes carried in both directions.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

/// Carries bytes both ways until either end closes, or so many have passed in all.
fn carry(client: TcpStream, server: TcpStream, left: u64, count: &Arc<AtomicU64>) {
    let passed = Arc::new(AtomicU64::new(0));
    let pair = |stream: &TcpStream| stream.try_clone().expect("descriptors are free");
    for (from, to) in [(pair(&client), pair(&server)), (server, client)] {
        let (passed, count) = (Arc::clone(&passed), Arc::clone(count));
        thread::spawn(move || {
            let broken = copy(&from, &to, left, &passed, &count).is_err();
            // A wire that broke is dead in both directions; an end that was closed in one.
            let (mine, other) =
                if broken { (Shutdown::Both, Shutdown::Both) } else { (Shutdown::Read, Shutdown::Write) };
            from.shutdown(mine).ok();
            to.shutdown(other).ok();
        });
    }
}

fn copy(
    mut from: &TcpStream,
    mut to: &TcpStream,
    left: u64,
    passed: &AtomicU64,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        if passed.fetch_add(read as u64, Ordering::Relaxed) + read as u64 > left {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// An http server that gives the same answer, byte for byte, to everything; returns its port.
pub fn answering(answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut request: Vec<u8> = Vec::new();
            let mut buffer = [0_u8; 4096];
            while !request.windows(4).any(|part| part == b"\r\n\r\n") {
                match client.read(&mut buffer) {
                    Ok(read @ 1..) => request.extend(buffer.iter().take(read)),
                    Ok(0) | Err(_) => break,
                }
            }
            client.write_all(answer.as_bytes()).ok();
        }
    });
    port
}
