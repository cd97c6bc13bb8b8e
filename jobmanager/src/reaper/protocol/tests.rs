use proptest::{collection::vec, option, prelude::*};

use super::*;

fn key() -> impl Strategy<Value = JobKey> {
    any::<(u64, u64)>().prop_map(|(high, low)| JobKey { high, low })
}

fn os() -> impl Strategy<Value = OsString> {
    vec(any::<u8>(), 0..20).prop_map(OsString::from_vec)
}

fn command() -> impl Strategy<Value = Command> {
    let paths = vec(os().prop_map(PathBuf::from), 5);
    (paths, vec(os(), 0..5), vec((os(), os()), 0..5), 1..=MAX_PROCESSES, option::of(1..u64::MAX)).prop_map(
        |(paths, arguments, environment, processes, limit)| {
            let [executable, directory, stdin, stdout, stderr] = paths.try_into().unwrap();
            let limit = limit.map(Duration::from_secs);
            Command { executable, arguments, environment, directory, stdin, stdout, stderr, processes, limit }
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (key(), command()).prop_map(|(key, command)| Request::Start(key, Box::new(command))),
        key().prop_map(Request::Cancel),
        key().prop_map(Request::Suspend),
        key().prop_map(Request::Resume),
        key().prop_map(Request::Forget),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let status = prop_oneof![
        vec(any::<u32>(), 0..5).prop_map(Status::Active),
        vec(any::<u32>(), 0..5).prop_map(Status::Suspended),
        any::<i32>().prop_map(|code| Status::Ended(Outcome::Exited { code })),
        Just(Status::Ended(Outcome::TimeLimit)),
        Just(Status::Ended(Outcome::Lost)),
    ];
    let refusal = (0..Stage::ALL.len(), ".{0,20}")
        .prop_map(|(stage, message)| Refusal { stage: Stage::ALL[stage], message });
    prop_oneof![
        any::<u8>().prop_map(|version| Message::Hello { version }),
        (key(), status).prop_map(|(key, status)| Message::Status(key, status)),
        Just(Message::Listed),
        (any::<u64>(), option::of(refusal))
            .prop_map(|(id, refusal)| Message::Answer(id, refusal.map_or(Ok(()), Err))),
    ]
}

proptest! {
    #[test]
    fn a_request_survives(id: u64, request in request()) {
        let mut bytes = Vec::new();
        encode_request(id, &request, &mut bytes).unwrap();
        let (content, taken) = split_frame(&bytes).unwrap().unwrap();
        prop_assert_eq!(taken, bytes.len());
        prop_assert_eq!(decode_request(content).unwrap(), (id, request));
        // Every proper prefix of the content is an error, every proper prefix of the frame needs more.
        for cut in 0..content.len() {
            prop_assert!(decode_request(&content[..cut]).is_err());
        }
        for cut in 0..bytes.len() {
            prop_assert!(split_frame(&bytes[..cut]).unwrap().is_none());
        }
    }

    #[test]
    fn a_message_survives(message in message()) {
        let mut bytes = vec![9];
        encode_message(&message, &mut bytes).unwrap();
        let (content, _) = split_frame(&bytes[1..]).unwrap().unwrap();
        prop_assert_eq!(decode_message(content).unwrap(), message);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = split_frame(&bytes);
        let _ = decode_request(&bytes);
        let _ = decode_message(&bytes);
    }
}

#[test]
fn a_long_frame_is_refused_before_it_is_read() {
    let length = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    assert_eq!(split_frame(&length), Err(ProtocolError::TooLong(MAX_FRAME + 1)));
    let mut out = b"before".to_vec();
    let refusal = Refusal { stage: Stage::Other, message: "x".repeat(MAX_FRAME) };
    assert!(encode_message(&Message::Answer(1, Err(refusal)), &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn a_lying_count_allocates_nothing() {
    let mut content = vec![2];
    content.extend_from_slice(&[0; 16]);
    content.push(1);
    content.extend_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(decode_message(&content), Err(ProtocolError::Truncated));
}

#[test]
fn numbers_of_processes_have_bounds() {
    for processes in [0, MAX_PROCESSES + 1] {
        let command = Command {
            executable: "/bin/true".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: "/".into(),
            stdin: "/dev/null".into(),
            stdout: "/dev/null".into(),
            stderr: "/dev/null".into(),
            processes,
            limit: None,
        };
        let mut bytes = Vec::new();
        let request = Request::Start(JobKey { high: 1, low: 2 }, Box::new(command));
        encode_request(1, &request, &mut bytes).unwrap();
        assert!(decode_request(&bytes[4..]).is_err());
    }
}
