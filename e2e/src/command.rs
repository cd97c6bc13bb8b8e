//! Running a program with a deadline, its output captured.

use crate::stock;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    io::{Read, Write},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long any one command may take. The slowest thing stock does, cancelling and cleaning, takes ten seconds on a
/// machine with nothing else to do; the rest is for those that have.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A program that has ended.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The command line, for messages.
    pub line: String,
    /// Exit status; 128 + signal when a signal ended it, as a shell says.
    pub code: i32,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall time from start to end.
    pub took: Duration,
}

impl Finished {
    /// Asserts status, standard output and standard error, all three exactly.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: &str, stderr: &str) {
        let seen = (self.code, &*self.stdout, &*self.stderr);
        assert_eq!(seen, (code, stdout, stderr), "(status, stdout, stderr) of {}", self.line);
    }

    /// Asserts that it succeeded and said nothing on standard error; returns standard output.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert!(self.code == 0 && self.stderr.is_empty(), "{self:#?}");
        &self.stdout
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.code == 0, "{self:#?}");
        self
    }

    /// The one line of standard output that is a job contact.
    #[track_caller]
    pub fn job_contact(&self) -> String {
        let mut contacts = self.stdout.lines().filter(|line| line.starts_with("https://"));
        let (Some(contact), None) = (contacts.next(), contacts.next()) else {
            panic!("not exactly one job contact: {self:#?}");
        };
        contact.to_owned()
    }
}

/// What a program has printed so far; a thread fills it as it comes.
#[derive(Clone, Default)]
struct Output(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    closed: bool,
}

impl Output {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let filled = output.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).unwrap_or(0);
                let (printed, changed) = &*filled.0;
                let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                printed.bytes.extend(buffer.iter().take(read));
                printed.closed = read == 0;
                changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        output
    }

    /// Waits until `enough` says so, or the stream is closed, or the time is up; returns what there is as text.
    fn wait(&self, deadline: Instant, enough: impl Fn(&str) -> bool) -> String {
        let bytes = self.wait_bytes(deadline, |bytes| enough(&String::from_utf8_lossy(bytes)));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The same of bytes.
    fn wait_bytes(&self, deadline: Instant, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (printed, changed) = &*self.0;
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if printed.closed || left.is_zero() || enough(&printed.bytes) {
                return printed.bytes.clone();
            }
            printed = changed.wait_timeout(printed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A program that runs. Dropping it ends it.
pub struct Running {
    child: Child,
    line: String,
    start: Instant,
    stdout: Output,
    stderr: Output,
}

impl Running {
    /// Starts the command with its output captured; standard input is empty unless `input` is given.
    pub fn start(command: Command, input: Option<&[u8]>) -> Self {
        let mut running = Self::interactive(command);
        running.send(input.unwrap_or_default());
        running.child.stdin = None;
        running
    }

    /// Starts the command with its output captured and its standard input open.
    pub fn interactive(mut command: Command) -> Self {
        let line = format!("{command:?}");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        let stdout = child.stdout.take().map(Output::of).unwrap_or_default();
        let stderr = child.stderr.take().map(Output::of).unwrap_or_default();
        Self { child, line, start: Instant::now(), stdout, stderr }
    }

    /// Waits until standard output contains `text`; returns all of it so far.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let output = self.stdout.wait(self.start + DEADLINE, |printed| printed.contains(text));
        let errors = self.stderr.wait(Instant::now(), |_| true);
        assert!(output.contains(text), "{} did not print {text:?} but {output:?}, {errors:?}", self.line);
        output
    }

    /// Writes to standard input.
    pub fn send(&mut self, input: &[u8]) {
        if let Some(stdin) = &mut self.child.stdin {
            // A program that ends without reading is judged by its status, not by this.
            stdin.write_all(input).and_then(|()| stdin.flush()).ok();
        }
    }

    /// Writes to standard input, and waits until the program has read all of it: what is written next comes in its
    /// next read. Pipes have no event for being empty, so it is looked at again and again.
    pub fn send_apart(&mut self, input: &[u8]) {
        self.send(input);
        let Some(stdin) = &self.child.stdin else { return };
        while rustix::io::ioctl_fionread(stdin).is_ok_and(|left| left > 0) && self.start.elapsed() < DEADLINE
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until what standard output has brought is enough, or it is closed; returns all of it so far.
    #[track_caller]
    pub fn wait_for_bytes(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let deadline = self.start + DEADLINE;
        let output = self.stdout.wait_bytes(deadline, enough);
        let errors = self.stderr.wait(Instant::now(), |_| true);
        assert!(Instant::now() < deadline, "{} printed only {} bytes, {errors}", self.line, output.len());
        output
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Kills it, unless it has ended.
    pub fn kill(&self) {
        // Not waited for yet, so the number is still its own.
        kill_process(Pid::from_child(&self.child), Signal::KILL).ok();
    }

    /// A number of its `/proc/<pid>/status`, such as `VmRSS` (kB).
    #[track_caller]
    pub fn status_number(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no number {name} in {status}"))
    }

    /// Waits until standard error contains `text`.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str) {
        let printed = self.stderr.wait(Instant::now() + DEADLINE, |printed| printed.contains(text));
        assert!(printed.contains(text), "{} did not log {text:?} but {printed}", self.line);
    }

    /// Waits until standard error is as wanted.
    #[track_caller]
    pub fn wait_for_errors(&self, wanted: impl Fn(&str) -> bool) {
        let printed = self.stderr.wait(Instant::now() + DEADLINE, &wanted);
        assert!(wanted(&printed), "{} has logged {printed}", self.line);
    }

    /// What it has printed on standard error so far.
    pub fn errors_so_far(&self) -> String {
        self.stderr.wait(Instant::now(), |_| true)
    }

    /// Waits until it has ended; its output can still be asked for.
    #[track_caller]
    pub fn wait_for_end(&self) {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).expect("it is our child");
        assert!(wait_for_end(&process, Instant::now() + DEADLINE), "{} does not end", self.line);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        use std::os::unix::process::ExitStatusExt;

        let deadline = self.start + DEADLINE;
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).expect("it is our child");
        let ended = wait_for_end(&process, deadline);
        if !ended {
            self.child.kill().ok();
        }
        let status = self.child.wait().expect("it is our child");
        let took = self.start.elapsed();
        // The streams may be held open by what the program left behind; that must not hold us.
        let grace = Instant::now() + Duration::from_secs(2);
        let finished = Finished {
            line: self.line.clone(),
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: self.stdout.wait(grace, |_| false),
            stderr: self.stderr.wait(grace, |_| false),
            took,
        };
        assert!(ended, "did not end within {DEADLINE:?}: {finished:#?}");
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A command for a daemon, which ends with the test that has started it, even when the test is killed and drops nothing.
pub fn lifeline(program: &Path) -> Command {
    let Some(setpriv) = stock::find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Waits until the process has ended; false when the deadline comes first.
pub fn wait_for_end(process: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Starts the command and waits for its end.
#[track_caller]
pub fn run(command: Command) -> Finished {
    Running::start(command, None).finish()
}
