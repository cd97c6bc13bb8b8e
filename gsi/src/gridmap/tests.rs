//! Look-ups, leases and edits. The tables were taken from the stock library (`globus_gss_assist_gridmap`,
//! `_userok`, `_map_local_user`); see docs/gsi.md for the few places where Gridiron is kinder.

use super::edit::{Added, GridmapText};
use super::{Gridmap, MapError, Mapping, pool};
use crate::Subject;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

fn map(text: &str, subject: &str) -> Option<String> {
    let map = Gridmap::parse(text.as_bytes());
    map.map(&Subject::new(subject), None, None).ok().map(|mapping| mapping.account)
}

#[test]
fn quoting_is_that_of_the_stock_library() {
    for (line, account) in [
        (r#""/O=Grid/CN=x" a"#, "a"),
        ("/O=Grid/CN=x a", "a"),
        ("  \"/O=Grid/CN=x\"\ta", "a"),
        ("\t/O=Grid/CN=x a", "a"),
        (r#""/O=Grid/CN=x"a"#, "a"),
        (r#""/O=Grid/CN=x" a,b"#, "a"),
        (r#""/O=Grid/CN=x" a , b"#, "a"),
        ("\"/O=Grid/CN=x\" a\r\n", "a"),
        (r#""/O=Grid/CN=x" #a"#, "#a"),
        (r#""/O=Grid/CN=x" a#b"#, "a#b"),
        (r#""/O=Grid\/CN=x" a"#, "a"),
        (r#""/O=Grid/CN=\x78" a"#, "a"),
        (r"/O=Grid/CN=\x78 a", "a"),
        (r#""/o=grid/cn=X" a"#, "a"),
        (r#""/O=Grid/CN=x" "a b""#, "\"a"),
        (r#""/O=Grid/CN=x" \a"#, r"\a"),
        (r#""/O=Grid/CN=x" a\,b"#, r"a\"),
        ("\"/O=Grid/CN=x\" a\0b", "a"),
        ("#c\n\n \n#\"/O=Grid/CN=x\" z\n\"/O=Grid/CN=x\" b", "b"),
        ("\"/O=Grid/CN=x\n\"/O=Grid/CN=x\" b", "b"),
    ] {
        assert_eq!(map(line, "/O=Grid/CN=x").as_deref(), Some(account), "{line:?}");
    }
    for nobody in [
        r#""/O=Grid/CN=x""#,
        r#""/O=Grid/CN=x" "#,
        r#""/O=Grid/CN=x"#,
        "\"/O=Grid/CN=x\"\n\"/O=Grid/CN=x\" b",
        "/O=Grid/CN=x\n\"/O=Grid/CN=x\" b",
        r#""/O=Grid/CN=\x7" a"#,
        r#"\"/O=Grid/CN=x" a"#,
        r#""/O=Grid/CN=x" .a"#,
        "'/O=Grid/CN=x' a",
        "\u{feff}\"/O=Grid/CN=x\" a",
    ] {
        assert_eq!(map(nobody, "/O=Grid/CN=x"), None, "{nobody:?}");
    }
}

#[test]
fn names_of_certificates_are_found_however_they_are_written() {
    for (line, subject, account) in [
        (r#""/O=Grid/CN=Jürgen" a"#, r"/O=Grid/CN=J\xC3\xBCrgen", Some("a")),
        (r#""/O=Grid/CN=J\xc3\xbcrgen" a"#, r"/O=Grid/CN=J\xC3\xBCrgen", Some("a")),
        (r"/O=Grid/CN=J\xc3\xbcrgen a", r"/O=Grid/CN=J\xC3\xBCrgen", Some("a")),
        (r#""/O=Grid/CN=host\/h" a"#, r"/O=Grid/CN=host\/h", None),
        (r#""/O=Grid/CN=host\\/h" a"#, r"/O=Grid/CN=host\/h", Some("a")),
        (r"/O=Grid/CN=host\\/h a", r"/O=Grid/CN=host\/h", Some("a")),
        ("/O=Grid/CN=host/h a", r"/O=Grid/CN=host\/h", None),
        (r#""/O=Grid/CN=\X41b" a"#, "/O=Grid/CN=Ab", None),
        (r#""/O=Grid/CN=\x22b" a"#, r#"/O=Grid/CN="b"#, Some("a")),
        (r#""/O=Grid/CN=\x00b" a"#, r"/O=Grid/CN=\x00b", Some("a")),
        (r#""/O=Grid/CN=\x0ab" a"#, r"/O=Grid/CN=\x0Ab", Some("a")),
        (r"/O=Grid/CN=a\ b a", "/O=Grid/CN=a b", None),
        (r#"/O=Grid/CN=a\"b a"#, r#"/O=Grid/CN=a"b"#, Some("a")),
        (r#"/O=Grid/CN=a"b a"#, r#"/O=Grid/CN=a"b"#, Some("a")),
        (r#""/O=Grid/UID=b" a"#, "/O=Grid/USERID=b", Some("a")),
        (r#""/O=Grid/E=b" a"#, "/O=Grid/emailAddress=b", Some("a")),
        (r#""/O=Grid/CN=\x5cx41b" a"#, r"/O=Grid/CN=\x41b", Some("a")),
    ] {
        assert_eq!(map(line, subject).as_deref(), account, "{line}");
    }
}

#[test]
fn a_requested_account_must_stand_on_the_deciding_line() {
    let map = Gridmap::parse(b"# users\n\"/O=Grid/CN=x\" a,b  c\n\"/O=Grid/CN=x\" d\n");
    let x = Subject::new("/O=Grid/CN=x");
    for account in ["a", "b", "c"] {
        assert_eq!(map.map(&x, Some(account), None), Ok(Mapping { account: account.to_owned(), line: 2 }));
    }
    for account in ["d", "A", ""] {
        assert!(matches!(map.map(&x, Some(account), None), Err(MapError::AccountNotListed { line: 2, .. })));
    }
    assert!(matches!(map.map(&Subject::new("/O=Grid/CN=y"), None, None), Err(MapError::Unmapped(_))));
}

#[test]
fn problems_have_lines() {
    let map = Gridmap::parse(b"\"/O=x\" a\n\"/O=y\" \n\n\"/O=z\n\"/O=X\" b\n");
    let lines: Vec<usize> = map.problems().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 5]);
    assert!(map.problems()[2].1.contains("line 1"), "{:?}", map.problems());
    assert!(matches!(map.map(&Subject::new("/O=y"), None, None), Err(MapError::Unusable { line: 2, .. })));
}

#[test]
fn accounts_lead_back_to_subjects() {
    let map = Gridmap::parse(b"\"/O=x\" a,b\n\"/O=y\" b\n\"/O=z\" c,d\n/O=w d\n/O=q\\\"r k\n");
    let subject = |account| map.subject_of(account, None).map(|subject| subject.as_str().to_owned());
    for (account, expected) in [("a", "/O=x"), ("b", "/O=x"), ("c", "/O=z"), ("d", "/O=z"), ("k", "/O=q\"r")]
    {
        assert_eq!(subject(account).as_deref(), Some(expected));
    }
    assert_eq!(subject("e"), None);
}

fn pool_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["grid02", "grid01", "other1", "grid~x", "root", ".gridz", "%2fgrid"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    directory
}

#[test]
fn pool_accounts_are_leased_once_and_kept() {
    let directory = pool_directory();
    let path = Some(directory.path());
    let map = Gridmap::parse(b"/O=x .grid\n/O=y .grid,alice\n/O=z .grid\n/O=r .root\n/O=b bob,.grid");
    let lease = |subject: &str| map.map(&Subject::new(subject), None, path).map(|mapping| mapping.account);
    assert_eq!(lease("/O=x").as_deref(), Ok("grid01"));
    assert_eq!(lease("/o=X").as_deref(), Ok("grid01"));
    assert_eq!(lease("/O=y").as_deref(), Ok("grid02"));
    assert_eq!(directory.path().join("%2fo%3dx").metadata().unwrap().nlink(), 2);
    assert!(
        matches!(lease("/O=z"), Err(MapError::Unusable { line: 3, reason }) if reason.contains("is free"))
    );
    assert!(lease("/O=r").is_err());
    assert_eq!(lease("/O=b").as_deref(), Ok("bob"));
    assert_eq!(map.subject_of("grid02", path), Some(Subject::new("/o=y")));
    assert_eq!(map.subject_of("other1", path), None);
    let requested =
        |subject: &str, account: &str| map.map(&Subject::new(subject), Some(account), path).is_ok();
    assert!(requested("/O=x", "grid01") && requested("/O=y", "alice"));
    assert!(!requested("/O=x", "grid02") && !requested("/O=x", ".grid") && !requested("/O=z", "grid02"));
    let without = map.map(&Subject::new("/O=x"), None, None);
    assert!(matches!(without, Err(MapError::Unusable { reason, .. }) if reason.contains("GRIDMAPDIR")));
}

#[test]
fn a_lease_outside_the_pool_or_without_account_is_refused() {
    let directory = pool_directory();
    let x = Subject::new("/O=x");
    std::fs::hard_link(directory.path().join("other1"), directory.path().join("%2fo%3dx")).unwrap();
    let error = pool::lease(Some(directory.path()), "grid", &x).unwrap_err();
    assert!(matches!(&error, pool::PoolError::OtherPool { account, .. } if account == "other1"), "{error}");
    std::fs::remove_file(directory.path().join("other1")).unwrap();
    assert!(matches!(pool::lease(Some(directory.path()), "grid", &x), Err(pool::PoolError::Orphan(_))));
}

#[test]
fn concurrent_leases_never_share_an_account() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..16 {
        std::fs::write(directory.path().join(format!("grid{number:02}")), "").unwrap();
    }
    let path = directory.path();
    let mut accounts: Vec<String> = std::thread::scope(|scope| {
        let lease = |number: usize| pool::lease(Some(path), "grid", &Subject::new(format!("/CN={number}")));
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || lease(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    accounts.sort();
    accounts.dedup();
    assert_eq!(accounts.len(), 8);
}

fn names(accounts: &[&str]) -> Vec<String> {
    accounts.iter().map(|account| (*account).to_owned()).collect()
}

#[test]
fn adding_extends_the_line_that_decides() {
    let before = "# users\n\"/O=x\" a \nbad line\n/O=y\tb\r\n\"/O=x\" z";
    let mut text = GridmapText::new(before);
    let x = Subject::new("/o=X");
    let added = text.add(&x, &names(&["a", "c", "d", "c"])).unwrap();
    let expected =
        Added::Extended { number: 2, line: "\"/O=x\" a,c,d".to_owned(), added: names(&["c", "d"]) };
    assert_eq!(added, expected);
    assert!(matches!(text.add(&x, &names(&["d"])).unwrap(), Added::Unchanged { number: 2, .. }));
    text.add(&Subject::new("/O=y"), &names(&["e"])).unwrap();
    let new = text.add(&Subject::new("/O=New/CN=x y"), &names(&["f", "g"])).unwrap();
    assert_eq!(new, Added::New { line: "\"/O=New/CN=x y\" f,g".to_owned() });
    let after = "# users\n\"/O=x\" a,c,d\nbad line\n/O=y\tb,e\r\n\"/O=x\" z\n\"/O=New/CN=x y\" f,g\n";
    assert_eq!(String::from_utf8_lossy(text.as_bytes()), after);
    assert!(text.add(&x, &names(&["two words"])).is_err());
}

#[test]
fn removing_takes_accounts_and_empty_lines() {
    let before = "# users\n\"/O=x\"  a, b\r\n\n/O=y b\n\"/O=x\" b";
    let mut text = GridmapText::new(before);
    let removed = text.remove(&Subject::new("/O=X"), &names(&["b"]));
    assert_eq!(removed.accounts, [(2, "b".to_owned()), (5, "b".to_owned())]);
    assert_eq!((removed.lines, removed.changed), (vec![5], vec!["\"/O=x\" a".to_owned()]));
    assert_eq!(String::from_utf8_lossy(text.as_bytes()), "# users\n\"/O=x\" a\r\n\n/O=y b\n");
    assert!(!text.remove(&Subject::new("/O=z"), &[]).found);
    assert!(text.remove(&Subject::new("/O=y"), &[]).found);
    assert_eq!(text.as_bytes(), b"# users\n\"/O=x\" a\r\n\n");
}

#[test]
fn files_are_replaced_with_their_mode() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("grid-mapfile"), directory.path().join("link"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(GridmapText::read(&path).unwrap().as_bytes(), b"");
    GridmapText::new("one\n").write(&link, true).unwrap_or_else(|error| panic!("{error}"));
    std::fs::remove_file(&link).unwrap();
    GridmapText::new("one\n").write(&path, true).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o644);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    GridmapText::new("two\n").write(&link, true).unwrap();
    assert!(link.is_symlink());
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
    let content = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(
        (content(&path), content(&directory.path().join("grid-mapfile.old"))),
        ("two\n".into(), "one\n".into())
    );
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grid-mapfile");
    std::fs::File::create(&path).unwrap().set_len(super::MAX_GRIDMAP_BYTES as u64 + 1).unwrap();
    assert!(Gridmap::read(&path).unwrap_err().to_string().contains("longer than"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "[\"\\\\x4c/=, \na#.ü]{0,80}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let map = Gridmap::parse(bytes);
            let _ = map.map(&Subject::new("/O=x"), Some("a"), None);
            let mut text = GridmapText::new(bytes);
            let _ = text.add(&Subject::new("/O=x"), &names(&["a"]));
            let _ = text.remove(&Subject::new("/O=x"), &[]);
        }
    }

    #[test]
    fn whatever_is_added_is_found(subject in "/[ -~ü\n]{1,30}", others: Vec<u8>) {
        let mut text = GridmapText::new(others);
        // As certificates' names are rendered: nothing but printable ASCII.
        let name: String = subject.bytes().map(|byte| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02X}"),
        }).collect();
        text.add(&Subject::new(name.as_str()), &names(&["alice"])).unwrap();
        let found = Gridmap::parse(text.as_bytes()).map(&Subject::new(name), Some("alice"), None);
        proptest::prop_assert!(found.is_ok(), "{:?}", String::from_utf8_lossy(text.as_bytes()));
    }
}
