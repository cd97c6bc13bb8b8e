//! What is on disk when a program dies, for every step of every operation; the next one has to put it right at once.

use super::*;
use crate::cache::{owner::Owner, reference::Entry};

/// A name as of a program that has ended on this host.
fn dead() -> Owner {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Owner::of(&format!("data.{host}_{pid:x}_0")).unwrap()
}

/// A name as of a program of another host.
fn far() -> Owner {
    Owner::of("data.elsewhere_1_0").unwrap()
}

#[tokio::test]
async fn while_making_a_content() {
    // 1: the empty file, 2: the download, 3: half the content in place, 4: the tag's link, 5: its reference.
    for (_folder, cache) in [cache(), flat_cache()] {
        for step in 1..=5 {
            let owner = dead();
            let content = Content::of(&cache.layout, URL);
            let entry = Entry::of(&cache.layout, "dead", content.mangled());
            assert!(content.begin(URL, &owner).unwrap());
            if step >= 2 {
                fs::write(reference::fill_path(&cache.layout, &owner), "half").unwrap();
            }
            if step >= 3 {
                fs::rename(reference::fill_path(&cache.layout, &owner), content.held_path(&owner)).unwrap();
            }
            if step >= 4 {
                entry.add("dead", &content, &owner).unwrap();
            }
            if step == 4 {
                fs::remove_file(cache.layout.file(&cache.layout.entry("dead", URL), &owner.data())).unwrap();
            }
            assert_eq!(cache.query(URL, "dead").unwrap(), None, "step {step}");
            let path = add(&cache, URL, "alive", "whole").await;
            assert_eq!(fs::read_to_string(path).unwrap(), "whole", "step {step}");
            assert_eq!(cache.list(None, None).unwrap()[0].tags.len(), 1, "step {step}");
            cache.remove_tag("alive").unwrap();
            assert_empty(&cache);
        }
    }
}

#[tokio::test]
async fn while_adding_a_reference_or_dropping_one() {
    for (_folder, cache) in [cache(), flat_cache()] {
        for step in 1..=3 {
            add(&cache, URL, "other", "whole").await;
            let owner = dead();
            let content = Content::of(&cache.layout, URL);
            let entry = Entry::of(&cache.layout, "dead", content.mangled());
            assert!(content.hold(&owner).unwrap());
            if step >= 2 {
                entry.add("dead", &content, &owner).unwrap();
            }
            if step == 3 {
                fs::hard_link(content.held_path(&owner), content.ready_path()).unwrap();
            }
            let start = Instant::now();
            let path = add_known(&cache, URL, "alive").await;
            assert!(start.elapsed() < Duration::from_secs(10), "not 300 seconds");
            assert_eq!(fs::read_to_string(path).unwrap(), "whole");
            cache.remove_tag("dead").unwrap();
            cache.remove_tag("alive").unwrap();
            cache.remove_tag("other").unwrap();
            assert_empty(&cache);
        }
    }
}

#[tokio::test]
async fn while_removing_a_content() {
    let (_folder, cache) = cache();
    let path = add(&cache, URL, "t", "whole").await;
    let owner = dead();
    let content = Content::of(&cache.layout, URL);
    assert!(content.hold(&owner).unwrap());
    Entry::of(&cache.layout, "t", content.mangled()).remove().unwrap();
    assert!(!path.exists());
    assert_eq!(cache.clean().unwrap().recovered, 1);
    assert_empty(&cache);
}

/// Fault 6 of gass.md §11: `-delete` of the stock program leaves an entry held when other references stay.
#[tokio::test]
async fn what_stock_leaves_locked_is_unlocked() {
    let (_folder, cache) = cache();
    for tag in ["one", "two"] {
        let Some((added, _)) = stock(&cache, &["-add", "-t", tag, "-n", URL, "file:///etc/passwd"]) else {
            eprintln!("SKIPPED: globus-gass-cache is not installed");
            return;
        };
        assert!(added);
    }
    stock(&cache, &["-delete", "-t", "one", URL]).unwrap();
    assert!(!Content::of(&cache.layout, URL).ready_path().exists(), "the fault is there");
    let path = add_known(&cache, URL, "three").await;
    assert_eq!(fs::read(path).unwrap(), fs::read("/etc/passwd").unwrap());
    let start = Instant::now();
    assert!(stock(&cache, &["-add", "-t", "four", "-n", URL, "file:///nowhere"]).unwrap().0);
    assert!(start.elapsed() < Duration::from_secs(60), "stock goes on at once");
}

#[test]
fn the_living_are_waited_for_and_the_silent_are_not() {
    let (_folder, cache) = cache();
    let content = Content::of(&cache.layout, URL);
    assert!(content.begin(URL, &far()).unwrap());
    assert!(matches!(content.state().unwrap(), State::Held));
    let old = std::time::SystemTime::now() - content::BELIEVED * 2;
    for path in [content.held_path(&far()), content.url_path().parent().unwrap().to_owned()] {
        fs::File::open(path).unwrap().set_modified(old).unwrap();
    }
    assert!(matches!(content.state().unwrap(), State::Abandoned(_)));
    cache.create(URL, "t").unwrap();
    assert_eq!(cache.list(None, None).unwrap().len(), 1);
}

#[tokio::test]
async fn one_that_was_overtaken_joins_the_others() {
    let (_folder, cache) = cache();
    let other = cache.clone();
    let path = cache.add(URL, "slow", |path| async move {
        // As somebody would who has waited for 300 seconds: what we hold is gone, and another content is there.
        let content = Content::of(&other.layout, URL);
        let owner = content_owner(&other, &content);
        content.discard(&owner).unwrap();
        add(&other, URL, "fast", "theirs").await;
        write(&path, "ours")
    });
    assert_eq!(fs::read_to_string(path.await.unwrap()).unwrap(), "theirs");
    cache.remove_tag("slow").unwrap();
    cache.remove_tag("fast").unwrap();
    assert_empty(&cache);
}

fn content_owner(cache: &Cache, content: &Content<'_>) -> Owner {
    let folder = content.url_path().parent().unwrap().to_owned();
    cache.layout.names(&folder).unwrap().iter().find_map(|name| Owner::of(name)).unwrap()
}

#[test]
fn a_dead_ones_temporary_files_are_cleaned() {
    let (_folder, cache) = cache();
    for name in [format!("fill.{}", dead()), dead().to_string(), format!("tag{}", dead())] {
        fs::write(cache.layout.file(&cache.layout.temporary(), &name), "x").unwrap();
    }
    let alive = cache.layout.file(&cache.layout.temporary(), &format!("fill.{}", Owner::new()));
    fs::write(&alive, "x").unwrap();
    assert_eq!(cache.clean().unwrap().leftovers, 3);
    assert!(alive.exists());
}
