//! A plain http server for a test: keeps its files in memory, remembers in which order it was asked, and makes whoever asks wait, or
//! sends them away, when the test says so.

use e2e::command::DEADLINE;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

/// Longest body taken, in bytes: more than any of these tests sends.
const MAX_BODY: u64 = 16 << 20;

/// The server. Its threads end with the test.
#[derive(Clone)]
pub(crate) struct Web {
    base: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// `GET /x`, in the order in which they came.
    requests: Vec<String>,
    /// Requests that wait for an answer.
    held: BTreeSet<String>,
    /// Refusals still to be given, by request.
    refusals: BTreeMap<String, (u16, usize)>,
}

impl Web {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("localhost", 0)).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let web = Self { base: format!("http://localhost:{port}"), state: Arc::default() };
        let served = web.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let web = served.clone();
                thread::spawn(move || web.serve(&stream));
            }
        });
        web
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Makes a file; gives its URL.
    pub(crate) fn put(&self, path: &str, content: &str) -> String {
        self.lock().files.insert(path.to_owned(), content.into());
        self.url(path)
    }

    /// The content of a file, as text.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        self.lock().files.get(path).map(|content| String::from_utf8_lossy(content).into_owned())
    }

    /// What it was asked, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// From now on nobody gets an answer to this request, until it is let go.
    pub(crate) fn hold(&self, request: &str) {
        self.lock().held.insert(request.to_owned());
    }

    /// Whoever waits for an answer to this request gets it.
    pub(crate) fn let_go(&self, request: &str) {
        self.lock().held.remove(request);
        self.state.1.notify_all();
    }

    /// The next so many such requests are answered with this status.
    pub(crate) fn refuse(&self, request: &str, status: u16, times: usize) {
        self.lock().refusals.insert(request.to_owned(), (status, times));
    }

    /// Waits until it has been asked this more than so many times.
    #[track_caller]
    pub(crate) fn wait_for(&self, request: &str, times: usize) {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.lock();
        while state.requests.iter().filter(|seen| *seen == request).count() <= times {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never asked {request}, but {:?}", state.requests);
            state = self.state.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request; whoever goes away in the middle of it has asked all the same.
    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (method, rest) = line.split_once(' ')?;
        let path = rest.split_once(' ')?.0.to_owned();
        let mut chunked = false;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            chunked |= header.to_ascii_lowercase().starts_with("transfer-encoding: chunked");
        }
        let body = if chunked { read_chunks(&mut reader)? } else { Vec::new() };
        let request = format!("{method} {path}");
        let (status, content) = self.answer(&request, method, &path, body);
        let head = format!(
            "HTTP/1.1 {status} As told\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&content).ok()
    }

    fn answer(&self, request: &str, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let mut state = self.lock();
        state.requests.push(request.to_owned());
        self.state.1.notify_all();
        while state.held.contains(request) {
            state = self.state.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some((status, left)) = state.refusals.get_mut(request)
            && *left > 0
        {
            *left -= 1;
            return (*status, Vec::new());
        }
        match (method, state.files.get(path)) {
            ("GET", Some(content)) => (200, content.clone()),
            ("GET", None) => (404, Vec::new()),
            _ => {
                state.files.insert(path.to_owned(), body);
                (200, Vec::new())
            }
        }
    }
}

fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = u64::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = Vec::new();
        reader.by_ref().take(size.min(MAX_BODY)).read_to_end(&mut chunk).ok()?;
        let mut end = String::new();
        reader.read_line(&mut end).ok()?;
        body.extend(chunk);
        if size == 0 {
            return Some(body);
        }
    }
}
