//! The error numbers of rsl.md §9 that a request alone decides, and what the attributes become.

use super::*;
use crate::job::{FilePair, Staging};
use proptest::prelude::*;

pub(super) fn around() -> Surroundings {
    Surroundings {
        home: "/home/alice".into(),
        logname: "alice".into(),
        identity: "/O=Grid/CN=Alice".into(),
        globus_location: "/usr".into(),
        gatekeeper: ("vm".into(), 2119, "/O=Grid/CN=host/vm".into()),
        machine: MachineFacts {
            os_name: "Linux".into(),
            os_version: "6.1".into(),
            cpu_type: "x86_64".into(),
            manufacturer: "pc".into(),
        },
        scheduler: "fork".into(),
        key: JobKey { high: 1, low: 2 },
        contact: "https://vm:4/1/2/".into(),
        job_directory: "/state/alice/jobs/1.2".into(),
        scratch_name: "gram_scratch_abcdef".into(),
    }
}

fn spec(text: &str) -> JobSpec {
    match read(text.as_bytes(), &around()).unwrap_or_else(|failure| panic!("{text}: {failure}")) {
        Request::Submit { spec, .. } => *spec,
        Request::Restart { .. } => panic!("{text} is a restart"),
    }
}

/// 0: accepted.
fn code(text: &str) -> u16 {
    read(text.as_bytes(), &around()).map_or_else(|failure| failure.code.0, |_| 0)
}

