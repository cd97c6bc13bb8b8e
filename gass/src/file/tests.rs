use super::*;
use crate::server::{Access, Output, Security, Server, Settings};
use std::{fs, io::SeekFrom};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// A server of the folder's files, a cache, and a way to open files.
struct World {
    folder: TempDir,
    server: Server,
    files: Files,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let access = Access { read: true, write: true, ..Access::default() };
        let settings = Settings {
            security: Security::Nobody,
            access,
            stdout: Output::stdout(),
            stderr: Output::stderr(),
            port: None,
        };
        let server = Server::start_with(settings).unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        let files = Files::new(cache, Client::insecure()).tagged("test");
        Self { folder, server, files }
    }

    fn url(&self, name: &str) -> String {
        format!("{}{}/{name}", self.server.url(), self.folder.path().display())
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn references(&self) -> usize {
        let listed = self.files.cache.list(None, None).unwrap();
        listed.iter().flat_map(|listed| &listed.tags).map(|tagged| tagged.references).sum()
    }
}

async fn content(handle: &mut Handle) -> String {
    let mut text = String::new();
    handle.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn readers_share_a_copy_until_the_last_has_closed() {
    let world = World::start();
    world.put("a", "first");
    let mut one = world.files.open(&world.url("a"), &Options::read()).await.unwrap();
    world.put("a", "second");
    let mut two = world.files.open(&world.url("a"), &Options::read()).await.unwrap();
    assert_eq!(content(&mut one).await, "first");
    assert_eq!(content(&mut two).await, "first", "never asked again while it is in use");
    one.seek(SeekFrom::Start(3)).await.unwrap();
    assert_eq!(content(&mut one).await, "st");
    assert!(one.write_all(b"x").await.and(one.flush().await).is_err(), "opened for reading");
    one.close().await.unwrap();
    assert_eq!(world.references(), 1);
    two.close().await.unwrap();
    assert_eq!(world.references(), 0);
    let mut three = world.files.open(&world.url("a"), &Options::read()).await.unwrap();
    assert_eq!(content(&mut three).await, "second");
    drop(three);
}

#[tokio::test]
async fn what_was_changed_is_written_back() {
    let world = World::start();
    world.put("a", "old content");
    let mut reader = world.files.open(&world.url("a"), &Options::read()).await.unwrap();
    let mut writer = world.files.open(&world.url("a"), &Options::update()).await.unwrap();
    writer.write_all(b"NEW").await.unwrap();
    assert_eq!(world.get("a"), "old content", "not before close");
    writer.close().await.unwrap();
    assert_eq!(world.get("a"), "NEW content");
    assert_eq!(content(&mut reader).await, "old content", "readers keep what they opened");
    let mut late = world.files.open(&world.url("a"), &Options::read()).await.unwrap();
    assert_eq!(content(&mut late).await, "NEW content");
    for handle in [&mut reader, &mut late] {
        handle.close().await.unwrap();
    }
    assert_eq!(world.references(), 0);
}

#[tokio::test]
async fn what_was_not_changed_is_not_written_back() {
    let world = World::start();
    world.put("a", "content");
    let mut writer = world.files.open(&world.url("a"), &Options::update()).await.unwrap();
    assert_eq!(content(&mut writer).await, "content");
    world.put("a", "changed by somebody else");
    writer.close().await.unwrap();
    assert_eq!(world.get("a"), "changed by somebody else");
}

#[tokio::test]
async fn a_new_file() {
    let world = World::start();
    let missing = world.files.open(&world.url("n"), &Options::update()).await;
    assert!(matches!(missing, Err(FileError::Gass(_))));
    assert_eq!(world.references(), 0);
    let mut file = world.files.open(&world.url("n"), &Options::update().create()).await.unwrap();
    file.write_all(b"new").await.unwrap();
    file.close().await.unwrap();
    assert_eq!(world.get("n"), "new");
    let mut file = world.files.open(&world.url("n"), &Options::write()).await.unwrap();
    file.close().await.unwrap();
    assert_eq!(world.get("n"), "", "truncating is a change");
    assert_eq!(world.references(), 0);
}

#[tokio::test]
async fn a_failed_write_back_is_told_and_can_be_tried_again() {
    let world = World::start();
    let folder = world.folder.path().join("d");
    let mut file = world.files.open(&world.url("d/n"), &Options::write()).await.unwrap();
    file.write_all(b"precious").await.unwrap();
    assert!(matches!(file.close().await, Err(FileError::Gass(_))));
    fs::create_dir(&folder).unwrap();
    file.close().await.unwrap();
    assert_eq!(world.get("d/n"), "precious");
}

#[tokio::test]
async fn appending_streams() {
    let world = World::start();
    world.put("log", "one\n");
    let mut file = world.files.open(&world.url("log"), &Options::append()).await.unwrap();
    file.write_all(b"two\n").await.unwrap();
    let path = world.folder.path().join("log");
    let streamed = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while fs::read_to_string(&path).unwrap() != "one\ntwo\n" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    streamed.await.expect("it is sent as it is written, not at close");
    assert!(file.seek(SeekFrom::Start(0)).await.is_err());
    file.write_all(b"three\n").await.unwrap();
    file.close().await.unwrap();
    assert_eq!(world.get("log"), "one\ntwo\nthree\n");
    let mut refused = world.files.open(&world.url("no/such/folder"), &Options::append()).await.unwrap();
    assert!(matches!(refused.close().await, Err(FileError::Gass(_))));
}

#[tokio::test]
async fn local_files_and_cache_entries() {
    let world = World::start();
    let path = world.folder.path().join("plain");
    let mut file = world.files.open(path.to_str().unwrap(), &Options::write()).await.unwrap();
    file.write_all(b"here").await.unwrap();
    file.close().await.unwrap();
    let mut file = world.files.open(&format!("file://{}", path.display()), &Options::read()).await.unwrap();
    assert_eq!(content(&mut file).await, "here");

    let entry = "x-gass-cache://shared";
    let missing = world.files.open(entry, &Options::read()).await;
    assert!(matches!(missing, Err(FileError::Cache(CacheError::NotFound { .. }))));
    let mut writer = world.files.open(entry, &Options::write()).await.unwrap();
    writer.write_all(b"for others").await.unwrap();
    writer.flush().await.unwrap();
    let mut reader = world.files.open(entry, &Options::read()).await.unwrap();
    assert_eq!(content(&mut reader).await, "for others", "the entry itself");
    writer.close().await.unwrap();
    reader.close().await.unwrap();
    assert_eq!(world.references(), 0);
}
