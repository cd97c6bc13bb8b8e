//! What the cache as a whole does.

mod death;
mod limits;
mod sequences;

use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempDir;
use tokio::sync::Notify;

const KEPT: &str = "x-gass-cache://https://vm:1/2/3/stdout";
const URL: &str = "https://vm:30501/data/hello.txt";

/// A new cache, and the folder it is in.
fn cache() -> (TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    (folder, cache)
}

fn flat_cache() -> (TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config"), "type=flat\nlevels=2\n").unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    (folder, cache)
}

/// Adds with this content.
async fn add(cache: &Cache, url: &str, tag: &str, content: &str) -> PathBuf {
    cache.add(url, tag, |path| async move { write(&path, content) }).await.unwrap()
}

/// Adds what has to be there.
async fn add_known(cache: &Cache, url: &str, tag: &str) -> PathBuf {
    cache.add(url, tag, |_| async { panic!("it is there") }).await.unwrap()
}

fn write(path: &Path, content: &str) -> Result<(), GassError> {
    fs::write(path, content).map_err(|source| GassError::Local { doing: "test".to_owned(), source })
}

fn refusal() -> GassError {
    GassError::BadUrl { url: "u".to_owned(), reason: "refused".to_owned() }
}

/// Every file of the cache but its own two.
fn files(cache: &Cache) -> Vec<String> {
    fn visit(folder: &Path, top: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                visit(&entry.path(), top, found);
            } else {
                found.push(entry.path().strip_prefix(top).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    visit(cache.layout.root(), cache.layout.root(), &mut found);
    found.retain(|name| {
        !["config", "gridiron.lock", "gridiron.limit", "global", "local", "tmp"].contains(&name.as_str())
    });
    found.sort();
    found
}

fn assert_empty(cache: &Cache) {
    assert_eq!(files(cache), Vec::<String>::new());
    if cache.layout.kind() == Type::Normal {
        for part in ["global", "local", "tmp"] {
            assert_eq!(fs::read_dir(cache.layout.root().join(part)).unwrap().count(), 0, "{part}");
        }
    }
}

#[test]
fn an_entry_comes_and_goes_without_a_trace() {
    for (_folder, cache) in [cache(), flat_cache()] {
        let path = cache.create(KEPT, "mine").unwrap();
        fs::write(&path, b"output").unwrap();
        assert_eq!(cache.create(KEPT, "mine").unwrap(), path, "again is the same entry");
        let other = cache.create(KEPT, "other").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"output", "tags share the content");

        cache.remove_tag("mine").unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&other).unwrap(), b"output");
        cache.remove_tag("other").unwrap();
        cache.remove_tag("other").unwrap();
        assert_empty(&cache);
    }
}

#[tokio::test]
async fn references_are_counted() {
    for (_folder, cache) in [cache(), flat_cache()] {
        let path = add(&cache, URL, "one", "hello").await;
        assert_eq!(add_known(&cache, URL, "one").await, path);
        let other = add_known(&cache, URL, "two").await;
        assert_eq!(fs::read_to_string(&other).unwrap(), "hello");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1 + (1 + 2) + (1 + 1), "as gass.md §8.1 counts");
        let listed = cache.list(None, None).unwrap();
        let tag = |tag: &str, references| Tagged { tag: tag.to_owned(), references };
        assert_eq!(listed[0].tags, [tag("one", 2), tag("two", 1)]);
        assert_eq!((listed[0].url.as_str(), listed[0].size, listed[0].ready), (URL, 5, true));

        cache.delete(URL, "one").unwrap();
        assert_eq!(
            cache.query(URL, "one").unwrap(),
            Some(path.clone()),
            "not the last one; nothing stays locked"
        );
        cache.delete(URL, "one").unwrap();
        assert_eq!(cache.query(URL, "one").unwrap(), None);
        assert!(cache.delete(URL, "one").unwrap_err().is_not_found());
        assert_eq!(cache.query(URL, "two").unwrap(), Some(other));
        cache.delete_all(URL, "two").unwrap();
        assert!(cache.delete("https://vm/unknown", "two").unwrap_err().is_not_found());
        assert_empty(&cache);
    }
}

#[tokio::test]
async fn a_content_goes_with_all_its_tags() {
    for (_folder, cache) in [cache(), flat_cache()] {
        add(&cache, URL, "one", "hello").await;
        add_known(&cache, URL, "two").await;
        cache.remove_url(URL).unwrap();
        assert!(cache.remove_url(URL).unwrap_err().is_not_found());
        assert_empty(&cache);
    }
}

#[tokio::test]
async fn everything_is_private() {
    let (_folder, cache) = cache();
    let path = add(&cache, URL, "t", "hello").await;
    for name in files(&cache) {
        let mode = fs::metadata(cache.layout.root().join(&name)).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700, "it may be a program");
}