#[test]
fn the_error_numbers_of_a_fork_service() {
    for (attributes, expected) in [
        ("(count=abc)", 14),
        ("(count=2.0)", 14),
        ("(count='2 ')", 14),
        ("(count=0)", 126),
        ("(count=-1)", 126),
        ("(count=1 2)", 14),
        ("(job_type=bogus)", 19),
        ("(job_type=a b)", 57),
        ("(dry_run=maybe)", 134),
        ("(dry_run=(a))", 53),
        ("(dry_run=a b)", 53),
        ("(environment=A)", 54),
        ("(environment=(A))", 54),
        ("(environment=(A B C))", 54),
        ("(environment=(A (b)))", 54),
        ("(environment=('' b))", 54),
        ("(environment=('A=B' b))", 54),
        ("(arguments=(a b))", 50),
        ("(two_phase=abc)", 114),
        ("(two_phase=-1)", 114),
        ("(save_state=maybe)", 150),
        ("(proxy_timeout=abc)", 153),
        ("(stdout=a b)", 65),
        ("(stderr=(a b))", 63),
        ("(stdin=a b)", 64),
        ("(directory=a b)", 52),
        ("(directory='')", 4),
        ("(stdout_position=0)", 138),
        ("(restartcontacts=yes)", 138),
        ("(foo=1)", 1),
        ("(count>1)", 48),
        ("(&(count=1))", 48),
        ("(arguments=$(UNDEFINED))", 39),
        ("(file_stage_in=a b)", 141),
        ("(file_stage_in_shared=a b)", 142),
        ("(file_stage_out=a b)", 143),
        ("(file_clean_up=(a))", 145),
        ("(file_stage_in=(a b))", 135),
        ("(file_stage_in_shared=(a b))", 135),
        ("(file_stage_in=(gsiftp://vm/a b))", 135),
        ("(file_stage_in=(https://vm:1/a ''))", 135),
        ("(file_stage_in=(https://vm:0/a b))", 135),
        ("(file_stage_in=(https://vm:1/a b)(file:///c d))", 0),
        ("(file_stage_out=(a b))", 155),
        ("(file_stage_out=(a x-gass-cache://b))", 155),
        ("(file_stage_out=(a https://vm:1/b)(x-gass-cache://c file:///d))", 0),
        ("(file_clean_up=a 'b c')", 0),
        ("(scratch_dir=/tmp)", 0),
        ("(scratch_dir='')", 0),
        ("(file_stage_in=(/etc/hostname b))", 0),
        ("(file_stage_out=(a /tmp/b))", 0),
        ("(scratch_dir=a b)", 146),
        ("(directory=$(SCRATCH_DIRECTORY))", 39),
        ("(gass_cache=a b)", 137),
        ("(loglevel=BAD)", 159),
        ("(loglevel='DEBUG|INFO')", 0),
        ("(username=other)", 167),
        ("(username=alice)", 0),
        ("(username=a b)", 166),
        ("(stdin=file:///etc/hostname)", 11),
        ("(stdin=gsiftp://h/f)", 44),
        ("(stdout=gsiftp://h/f)", 73),
        ("(stderr=nosuch://h/f)", 74),
        ("(stdout='')", 73),
        ("(max_wall_time=abc)", 102),
        ("(max_wall_time=-1)", 102),
        ("(max_wall_time=a b)", 101),
        // Ignored without error.
        (
            "(max_time=abc)(max_cpu_time=-4)(min_memory=abc)(max_memory=x)(queue=q)(project=p)(host_count=x)",
            0,
        ),
        ("(expiration=abc)", 0),
        ("(savejobdescription=yes)(logpattern=/tmp/log)", 0),
        ("(savejobdescription=maybe)", 134),
    ] {
        assert_eq!(code(&format!("&(executable=/bin/date){attributes}")), expected, "{attributes}");
    }
    for (text, expected) in [
        ("", 42),
        (" \n\0", 42),
        ("&(executable=", 48),
        ("|(executable=a)(executable=b)", 48),
        ("+(&(executable=a))", 48),
        ("executable=a", 48),
        ("&(executable!=a)", 48),
        ("&(arguments=a)", 81),
        ("&(executable='')", 55),
        ("&(executable=a b)", 55),
        ("&(executable=file:///bin/date)", 5),
        ("&(executable=ftp://h/bin/date)", 43),
        ("&(restart=nonsense)", 113),
        ("&(restart=(a))", 113),
        ("&(restart='https://vm:1/1/2/')(proxy_timeout=soon)", 153),
        ("&(restart='https://vm:1/1/2/')(stdout_position=5)", 117),
        ("&(restart='https://vm:1/1/2/')(stderr_position=(0))", 118),
        ("&(restart='https://vm:1/1/2/')(stdout=a b)", 65),
        ("&(restart='https://vm:1/1/2/')(executable=a)", 140),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    assert_eq!(code(&format!("&(executable={})", "x".repeat(MAX_RSL))), 2);
}

#[test]
fn refusals_name_the_attribute() {
    for attributes in
        ["(file_stage_in=(a b))", "(scratch_dir=(a))", "(username=bob)", "(loglevel=LOUD)", "(count=0)"]
    {
        let text = format!("&(executable=a){attributes}");
        let failure = read(text.as_bytes(), &around()).unwrap_err();
        let name = attributes.trim_start_matches('(').split('=').next().unwrap();
        assert!(failure.message.contains(&format!("`{name}`")), "{failure}");
    }
}

#[test]
fn defaults() {
    let spec = spec("&(executable=/bin/date)");
    assert_eq!(spec.executable, Input::File("/bin/date".into()));
    assert_eq!(spec.directory, "/home/alice".into());
    assert_eq!(spec.stdin, Input::File("/dev/null".into()));
    assert_eq!(spec.stdout, Output::File("/dev/null".into()));
    assert_eq!(spec.library_path, vec![Octets::from("/usr/lib")]);
    assert_eq!(spec.gass_cache, "/home/alice/.globus/.gass_cache".into());
    assert_eq!((spec.count, spec.job_type), (1, JobType::Multiple));
    assert_eq!((spec.two_phase, spec.expiration, spec.dry_run), (None, 14_400, false));
    assert!(!spec.save_description && spec.staging.is_none());
}

#[test]
fn paths_are_below_the_directory_and_that_below_home() {
    let spec = spec("&(executable=bin/x)(directory=sub)(stdin=in)(stdout=out)(stderr=/abs/err)");
    assert_eq!(spec.directory, "/home/alice/sub".into());
    assert_eq!(spec.executable, Input::File("/home/alice/sub/bin/x".into()));
    assert_eq!(spec.stdin, Input::File("/home/alice/sub/in".into()));
    assert_eq!(spec.stdout, Output::File("/home/alice/sub/out".into()));
    assert_eq!(spec.stderr, Output::File("/abs/err".into()));
}

#[test]
fn output_forms() {
    let output = |form: &str| spec(&format!("&(executable=a)(stdout={form})")).stdout;
    let entry = |tag: Option<&str>| CacheEntry { url: "x-gass-cache://n".into(), tag: tag.map(Into::into) };
    assert_eq!(output("x-gass-cache://n"), Output::Cache(entry(None)));
    assert_eq!(output("x-gass-cache://n anExtraTag"), Output::Cache(entry(Some("anExtraTag"))));
    let kept = "x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT)#'stdout'";
    assert!(
        matches!(output(kept), Output::Cache(CacheEntry { url, .. }) if url == "x-gass-cache://https://vm:4/1/2/stdout")
    );
    assert_eq!(
        output("(x-gass-cache://n t)(/a)"),
        Output::Deliver(vec![Destination::Cache(entry(Some("t"))), Destination::File("/a".into())])
    );
    assert_eq!(output("(/a)"), Output::Deliver(vec![Destination::File("/a".into())]));
}

#[test]
fn urls_are_fetched_and_delivered() {
    let spec =
        spec("&(executable=https://vm:1/x)(stdin=http://vm/i)(stdout=https://vm:1/o)(stderr=file:/tmp/e)");
    assert_eq!(spec.executable, Input::Url("https://vm:1/x".into()));
    assert_eq!(spec.stdin, Input::Url("http://vm/i".into()));
    assert_eq!(spec.stdout, Output::Deliver(vec![Destination::Url("https://vm:1/o".into())]));
    assert_eq!(spec.stderr, Output::Deliver(vec![Destination::Url("file:/tmp/e".into())]));
}

#[test]
fn staging_lists() {
    let text = "&(executable=a)(file_stage_in=(https://vm:1/a b)(file:///c /d))(file_stage_in_shared=(http://vm/e f))\
                (file_stage_out=(g https://vm:1/h))(file_clean_up=b 'x y')";
    let pair = |from: &str, to: &str| FilePair { from: from.into(), to: to.into() };
    let staging = Staging {
        stage_in: vec![pair("https://vm:1/a", "b"), pair("file:///c", "/d")],
        stage_in_shared: vec![pair("http://vm/e", "f")],
        stage_out: vec![pair("g", "https://vm:1/h")],
        clean_up: vec!["b".into(), "x y".into()],
        scratch: None,
    };
    let spec = spec(text);
    assert_eq!(spec.staging.as_deref(), Some(&staging));
    assert!(spec.needs_fetching() && spec.stages_out() && spec.cleans_up());
}

/// Its own value is evaluated first, with all symbols but its own, and may use the request's own definitions.
#[test]
fn the_scratch_directory_is_a_symbol() {
    for (base, scratch) in [
        ("/tmp", "/tmp/gram_scratch_abcdef"),
        ("$(HOME)", "/home/alice/gram_scratch_abcdef"),
        ("sub/", "/home/alice/sub/gram_scratch_abcdef"),
        ("$(MINE)", "/m/gram_scratch_abcdef"),
    ] {
        let spec = spec(&format!(
            "&(rsl_substitution=(MINE /m)(IN $(SCRATCH_DIRECTORY)/in))(executable=$(IN))(arguments=$(SCRATCH_DIRECTORY))(scratch_dir={base})"
        ));
        assert_eq!(spec.scratch(), Some(&scratch.into()), "{base}");
        assert_eq!(spec.arguments, vec![Octets::from(scratch)]);
        assert_eq!(spec.executable, Input::File(format!("{scratch}/in").as_str().into()));
        assert!(!spec.needs_fetching() && spec.needs_preparing());
    }
}

#[test]
fn failures_of_the_lists_name_source_and_destination() {
    let failure = read(b"&(executable=a)(file_stage_in=(gsiftp://vm/a b))", &around()).unwrap_err();
    assert_eq!(failure.kind, Some(crate::job::FailureKind::FileStageIn));
    assert_eq!(failure.source_url.as_deref(), Some("gsiftp://vm/a"));
    assert_eq!(failure.destination.as_deref(), Some("b"));
}

#[test]
fn every_symbol_is_defined() {
    for (symbol, value) in [
        ("HOME", "/home/alice"),
        ("LOGNAME", "alice"),
        ("GLOBUS_ID", "/O=Grid/CN=Alice"),
        ("GLOBUS_LOCATION", "/usr"),
        ("GLOBUS_GATEKEEPER_HOST", "vm"),
        ("GLOBUS_GATEKEEPER_PORT", "2119"),
        ("GLOBUS_GATEKEEPER_SUBJECT", "/O=Grid/CN=host/vm"),
        ("GLOBUS_HOST_OSNAME", "Linux"),
        ("GLOBUS_HOST_OSVERSION", "6.1"),
        ("GLOBUS_HOST_CPUTYPE", "x86_64"),
        ("GLOBUS_HOST_MANUFACTURER", "pc"),
        ("GLOBUS_GRAM_JOB_CONTACT", "https://vm:4/1/2/"),
        ("GLOBUS_GRAM_JOB_ID", "1.2"),
        ("GLOBUS_CACHED_STDOUT", "/state/alice/jobs/1.2/stdout"),
        ("GLOBUS_CACHED_STDERR", "/state/alice/jobs/1.2/stderr"),
    ] {
        let spec = spec(&format!("&(executable=a)(arguments=$({symbol}))"));
        assert_eq!(spec.arguments, vec![Octets::from(value)], "{symbol}");
    }
}

#[test]
fn the_last_of_duplicates_counts_for_the_scheduler_the_first_for_stdio() {
    let spec = spec(
        "&(executable=a)(executable=b)(count=2)(count=1)(stdout=/1)(stdout=/2)(two_phase=5)(two_phase=no)",
    );
    assert_eq!(spec.executable, Input::File("/home/alice/b".into()));
    assert_eq!(spec.count, 1);
    assert_eq!(spec.stdout, Output::File("/1".into()));
    assert_eq!(spec.two_phase, Some(5));
}

#[test]
fn two_phase_forms() {
    let two_phase = |text: &str| spec(&format!("&(executable=a)(two_phase={text})")).two_phase;
    assert_eq!(two_phase("yes"), Some(60));
    assert_eq!(two_phase("30"), Some(30));
    assert_eq!(two_phase("no"), None);
    assert_eq!(two_phase("0"), None);
}

#[test]
fn the_canonical_text_keeps_variables() {
    let Request::Submit { canonical, .. } = read(b"&(Executable=$(HOME)/x)", &around()).unwrap() else {
        panic!()
    };
    assert_eq!(canonical, "&(\"executable\" = $(\"HOME\") # \"/x\" )".into());
}

#[test]
fn a_restart_names_its_job() {
    let request = read(b"&(restart='https://vm:1/11/22/')(stdout=/x)", &around()).unwrap();
    let Request::Restart { key, update } = request else { panic!("{request:?}") };
    assert_eq!(key, JobKey { high: 11, low: 22 });
    assert_eq!(update.stdout, Some(Output::File("/x".into())));
    assert_eq!((update.stderr, update.remote_io_url), (None, None));
}

proptest! {
    #[test]
    fn never_panics(text in "[&|+()=$# \"'a-z:/0-9\\^\n]{0,60}") {
        let _ = read(text.as_bytes(), &around());
    }

    #[test]
    fn bytes_pass_through_unharmed(bytes in prop::collection::vec(1_u8..=255, 1..40)) {
        let quoted: Vec<u8> = bytes.iter().flat_map(|byte| if *byte == b'"' { vec![b'"', b'"'] } else { vec![*byte] }).collect();
        let text = [b"&(executable=a)(arguments=\"".as_slice(), &quoted, b"\")"].concat();
        let Ok(Request::Submit { spec, .. }) = read(&text, &around()) else { panic!() };
        prop_assert_eq!(&spec.arguments, &vec![Octets::from(bytes)]);
    }
}
