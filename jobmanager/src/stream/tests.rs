//! Carriers with real connections: receivers that keep, refuse, hang, die and return. The receivers are a few lines of HTTP each,
//! so that every byte is accounted for.

use super::*;
use crate::{environment::Places, job::tests::sample};
use position::{Position, Standing};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// A job with one stream, and what its output goes through.
struct Scene {
    _folder: tempfile::TempDir,
    streaming: Streaming,
    job: Job,
    written: Places,
    files: JobFiles,
}

const WAY: Way = Way { stream: Stream::Stdout, number: 0 };

impl Scene {
    fn new(urls: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut job = sample();
        job.spec.stderr = Output::File("/dev/null".into());
        job.spec.stdout =
            Output::Deliver(urls.iter().map(|url| Destination::Url((*url).to_owned())).collect());
        let stall = Duration::from_secs(1);
        let site = Arc::new(Site { output_stall: stall, ..crate::site_for_tests(folder.path()) });
        let files = site.job_files(job.key);
        std::fs::create_dir_all(files.directory()).unwrap();
        let written = Places::of(&job, &files);
        let clients = Box::new(|_| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async { Ok(gass::Client::insecure()) })
        });
        let streaming = Streaming::with(site, clients);
        Self { _folder: folder, streaming, job, written, files }
    }

    fn print(&self, text: impl AsRef<[u8]>) {
        let mut options = std::fs::File::options();
        let mut file = options.append(true).create(true).open(&self.written.stdout).unwrap();
        std::io::Write::write_all(&mut file, text.as_ref()).unwrap();
    }

    fn start(&self) {
        self.streaming.start(&self.job, &self.files);
    }

    async fn finish(&self) -> Result<u64, CarryError> {
        let finishing = self.streaming.finish(&self.job, &self.written.stdout, WAY);
        tokio::time::timeout(Duration::from_secs(30), finishing).await.unwrap().unwrap()
    }

    /// What a manager that was killed leaves: the record.
    fn record(&self, position: Position) {
        let Output::Deliver(to) = &self.job.spec.stdout else { panic!() };
        let Destination::Url(url) = &to[0] else { panic!() };
        std::fs::write(self.record_path(), position.encode(url)).unwrap();
    }

    fn record_path(&self) -> PathBuf {
        self.files.position("stdout", 0)
    }
}

/// How a receiver behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Takes,
    RefusesAppends,
    RefusesAll,
    /// Accepts connections and does nothing.
    Hangs,
    /// Is of our make, and forgets the first append.
    Loses,
    /// Closes after the first chunk of its first append.
    BreaksOnce,
}