#[tokio::test]
async fn simultaneous_adds_share_a_fetch() {
    let (_folder, cache) = cache();
    let (started, go_on, fetches) =
        (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let mut adds = tokio::task::JoinSet::new();
    for tag in ["a", "b", "b", "c", "d"] {
        let (cache, started, go_on, fetches) =
            (cache.clone(), started.clone(), go_on.clone(), fetches.clone());
        adds.spawn(async move {
            cache
                .add(URL, tag, |path| async move {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    started.notify_one();
                    go_on.notified().await;
                    write(&path, "content")
                })
                .await
        });
    }
    started.notified().await;
    assert!(cache.list(None, None).unwrap().iter().all(|listed| !listed.ready), "not before it is whole");
    go_on.notify_one();
    while let Some(path) = adds.join_next().await {
        assert_eq!(fs::read_to_string(path.unwrap().unwrap()).unwrap(), "content");
    }
    assert_eq!(fetches.load(Ordering::Relaxed), 1);
    assert_eq!(fs::metadata(cache.query(URL, "b").unwrap().unwrap()).unwrap().nlink(), 1 + 4 + 5);
}

#[tokio::test]
async fn a_failed_fetch_leaves_nothing_and_the_next_one_gets_its_turn() {
    let (_folder, cache) = cache();
    let failed = cache.add(URL, "t", |path| async move { write(&path, "half").and(Err(refusal())) }).await;
    assert!(matches!(failed, Err(CacheError::Fetch(_))));
    assert_empty(&cache);
    add(&cache, URL, "t", "whole").await;
}

#[tokio::test]
async fn an_add_that_is_dropped_leaves_nothing() {
    let (_folder, cache) = cache();
    let add = cache.add(URL, "t", |path| async move {
        write(&path, "half")?;
        std::future::pending().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), add).await.is_err());
    assert_empty(&cache);
}

#[tokio::test]
async fn a_download_may_replace_the_file() {
    let (_folder, cache) = cache();
    let path = cache
        .add(URL, "t", |path| async move {
            let other = path.with_extension("part");
            write(&other, "content")?;
            fs::rename(&other, &path).map_err(|source| GassError::Local { doing: "test".to_owned(), source })
        })
        .await;
    let path = path.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&path).unwrap().nlink(), 3);
}

#[tokio::test]
async fn what_is_not_a_file_is_not_taken() {
    let (_folder, cache) = cache();
    let added = cache
        .add(URL, "t", |path| async move {
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
            Ok(())
        })
        .await;
    assert!(matches!(added, Err(CacheError::Io { .. })));
    assert_empty(&cache);
}

#[test]
fn names_are_bounded() {
    let (_folder, cache) = cache();
    for bad in ["x".repeat(layout::MAX_NAME + 1), "a\nb".to_owned(), "a\0".to_owned()] {
        assert!(matches!(cache.create(&bad, "t"), Err(CacheError::BadName(_))));
        assert!(matches!(cache.create("u", &bad), Err(CacheError::BadName(_))));
    }
}

/// Runs the stock program; None where it is not installed.
fn stock(cache: &Cache, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("globus-gass-cache")
        .args(arguments)
        .env("GLOBUS_GASS_CACHE_DEFAULT", cache.layout.root())
        .output()
        .ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

#[test]
fn the_stock_program_finds_and_cleans_what_we_wrote() {
    for (_folder, cache) in [cache(), flat_cache()] {
        let path = cache.create(KEPT, "anExtraTag").unwrap();
        fs::write(&path, b"hello\n").unwrap();
        let Some((found, shown)) = stock(&cache, &["-query", "-t", "anExtraTag", KEPT]) else {
            eprintln!("SKIPPED: globus-gass-cache is not installed");
            return;
        };
        assert!(found);
        assert_eq!(shown, path.to_string_lossy());
        let (listed, list) = stock(&cache, &["-list"]).unwrap();
        assert!(listed && list.contains(KEPT), "{list}");
        // In a flat cache, -cleanup-url of the stock program does not find its own entries either.
        let (cleaned, _) = stock(&cache, &["-cleanup-tag", "-t", "anExtraTag"]).unwrap();
        assert!(cleaned);
        assert!(!path.exists());
        assert_eq!(cache.list(None, None).unwrap(), []);
    }
}

#[test]
fn we_clean_what_the_stock_program_wrote() {
    for (_folder, cache) in [cache(), flat_cache()] {
        let Some((added, _)) = stock(&cache, &["-add", "-t", "T", "-n", KEPT, "file:///dev/null"]) else {
            eprintln!("SKIPPED: globus-gass-cache is not installed");
            return;
        };
        assert!(added);
        let path = cache.create(KEPT, "T").unwrap();
        assert_eq!(stock(&cache, &["-query", "-t", "T", KEPT]).unwrap().1, path.to_string_lossy());
        cache.remove_tag("T").unwrap();
        assert_eq!(files(&cache), Vec::<String>::new());
    }
}
