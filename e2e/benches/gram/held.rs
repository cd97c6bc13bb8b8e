//! A site held by a process of its own, so that what the site costs can be told from what its clients cost.
//!
//! The holder is this program again, started with [`HOLD`]. It puts itself and so the site into a control group where it may,
//! and it is to the site what init is to a machine: orphans become its children, and it waits for them. It ends the site
//! when its standard input ends.

use crate::usage::{self, Group, Memory};
use e2e::{Finished, Kind, Running, World, world::Setup};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    env,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// First argument of the holder; the second is [`STOCK`] or [`OURS`], the third the control group's folder, if there is one.
pub(crate) const HOLD: &str = "--hold";
const STOCK: &str = "stock";
const OURS: &str = "ours";

/// What the holder prints when the site is up: what a stock user of it needs.
#[derive(Serialize, Deserialize)]
struct Greeting {
    contact: String,
    environment: HashMap<String, String>,
    folder: PathBuf,
}

/// A site, its holder, and the environment of its user.
pub(crate) struct Held {
    holder: Child,
    greeting: Greeting,
    // Last, so that it is empty when it is removed.
    group: Option<Group>,
}

impl Held {
    /// Starts a site of this make.
    pub(crate) fn start(server: Kind) -> Self {
        let name = if server == Kind::Stock { STOCK } else { OURS };
        let group = Group::make(name)
            .inspect_err(|error| {
                eprintln!("processor time is not measured, as no control group can be made: {error}");
            })
            .ok();
        let mut holder = Command::new(env::current_exe().expect("this program has a path"))
            .args([HOLD, name])
            .args(group.as_ref().map(Group::folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run");
        let mut line = String::new();
        let output = holder.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line of text");
        let greeting = serde_json::from_str(&line).expect("the holder greets in JSON");
        Self { holder, greeting, group }
    }

    /// `host:port`.
    pub(crate) fn contact(&self) -> &str {
        &self.greeting.contact
    }

    /// Runs a program as the site's user does, to a good end.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.greeting.environment);
        command.current_dir(&self.greeting.folder);
        Running::start(command, None).finish().succeeded()
    }

    /// Milliseconds of user and system time that all processes of the site, dead or alive, have used up to now.
    pub(crate) fn processor_ms(&self) -> Option<f64> {
        self.group.as_ref().and_then(Group::processor_ms)
    }

    /// Memory of the site's processes, those of jobs that run the program `job` left out.
    pub(crate) fn memory_without(&self, job: &str) -> Memory {
        usage::memory_without(self.holder.id(), job)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().ok();
    }
}

/// The holder. Returns when the site has ended.
pub(crate) fn hold(server: &str, group: Option<&Path>) {
    if let Some(group) = group {
        usage::join(group).expect("the group has just been made for us");
    }
    let server = if server == STOCK { Kind::Stock } else { Kind::Ours };
    set_child_subreaper(Some(getpid())).expect("Linux has subreapers");
    let world = World::new(Kind::Stock, server, &Setup::default()).expect("what it needs is installed");
    // Only now, as it waits for whatever ends.
    thread::spawn(|| while wait(WaitOptions::empty()).is_ok() {});
    let user = world.at_home(Command::new("true"));
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let environment = user.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect();
    let greeting = Greeting {
        contact: world.contact().to_owned(),
        environment,
        folder: user.get_current_dir().unwrap_or(Path::new("/")).to_owned(),
    };
    println!("{}", serde_json::to_string(&greeting).expect("text is JSON"));
    io::stdin().read_to_end(&mut Vec::new()).ok();
    drop(world);
}
