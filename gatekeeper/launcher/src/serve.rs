//! The daemon: one thread that waits for requests, for signals and for the ends of its children.
//!
//! What may die: a *job manager* is only buried here; the gatekeeper has another one started when it needs one. The
//! *gatekeeper*, where it was started here, is started again, later and later; it ends with us. When the *launcher*
//! dies, job managers and jobs notice nothing.

use std::{
    collections::HashMap,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    Doing, Failure,
    account::{self, Gatekeeper},
    folder, log,
    pace::{Backoff, Pace},
    protocol::{AccountName, Refusal, Reply},
    settings::{Role, Settings},
    socket::{Listener, Peer},
};

/// How a gatekeeper ends that cannot work with its site file (`gridiron --help`): starting it again would not help.
const MISCONFIGURED: u8 = 78;

/// Serves until SIGTERM or SIGINT, or until the gatekeeper it has started ends for good. Gives the exit status.
pub fn run(settings: Settings) -> Result<ExitCode, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "starting",
            "the launcher has to be root; without it, start gridiron serve",
        ));
    }
    close_fds::CloseFdsBuilder::new().cloexecfrom(3); // keeps what systemd hands over, for ourselves
    let account = account::gatekeeper(&settings)?;
    let gatekeeper = Gatekeeper { uid: account.uid, gid: account.gid };
    folder::state(&settings.state)?;
    let listener = match Listener::inherited()? {
        Some(listener) => listener,
        None => Listener::bind(&settings.socket, gatekeeper)?,
    };
    let mut daemon = Daemon {
        signals: signals()?,
        begun: Instant::now(),
        pace: Pace::default(),
        managers: HashMap::new(),
        front_door: FrontDoor::NotOurs,
        backoff: Backoff::default(),
        listener,
        gatekeeper,
        settings,
    };
    if daemon.settings.with_gatekeeper {
        daemon.open_front_door();
    }
    log(format_args!("listens at {}", daemon.settings.socket.display()));
    daemon.run()
}

/// The signals we act on, as a descriptor to wait on with the socket. They stay blocked; our children unblock them.
fn signals() -> Result<SignalFd, Failure> {
    let set = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT]);
    let doing = || "waiting for signals".to_owned();
    set.thread_block().doing(doing)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).doing(doing)
}

struct Daemon {
    settings: Settings,
    gatekeeper: Gatekeeper,
    listener: Listener,
    signals: SignalFd,
    begun: Instant,
    pace: Pace,
    /// Whose job manager a child is.
    managers: HashMap<Pid, AccountName>,
    front_door: FrontDoor,
    backoff: Backoff,
}

/// The gatekeeper, if it is for us to start it.
#[derive(Debug, Clone, Copy)]
enum FrontDoor {
    NotOurs,
    Open {
        pid: Pid,
        since: Instant,
    },
    /// It has died, and is started again then.
    Closed {
        until: Instant,
    },
    /// It has been told to stop.
    Closing {
        pid: Pid,
    },
}

