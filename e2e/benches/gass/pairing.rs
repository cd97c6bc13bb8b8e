//! A server and a client, and what one task costs each of them.

use crate::{
    Sizes,
    usage::{self, Watched},
};
use e2e::{Kind, Running, User, gass::GassServer};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::Write,
    time::Instant,
};

/// Bytes of a small file.
const SMALL: usize = 4096;
const MIB: usize = 1024 * 1024;

/// A running server and whoever uses it.
pub(crate) struct Pairing {
    server: GassServer,
    makes: (Kind, Kind),
    user: User,
    sizes: Sizes,
}

/// What one task took.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Files copied.
    pub(crate) files: usize,
    pub(crate) seconds: f64,
    /// User and system time.
    pub(crate) server_cpu_seconds: f64,
    /// The same of all clients.
    pub(crate) client_cpu_seconds: f64,
    pub(crate) server_peak_mib: f64,
    /// Of one client; None of many.
    pub(crate) client_peak_mib: Option<f64>,
}

/// All tasks of a pairing.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) server: &'static str,
    pub(crate) client: &'static str,
    pub(crate) large_get: Cost,
    pub(crate) large_put: Cost,
    pub(crate) small_get: Cost,
    pub(crate) clients_get: Cost,
}

impl Pairing {
    pub(crate) fn new(server: Kind, client: Kind, sizes: Sizes) -> Self {
        let user = User::new(client).expect("its programs are installed");
        user.proxy_init(&user.pki.alice, &[]);
        let block: Vec<u8> = (0..MIB).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (name, mib) in [("large", sizes.large_mib), ("medium", sizes.client_mib)] {
            let mut file = File::create(user.file(name)).expect("writable");
            (0..mib).for_each(|_| file.write_all(&block).expect("there is room"));
        }
        for folder in ["small", "to"] {
            fs::create_dir(user.file(folder)).expect("writable");
        }
        let small = if client == Kind::Stock { sizes.small_at_stock } else { sizes.small };
        for number in 0..small {
            let content = block.get(..SMALL).unwrap_or_default();
            fs::write(user.file(&format!("small/{number}")), content).expect("writable");
        }
        let server_process = GassServer::start(&user, server, &["-r", "-w"]);
        Self { server: server_process, makes: (server, client), user, sizes }
    }

    pub(crate) fn measure(&self) -> Measured {
        let name = |make| if make == Kind::Stock { "stock" } else { "ours" };
        let local = |name: &str| format!("file://{}", self.user.file(name).display());
        let remote = |name: &str| self.server.file(&self.user, name);
        let pair = |from: String, to: String| move || vec![vec![from.clone(), to.clone()]];
        // Once for nothing: the first file of a fresh file system, the first pages of a program.
        self.cost(1, pair(remote("medium"), local("to/warm")));
        let large_get = self.cost(1, pair(remote("large"), local("to/large")));
        self.assert_same("large", "to/large");
        fs::remove_file(self.user.file("to/large")).expect("just made");
        let large_put = self.cost(1, pair(local("large"), remote("to/large")));
        self.assert_same("large", "to/large");
        fs::remove_file(self.user.file("to/large")).expect("just made");
        let small = if self.makes.1 == Kind::Stock { self.sizes.small_at_stock } else { self.sizes.small };
        let lines =
            (0..small).map(|n| format!("{} {}\n", remote(&format!("small/{n}")), local(&format!("to/{n}"))));
        let list = self.user.write("list", &lines.collect::<String>());
        let small_get = self.cost(small, || vec![vec!["-f".to_owned(), list.clone()]]);
        self.assert_same("small/0", &format!("to/{}", small - 1));
        let clients_get = self.cost(self.sizes.clients, || {
            (0..self.sizes.clients).map(|n| vec![remote("medium"), local(&format!("to/medium{n}"))]).collect()
        });
        self.assert_same("medium", "to/medium0");
        let (server, client) = (name(self.makes.0), name(self.makes.1));
        Measured { server, client, large_get, large_put, small_get, clients_get }
    }

    /// Runs a client for each of these command lines, all at once.
    fn cost(&self, files: usize, lines: impl Fn() -> Vec<Vec<String>>) -> Cost {
        let server = self.server.running.id();
        usage::forget_peak(server);
        let before = usage::processor_seconds(&server.to_string(), false);
        let children = usage::processor_seconds("self", true);
        let lines = lines();
        let start = Instant::now();
        let clients: Vec<Running> = lines
            .iter()
            .map(|line| {
                let mut command = match self.makes.1 {
                    Kind::Stock => self.user.command("globus-url-copy"),
                    Kind::Ours => {
                        let mut command = self.user.gridiron();
                        command.arg("cp");
                        command
                    }
                };
                command.args(line);
                Running::start(command, None)
            })
            .collect();
        let watched = clients.first().filter(|_| lines.len() == 1).map(|client| Watched::new(client.id()));
        clients.iter().for_each(Running::wait_for_end);
        let seconds = start.elapsed().as_secs_f64();
        for client in clients {
            client.finish().succeeded();
        }
        Cost {
            files,
            seconds,
            server_cpu_seconds: usage::processor_seconds(&server.to_string(), false) - before,
            client_cpu_seconds: usage::processor_seconds("self", true) - children,
            server_peak_mib: usage::peak_mib(server).expect("the server runs"),
            client_peak_mib: watched.map(|watched| watched.mib()),
        }
    }

    /// What is not right need not be fast.
    fn assert_same(&self, one: &str, other: &str) {
        let size =
            |name: &str| fs::metadata(self.user.file(name)).map(|file| file.len()).expect("it is there");
        assert_eq!(size(one), size(other), "{one} and {other}");
    }
}
