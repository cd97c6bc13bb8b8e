//! What stays when nobody refers to it, and how long.

use super::*;

#[tokio::test]
async fn without_a_limit_a_content_goes_with_its_last_reference() {
    let (_folder, cache) = cache();
    add(&cache, URL, "t", "hello").await;
    assert_eq!(cache.limit().unwrap(), None);
    cache.remove_tag("t").unwrap();
    assert_empty(&cache);
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    for (_folder, cache) in [cache(), flat_cache()] {
        cache.set_limit(Some(25)).unwrap();
        let url = |name: &str| format!("https://vm/{name}");
        for name in ["a", "b", "c"] {
            add(&cache, &url(name), "t", "0123456789").await;
            // Times are those of the kernel's clock, which ticks every few milliseconds.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(cache.usage().unwrap().bytes, 30, "what is in use stays, whatever the limit");
        // Used again: now b is the oldest.
        add_known(&cache, &url("a"), "u").await;
        cache.remove_tag("u").unwrap();
        for name in ["b", "c", "a"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cache.delete(&url(name), "t").unwrap();
        }
        let left: Vec<String> =
            cache.list(None, None).unwrap().into_iter().map(|listed| listed.url).collect();
        assert_eq!(left, [url("a"), url("c")]);
        let usage = cache.usage().unwrap();
        assert_eq!((usage.kept_contents, usage.kept_bytes, usage.limit), (2, 20, Some(25)));

        add_known(&cache, &url("c"), "again").await;
        add(&cache, &url("d"), "t", "0123456789").await;
        let left: Vec<String> =
            cache.list(None, None).unwrap().into_iter().map(|listed| listed.url).collect();
        assert_eq!(left, [url("c"), url("d")], "room for the new one");

        cache.remove_tag("again").unwrap();
        cache.set_limit(None).unwrap();
        let left: Vec<String> =
            cache.list(None, None).unwrap().into_iter().map(|listed| listed.url).collect();
        assert_eq!(left, [url("d")]);
        cache.remove_tag("t").unwrap();
        assert_empty(&cache);
    }
}

#[test]
fn names_without_a_source_are_never_kept() {
    let (_folder, cache) = cache();
    cache.set_limit(Some(1000)).unwrap();
    cache.create(KEPT, "t").unwrap();
    cache.remove_tag("t").unwrap();
    assert_empty(&cache);
}

#[tokio::test]
async fn a_limit_that_is_no_number_is_told_and_locks_nothing() {
    let (folder, cache) = cache();
    add(&cache, URL, "t", "hello").await;
    fs::write(folder.path().join("cache/gridiron.limit"), "much").unwrap();
    assert!(cache.limit().unwrap_err().to_string().contains("much"));
    assert!(cache.delete(URL, "t").is_err());
    add_known(&cache, URL, "u").await;
    cache.set_limit(None).unwrap();
    for tag in ["t", "u"] {
        cache.delete(URL, tag).unwrap();
    }
    assert_empty(&cache);
}

#[tokio::test]
async fn cleaning_removes_what_is_kept_and_nothing_else() {
    let (_folder, cache) = cache();
    cache.set_limit(Some(1000)).unwrap();
    add(&cache, URL, "t", "hello").await;
    add(&cache, "https://vm/other", "t", "hello").await;
    cache.delete("https://vm/other", "t").unwrap();
    let cleaned = cache.clean().unwrap();
    assert_eq!(cleaned, Cleaned { removed: 1, bytes: 5, ..Cleaned::default() });
    assert!(cache.query(URL, "t").unwrap().is_some());
}

#[tokio::test]
async fn replacing_is_for_those_who_open_it_later() {
    let (folder, cache) = cache();
    let file = folder.path().join("new");
    fs::write(&file, "new").unwrap();
    cache.replace(URL, &file).unwrap();
    assert_empty(&cache);
    let old = add(&cache, URL, "a", "old").await;
    let open = fs::File::open(&old).unwrap();
    cache.replace(URL, &file).unwrap();
    let new = add_known(&cache, URL, "b").await;
    assert_eq!(std::io::read_to_string(open).unwrap(), "old");
    for path in [old, new] {
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1 + 2 + 2);
    }
    cache.remove_tag("b").unwrap();
    cache.remove_tag("a").unwrap();
    assert_empty(&cache);
}
