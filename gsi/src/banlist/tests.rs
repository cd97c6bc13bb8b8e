use super::*;

const TEXT: &str = "# nobody else\n\
    subject \"/O=Grid/CN=Eve\" until 2027-01-31 laptop stolen, ticket 4711\n\
    \n\
    issuer  \"/O=Other/CN=CA\"   # its key is on the net\n\
    subject /CN=host until 2027-01-31T12:00:00Z\n\
    \tsubject \"/CN=a \\\"b\\\"\"\r\n";

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn find<'a>(list: &'a BanList, subject: &str, issuer: &str, now: &str) -> Option<&'a Ban> {
    list.find([&Subject::new(subject)], [&Subject::new(issuer)], moment(now))
}

#[test]
fn bans_are_read_with_their_ends_and_reasons() {
    let list = BanList::parse(TEXT.as_bytes()).unwrap();
    let [eve, ca, host, quoted] = list.bans() else { panic!("{list:?}") };
    assert_eq!((eve.line, eve.kind, eve.name.as_str()), (2, Banned::Subject, "/O=Grid/CN=Eve"));
    assert_eq!(eve.until, Some(moment("2027-02-01T00:00:00Z")), "the whole day");
    assert_eq!(eve.reason.as_deref(), Some("laptop stolen, ticket 4711"));
    assert_eq!((ca.line, ca.kind, ca.until), (4, Banned::Issuer, None));
    assert_eq!(ca.reason.as_deref(), Some("its key is on the net"));
    assert_eq!((host.until, host.reason.as_deref()), (Some(moment("2027-01-31T12:00:00Z")), None));
    assert_eq!((quoted.name.as_str(), quoted.reason.as_deref()), ("/CN=a \"b\"", None));
    assert_eq!(ca.to_string(), "the issuer /O=Other/CN=CA is banned: its key is on the net");
}

#[test]
fn bans_hold_until_they_end_and_regardless_of_case() {
    let list = BanList::parse(TEXT.as_bytes()).unwrap();
    let line = |subject, issuer, now| find(&list, subject, issuer, now).map(|ban| ban.line);
    assert_eq!(line("/o=grid/cn=EVE", "/CN=CA", "2027-01-31T23:59:59Z"), Some(2));
    assert_eq!(line("/O=Grid/CN=Eve", "/CN=CA", "2027-02-01T00:00:00Z"), None);
    assert_eq!(line("/O=Grid/CN=Alice", "/O=Other/CN=CA", "2030-01-01T00:00:00Z"), Some(4));
    assert_eq!(line("/O=Other/CN=CA", "/O=Grid/CN=Eve", "2026-01-01T00:00:00Z"), None, "kinds are not mixed");
    // An ended ban does not hide a later one.
    let twice = "subject \"/CN=x\" until 2026-01-01\nsubject \"/CN=x\"\n";
    let twice = BanList::parse(twice.as_bytes()).unwrap();
    assert_eq!(find(&twice, "/CN=x", "/CN=CA", "2026-06-01T00:00:00Z").map(|ban| ban.line), Some(2));
}

#[test]
fn one_malformed_line_makes_the_file_unusable() {
    for (line, says) in [
        ("\"/CN=x\"", "begins no ban"),
        ("subjects \"/CN=x\"", "begins no ban"),
        ("subject", "of whom"),
        ("subject \"/CN=x", "never closed"),
        ("subject eve", "is no name"),
        ("subject \"/CN=x\" until tomorrow", "no day and no moment"),
        ("subject \"/CN=x\" until", "no day and no moment"),
    ] {
        let problems = BanList::parse(format!("subject \"/CN=ok\"\n{line}\n").as_bytes()).unwrap_err();
        assert!(matches!(&problems[..], [(2, problem)] if problem.contains(says)), "{line}: {problems:?}");
    }
    let garbage = "x\n".repeat(1000);
    assert_eq!(BanList::parse(garbage.as_bytes()).unwrap_err().len(), MAX_PROBLEMS);
}

#[test]
fn files_are_limited_and_name_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("banned");
    let error = || BanList::read(&path).unwrap_err().to_string();
    assert!(error().contains("banned"), "{}", error());
    std::fs::write(&path, "subject \"/CN=x\"\nnonsense\n").unwrap();
    assert!(error().contains("line 2: \"nonsense\""), "{}", error());
    std::fs::File::create(&path).unwrap().set_len(MAX_BAN_LIST_BYTES as u64 + 1).unwrap();
    assert!(error().contains("longer than"), "{}", error());
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes: Vec<u8>, tail in "(subject|issuer)? ?[\"/A-Z=a-z\\\\ -~]{0,40}") {
        let _ = BanList::parse(&bytes);
        let _ = BanList::parse(tail.as_bytes());
    }
}