/// A receiver of one file or sink, and what it has got.
struct Receiver {
    port: u16,
    content: Arc<Mutex<Vec<u8>>>,
    puts: Arc<AtomicUsize>,
    appends: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, manner)
    }

    fn on(listener: TcpListener, manner: Manner) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (content, puts, appends) = (Arc::default(), Arc::default(), Arc::default());
        let shared = (Arc::clone(&content), Arc::clone(&puts), Arc::clone(&appends));
        let task = tokio::spawn(async move {
            let mut hanging = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if manner == Manner::Hangs {
                    hanging.push(stream);
                    continue;
                }
                let (content, puts, appends) =
                    (Arc::clone(&shared.0), Arc::clone(&shared.1), Arc::clone(&shared.2));
                tokio::spawn(async move { receive(stream, manner, &content, &puts, &appends).await });
            }
        });
        Self { port, content, puts, appends, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.lock().unwrap()).into_owned()
    }

    fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }

    fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }

    /// Waits until it has got this.
    async fn until(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.text() != text {
            assert!(Instant::now() < deadline, "it has got {:?}, not {text:?}", self.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(
    stream: TcpStream,
    manner: Manner,
    content: &Mutex<Vec<u8>>,
    puts: &AtomicUsize,
    appends: &AtomicUsize,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    if head.starts_with("HEAD ") {
        let length = content.lock().unwrap().len();
        let reply = format!("HTTP/1.1 200 Ok\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(reply.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    let is_append = head.starts_with("POST /globus-bins/GASSappend?");
    let earlier = if is_append { appends } else { puts }.fetch_add(1, Ordering::SeqCst);
    if manner == Manner::RefusesAll || (manner == Manner::RefusesAppends && is_append) {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.ok()?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok()?;
        return Some(());
    }
    if !is_append {
        content.lock().unwrap().clear();
    }
    loop {
        let mut size = String::new();
        if stream.read_line(&mut size).await.ok()? == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if manner != Manner::Loses || !is_append || earlier > 0 {
            content.lock().unwrap().extend_from_slice(&chunk[..size]);
        }
        if size == 0 {
            break;
        }
        if manner == Manner::BreaksOnce && is_append && earlier == 0 {
            return None;
        }
    }
    let server = if manner == Manner::Loses { "Gridiron-GASS/0" } else { "Globus-GASS-HTTP/1.1.0" };
    stream.write_all(format!("HTTP/1.0 200 Ok\r\nServer: {server}\r\n\r\n").as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

#[tokio::test]
async fn a_file_grows_while_the_job_runs_and_is_whole_in_the_end() {
    let receiver = Receiver::start(Manner::Takes).await;
    let scene = Scene::new(&[&receiver.url("/out")]);
    scene.start();
    scene.print("one\n");
    receiver.until("one\n").await;
    scene.print("two\n");
    receiver.until("one\ntwo\n").await;
    scene.print("three\n");
    assert_eq!(scene.finish().await.unwrap(), 14);
    assert_eq!(receiver.text(), "one\ntwo\nthree\n");
    assert_eq!(receiver.puts(), 1, "only the first part replaced what was there");
}

#[tokio::test]
async fn a_sink_shows_each_line_once_over_one_connection() {
    let receiver = Receiver::start(Manner::Takes).await;
    let scene = Scene::new(&[&receiver.url("/dev/stdout")]);
    scene.start();
    let mut text = String::new();
    for line in ["one\n", "two\n", "three"] {
        scene.print(line);
        text += line;
        receiver.until(&text).await;
    }
    scene.print(" and four\n");
    scene.finish().await.unwrap();
    assert_eq!(receiver.text(), "one\ntwo\nthree and four\n");
    assert_eq!((receiver.puts(), receiver.appends()), (0, 1));
}

#[tokio::test]
async fn a_short_job_costs_one_transfer_and_a_silent_one_none() {
    let (file, sink) = (Receiver::start(Manner::Takes).await, Receiver::start(Manner::Takes).await);
    let scene = Scene::new(&[&file.url("/out"), &sink.url("/dev/stdout")]);
    scene.start();
    scene.print("short\n");
    scene.finish().await.unwrap();
    let other = Way { number: 1, ..WAY };
    scene.streaming.finish(&scene.job, &scene.written.stdout, other).await.unwrap().unwrap();
    assert_eq!((file.text(), sink.text()), ("short\n".into(), "short\n".into()));
    assert_eq!((file.puts(), file.appends(), sink.puts(), sink.appends()), (1, 0, 0, 1));

    let silent = Scene::new(&[&sink.url("/dev/stdout")]);
    silent.start();
    silent.finish().await.unwrap();
    assert_eq!(sink.appends(), 1, "nothing to show, nobody asked");
}

#[tokio::test]
async fn an_empty_output_makes_an_empty_file() {
    let receiver = Receiver::start(Manner::Takes).await;
    receiver.content.lock().unwrap().extend_from_slice(b"of an earlier job");
    let scene = Scene::new(&[&receiver.url("/out")]);
    assert_eq!(scene.finish().await.unwrap(), 0);
    assert_eq!((receiver.text().as_str(), receiver.puts()), ("", 1));
}

#[tokio::test]
async fn an_append_that_broke_is_made_right() {
    for (path, puts) in [("/out", 2), ("/dev/stdout", 0)] {
        let receiver = Receiver::start(Manner::BreaksOnce).await;
        let scene = Scene::new(&[&receiver.url(path)]);
        scene.start();
        scene.print("one\n");
        receiver.until("one\n").await;
        scene.print("two\n");
        receiver.until("one\ntwo\n").await;
        scene.print("three\n");
        receiver.until("one\ntwo\nthree\n").await;
        scene.finish().await.unwrap();
        assert_eq!(receiver.text(), "one\ntwo\nthree\n", "{path}");
        assert_eq!(receiver.puts(), puts, "{path}");
    }
}

/// A server that can be asked is asked.
#[tokio::test]
async fn what_a_server_of_ours_has_lost_is_sent_again() {
    let receiver = Receiver::start(Manner::Loses).await;
    let scene = Scene::new(&[&receiver.url("/out")]);
    scene.start();
    scene.print("one\n");
    receiver.until("one\n").await;
    scene.print("two\n");
    scene.finish().await.unwrap();
    assert_eq!((receiver.text().as_str(), receiver.puts(), receiver.appends()), ("one\ntwo\n", 2, 1));
}

#[tokio::test]
async fn who_does_not_append_gets_everything_at_the_end() {
    for path in ["/out", "/dev/stdout"] {
        let receiver = Receiver::start(Manner::RefusesAppends).await;
        let scene = Scene::new(&[&receiver.url(path)]);
        scene.start();
        scene.print("one\n");
        let begun = async {
            while receiver.puts() + receiver.appends() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
        scene.print("two\n");
        scene.finish().await.unwrap();
        assert_eq!(receiver.text(), "one\ntwo\n", "{path}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_names_its_number() {
    for path in ["/out", "/dev/stdout"] {
        let receiver = Receiver::start(Manner::RefusesAll).await;
        let scene = Scene::new(&[&receiver.url(path)]);
        scene.print("one\n");
        let error = scene.finish().await.unwrap_err();
        assert_eq!(error.refusal(), Some(400), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_destination_that_hangs_is_given_up_when_the_job_is_over() {
    for path in ["/out", "/dev/stdout"] {
        let receiver = Receiver::start(Manner::Hangs).await;
        let healthy = Receiver::start(Manner::Takes).await;
        let scene = Scene::new(&[&receiver.url(path), &healthy.url("/dev/stdout")]);
        scene.start();
        scene.print(vec![b'x'; 20_000_000]);
        scene.print("\n");
        let other = Way { number: 1, ..WAY };
        scene.streaming.finish(&scene.job, &scene.written.stdout, other).await.unwrap().unwrap();
        assert_eq!(healthy.text().len(), 20_000_001);
        let begun = Instant::now();
        let error = scene.finish().await.unwrap_err();
        assert!(matches!(error, CarryError::Gass(gass::GassError::TimedOut { .. })), "{path}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_destination_that_comes_late_gets_everything() {
    // A port nobody listens at yet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let scene = Scene::new(&[&format!("http://{address}/dev/stdout")]);
    scene.print("early\n");
    assert!(scene.finish().await.is_err(), "nobody is there");
    let receiver = Receiver::on(TcpListener::bind(address).await.unwrap(), Manner::Takes);
    // Asked again, as after a restart with new hope.
    scene.finish().await.unwrap();
    assert_eq!(receiver.text(), "early\n");
}

#[tokio::test]
async fn after_a_restart_a_sink_goes_on_and_a_file_in_doubt_is_replaced() {
    for (path, standing, expected) in [
        // What was handed to the network is not sent again.
        ("/dev/stdout", Standing::Open, "two\n"),
        ("/dev/stdout", Standing::Sure, "two\n"),
        ("/out", Standing::Sure, "two\n"),
        ("/out", Standing::Open, "one\ntwo\n"),
    ] {
        let receiver = Receiver::start(Manner::Takes).await;
        let scene = Scene::new(&[&receiver.url(path)]);
        scene.print("one\ntwo\n");
        scene.record(Position { sent: 4, standing });
        scene.start();
        receiver.until(expected).await;
        scene.finish().await.unwrap();
        assert_eq!(receiver.text(), expected, "{path} {standing:?}");
    }
}

#[tokio::test]
async fn a_sink_that_has_everything_is_asked_to_confirm() {
    let receiver = Receiver::start(Manner::Takes).await;
    let scene = Scene::new(&[&receiver.url("/dev/stdout")]);
    scene.print("one\n");
    scene.record(Position { sent: 4, standing: Standing::Open });
    scene.finish().await.unwrap();
    assert_eq!((receiver.text().as_str(), receiver.appends()), ("", 1));
}

#[tokio::test]
async fn new_destinations_get_everything_from_the_first_byte() {
    let (old, new) = (Receiver::start(Manner::Takes).await, Receiver::start(Manner::Takes).await);
    let mut scene = Scene::new(&[&old.url("/dev/stdout")]);
    scene.start();
    scene.print("one\n");
    old.until("one\n").await;
    scene.job.spec.stdout = Output::Deliver(vec![Destination::Url(new.url("/dev/stdout"))]);
    scene.streaming.redirect(&scene.job, &scene.files);
    new.until("one\n").await;
    scene.print("two\n");
    scene.finish().await.unwrap();
    assert_eq!((old.text().as_str(), new.text().as_str()), ("one\n", "one\ntwo\n"));
    // The same one again: as asked, everything once more.
    scene.streaming.redirect(&scene.job, &scene.files);
    scene.finish().await.unwrap();
    assert_eq!(new.text(), "one\ntwo\none\ntwo\n");
}

#[tokio::test]
async fn what_is_not_streamed_is_left_to_others() {
    let scene = Scene::new(&["http://h/same", "http://h/same", "file:///tmp/x", "http://h/dev/stdout"]);
    let ways: Vec<u16> = ways(&scene.job).into_iter().map(|(way, _)| way.number).collect();
    assert_eq!(ways, [3]);
    assert!(scene.streaming.finish(&scene.job, &scene.written.stdout, WAY).await.is_none());
}
