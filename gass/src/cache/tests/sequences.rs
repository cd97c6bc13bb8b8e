//! Any sequence of operations, against a model of what the cache should hold.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Add(u8, u8),
    Create(u8, u8),
    Delete(u8, u8),
    DeleteAll(u8, u8),
    RemoveTag(u8),
    RemoveUrl(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (url, tag) = (0..3_u8, 0..3_u8);
    prop_oneof![
        3 => (url.clone(), tag.clone()).prop_map(|(url, tag)| Step::Add(url, tag)),
        1 => (url.clone(), tag.clone()).prop_map(|(url, tag)| Step::Create(url, tag)),
        2 => (url.clone(), tag.clone()).prop_map(|(url, tag)| Step::Delete(url, tag)),
        1 => (url.clone(), tag.clone()).prop_map(|(url, tag)| Step::DeleteAll(url, tag)),
        1 => tag.prop_map(Step::RemoveTag),
        1 => url.prop_map(Step::RemoveUrl),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn hold_what_the_model_says(steps in proptest::collection::vec(step(), 0..25), is_flat in any::<bool>()) {
        let (_folder, cache) = if is_flat { flat_cache() } else { cache() };
        let mut model: BTreeMap<(String, String), usize> = BTreeMap::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (url, tag) = (|url: u8| format!("file:///u{url}"), |tag: u8| format!("t{tag}"));
        for step in steps {
            match step {
                Step::Add(u, t) => {
                    let is_new = !model.keys().any(|(known, _)| *known == url(u));
                    let fetched = Arc::new(AtomicU32::new(0));
                    let count = fetched.clone();
                    runtime
                        .block_on(cache.add(&url(u), &tag(t), |path| async move {
                            count.fetch_add(1, Ordering::Relaxed);
                            write(&path, "content")
                        }))
                        .unwrap();
                    prop_assert_eq!(fetched.load(Ordering::Relaxed), u32::from(is_new));
                    *model.entry((url(u), tag(t))).or_default() += 1;
                }
                Step::Create(u, t) => {
                    cache.create(&url(u), &tag(t)).unwrap();
                    model.entry((url(u), tag(t))).or_insert(1);
                }
                Step::Delete(u, t) => {
                    let key = (url(u), tag(t));
                    prop_assert_eq!(cache.delete(&key.0, &key.1).is_ok(), model.contains_key(&key));
                    if let Some(count) = model.get_mut(&key) {
                        *count -= 1;
                    }
                }
                Step::DeleteAll(u, t) => {
                    let key = (url(u), tag(t));
                    prop_assert_eq!(cache.delete_all(&key.0, &key.1).is_ok(), model.remove(&key).is_some());
                }
                Step::RemoveTag(t) => {
                    cache.remove_tag(&tag(t)).unwrap();
                    model.retain(|(_, known), _| *known != tag(t));
                }
                Step::RemoveUrl(u) => {
                    let known = model.keys().any(|(known, _)| *known == url(u));
                    prop_assert_eq!(cache.remove_url(&url(u)).is_ok(), known);
                    model.retain(|(known, _), _| *known != url(u));
                }
            }
            model.retain(|_, count| *count > 0);
            let mut seen = BTreeMap::new();
            for listed in cache.list(None, None).unwrap() {
                for tagged in listed.tags {
                    seen.insert((listed.url.clone(), tagged.tag), tagged.references);
                }
            }
            prop_assert_eq!(&seen, &model);
        }
        for tag_number in 0..3 {
            cache.remove_tag(&tag(tag_number)).unwrap();
        }
        assert_empty(&cache);
    }
}