impl Daemon {
    fn run(&mut self) -> Result<ExitCode, Failure> {
        loop {
            let timeout = self.timeout().and_then(|left| Timespec::try_from(left).ok());
            let mut waiting =
                [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            match poll(&mut waiting, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::new("waiting", error)),
            }
            let [asked, signalled] = waiting.map(|descriptor| !descriptor.revents().is_empty());
            if signalled && let Some(exit) = self.take_signals()? {
                return Ok(exit);
            }
            if asked {
                self.serve();
            }
            if let FrontDoor::Closed { until } = self.front_door
                && until <= Instant::now()
            {
                self.open_front_door();
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        match self.front_door {
            FrontDoor::Closed { until } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }

    /// One connection from beginning to end.
    fn serve(&mut self) {
        let peer = match self.listener.accept() {
            Ok(peer) => peer,
            Err(error) => return log(format_args!("accepting: {error}")),
        };
        let reply = self.decide(&peer).unwrap_or_else(|refusal| {
            log(format_args!("refused: {refusal}"));
            Reply::Refused(refusal)
        });
        peer.answer(reply);
    }

    fn decide(&mut self, peer: &Peer) -> Result<Reply, Refusal> {
        let request = peer.request(self.gatekeeper)?;
        let account = account::admit(&request.account, &self.settings, self.gatekeeper)?;
        thread::sleep(self.pace.wait(self.begun.elapsed()));
        let role = Role::Manager(account.name.clone(), self.settings.clone());
        let pid = start(&role, Some(request.output)).map_err(|failure| {
            log(format_args!("{failure}"));
            Refusal::Failed
        })?;
        log(format_args!("process {pid} becomes the job manager of {} (uid {})", account.name, account.uid));
        self.managers.insert(pid, account.name);
        Ok(Reply::Started { pid: pid.as_raw().unsigned_abs() })
    }

    fn open_front_door(&mut self) {
        let now = Instant::now();
        self.front_door = match start(&Role::Gatekeeper(self.settings.clone()), None) {
            Ok(pid) => {
                log(format_args!("process {pid} becomes the gatekeeper (uid {})", self.gatekeeper.uid));
                FrontDoor::Open { pid, since: now }
            }
            Err(failure) => {
                log(format_args!("{failure}"));
                FrontDoor::Closed { until: now + self.backoff.delay(Duration::ZERO) }
            }
        };
    }

    /// Some: it is time to go.
    fn take_signals(&mut self) -> Result<Option<ExitCode>, Failure> {
        while let Some(signal) = self.signals.read_signal().doing(|| "reading signals".to_owned())? {
            let exit = match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGCHLD)) => self.bury(),
                Ok(Ok(Signal::SIGHUP)) => self.hand_on(Signal::SIGHUP),
                _ => self.stop(),
            };
            if exit.is_some() {
                return Ok(exit);
            }
        }
        Ok(None)
    }

    /// The site file is the gatekeeper's to read again. What it says of us is on our command line, and stays.
    fn hand_on(&self, signal: Signal) -> Option<ExitCode> {
        if let FrontDoor::Open { pid, .. } = self.front_door
            && let Err(error) = kill(pid, signal)
        {
            log(format_args!("handing {signal} on to the gatekeeper: {error}"));
        }
        None
    }

    /// Stops the gatekeeper first, as it may still need us. A second signal does not wait for it.
    fn stop(&mut self) -> Option<ExitCode> {
        match self.front_door {
            FrontDoor::Open { pid, .. } => {
                log(format_args!("stopping the gatekeeper"));
                self.front_door = FrontDoor::Closing { pid };
                match kill(pid, Signal::SIGTERM) {
                    Ok(()) => None,
                    Err(_) => Some(ExitCode::SUCCESS),
                }
            }
            FrontDoor::NotOurs | FrontDoor::Closed { .. } | FrontDoor::Closing { .. } => {
                Some(ExitCode::SUCCESS)
            }
        }
    }

    /// Takes note of every child that has ended.
    fn bury(&mut self) -> Option<ExitCode> {
        loop {
            let (pid, code, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Some(code), format!("exit status {code}")),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, None, format!("killed by {signal}")),
                Ok(WaitStatus::StillAlive) | Err(_) => return None,
                Ok(_) => continue,
            };
            if let Some(account) = self.managers.remove(&pid) {
                log(format_args!("the job manager of {account}, process {pid}, has ended: {how}"));
            }
            match self.front_door {
                FrontDoor::Closing { pid: gatekeeper } if gatekeeper == pid => {
                    return Some(ExitCode::SUCCESS);
                }
                FrontDoor::Open { pid: gatekeeper, since } if gatekeeper == pid => {
                    log(format_args!("the gatekeeper has ended: {how}"));
                    // Stopped by somebody who meant the site; or of no use before a person has done something.
                    if let Some(code @ (0 | MISCONFIGURED)) = code.and_then(|code| u8::try_from(code).ok()) {
                        return Some(ExitCode::from(code));
                    }
                    let delay = self.backoff.delay(since.elapsed());
                    self.front_door = FrontDoor::Closed { until: Instant::now() + delay };
                }
                _ => {}
            }
        }
    }
}

/// Starts this program anew. What is open here is closed there, but for standard error, and standard output where it is
/// not `output`.
fn start(role: &Role, output: Option<OwnedFd>) -> Result<Pid, Failure> {
    let doing = || "starting this program anew".to_owned();
    let mut command = Command::new("/proc/self/exe");
    command.arg0("gridiron-launcher").args(role.arguments()).stdin(Stdio::null());
    if let Some(output) = output {
        command.stdout(output);
    }
    let child = command.spawn().doing(doing)?;
    // Waited for with all the others.
    Ok(Pid::from_raw(child.id().try_into().doing(doing)?))
}
