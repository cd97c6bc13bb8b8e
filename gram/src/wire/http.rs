//! The HTTP header of a GRAM message (gram.md §3).
//!
//! A header and its body go out in one buffer: a stock peer that reads the header alone never counts the body bytes that
//! come later and hangs.

use super::{CONTENT_TYPE, Decoded, MAX_BODY, MAX_HEADER, WireError, excerpt};

/// Most header lines looked at.
const MAX_LINES: usize = 64;

/// A request's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The URI as it stands on the request line: `/service`, `ping/service`, `/1/2/`, or a whole URL.
    pub uri: String,
    /// How long the body is, in bytes, at most [`MAX_BODY`]; None: the line is missing.
    pub length: Option<usize>,
}

/// A reply's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHead {
    /// The HTTP status.
    pub status: u16,
    /// How long the body is, in bytes, at most [`MAX_BODY`]; None: the line is missing, as in every reply but 200.
    pub length: Option<usize>,
}

impl RequestHead {
    /// Decodes the header at the start of `input`; the body starts after the bytes it took.
    ///
    /// A leading `0` or `D` is skipped: a peer that took a job contact for a gatekeeper sends its delegation flag first.
    pub fn decode(input: &[u8]) -> Result<Decoded<Self>, WireError> {
        Self::decode_within(input, MAX_BODY)
    }

    /// As [`Self::decode`], with another limit for the body.
    pub fn decode_within(input: &[u8], max_body: usize) -> Result<Decoded<Self>, WireError> {
        let (input, skipped) = match input {
            [b'0' | b'D', rest @ ..] => (rest, 1),
            _ => (input, 0),
        };
        let Some(header) = Header::split(input)? else { return Ok(Decoded::NeedMore) };
        let uri = request_uri(header.first).ok_or_else(|| WireError::RequestLine(excerpt(header.first)))?;
        let length = content_length(header.lines, max_body)?;
        Ok(Decoded::Value(Self { uri: uri.to_owned(), length }, skipped + header.size))
    }
}

impl ReplyHead {
    /// Decodes the header at the start of `input`; the body starts after the bytes it took.
    pub fn decode(input: &[u8]) -> Result<Decoded<Self>, WireError> {
        Self::decode_within(input, MAX_BODY)
    }

    /// As [`Self::decode`], with another limit for the body.
    pub fn decode_within(input: &[u8], max_body: usize) -> Result<Decoded<Self>, WireError> {
        let Some(header) = Header::split(input)? else { return Ok(Decoded::NeedMore) };
        let status =
            reply_status(header.first).ok_or_else(|| WireError::StatusLine(excerpt(header.first)))?;
        Ok(Decoded::Value(Self { status, length: content_length(header.lines, max_body)? }, header.size))
    }
}

/// A request as it is sent. `body` is empty or ends with the NUL that [`super::body::Writer`] adds.
pub fn encode_request(uri: &str, host: &str, body: &[u8]) -> Vec<u8> {
    let header = format!(
        "POST {uri} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    join(header, body)
}

/// A reply with status 200 and a body, as it is sent.
pub fn encode_reply(body: &[u8]) -> Vec<u8> {
    let header =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\r\n", body.len());
    join(header, body)
}

/// The acknowledgement of a state update: 200 without a body.
pub fn encode_acknowledgement() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n".to_vec()
}

/// A refusal without a body.
pub fn encode_refusal(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} {}\r\nConnection: close\r\n\r\n", reason(status)).into_bytes()
}

/// The reason phrase; clients insist on there being one and never read it.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

fn join(header: String, body: &[u8]) -> Vec<u8> {
    let mut message = header.into_bytes();
    message.extend_from_slice(body);
    message
}

/// A complete header, taken apart.
struct Header<'a> {
    /// The first line, without its end.
    first: &'a [u8],
    /// The other lines and the empty one.
    lines: &'a [u8],
    /// How many bytes all of it is.
    size: usize,
}

impl<'a> Header<'a> {
    /// None: the header has not ended yet.
    fn split(input: &'a [u8]) -> Result<Option<Self>, WireError> {
        let window = input.get(..MAX_HEADER).unwrap_or(input);
        let Some(end) = find(window, b"\r\n\r\n") else {
            return if input.len() >= MAX_HEADER { Err(WireError::HeaderTooLong) } else { Ok(None) };
        };
        let size = end + 4;
        let head = window.get(..size).unwrap_or_default();
        let (first, rest) = head.split_at(find(head, b"\r\n").unwrap_or(end));
        Ok(Some(Self { first, lines: rest.get(2..).unwrap_or_default(), size }))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// `POST <uri> HTTP/<any version>`; the URI may hold anything but blanks.
fn request_uri(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    let (uri, version) = text.strip_prefix("POST ")?.rsplit_once(' ')?;
    let plain = !uri.is_empty() && !uri.contains(|c: char| c.is_ascii_control() || c == ' ');
    (plain && version.starts_with("HTTP/")).then_some(uri)
}

/// `HTTP/1.<digit> <three digits> <reason>`.
fn reply_status(line: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(line).ok()?;
    let (version, rest) = text.split_once(' ')?;
    let digits = rest.split(' ').next()?;
    let known =
        version.starts_with("HTTP/1.") && digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
    if known { digits.parse().ok() } else { None }
}

/// The value of the Content-Length line, wherever it stands and however it is written.
fn content_length(lines: &[u8], max_body: usize) -> Result<Option<usize>, WireError> {
    let mut storage = [httparse::EMPTY_HEADER; MAX_LINES];
    if lines == b"\r\n" {
        return Ok(None);
    }
    let headers = match httparse::parse_headers(lines, &mut storage) {
        Ok(httparse::Status::Complete((_, headers))) => headers,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(WireError::HeaderLine(error.to_string())),
    };
    let mut found: Option<u64> = None;
    for header in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("Content-Length")) {
        let bad = || WireError::BadLength(excerpt(header.value));
        let text = std::str::from_utf8(header.value).map_err(|_| bad())?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let length = text.parse().unwrap_or(u64::MAX); // only overflow is left, and that is too long in any case
        if found.is_some_and(|other| other != length) {
            return Err(bad());
        }
        found = Some(length);
    }
    match found {
        None => Ok(None),
        Some(length) => match usize::try_from(length) {
            Ok(length) if length <= max_body => Ok(Some(length)),
            _ => Err(WireError::BodyTooLong { length }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> Result<Decoded<RequestHead>, WireError> {
        RequestHead::decode(text.as_bytes())
    }

    fn value<T>(decoded: Result<Decoded<T>, WireError>) -> (T, usize) {
        match decoded.unwrap() {
            Decoded::Value(value, taken) => (value, taken),
            Decoded::NeedMore => panic!("complete header"),
        }
    }

    #[test]
    fn what_is_sent_is_taken() {
        let bytes = encode_request("/jobmanager", "vm", b"body\0");
        let (head, taken) = value(RequestHead::decode(&bytes));
        assert_eq!(head, RequestHead { uri: "/jobmanager".into(), length: Some(5) });
        assert_eq!(&bytes[taken..], b"body\0");
        let (head, taken) = value(ReplyHead::decode(&encode_reply(b"x")));
        assert_eq!((head.status, head.length), (200, Some(1)));
        assert_eq!(taken, encode_reply(b"x").len() - 1);
        for status in [400, 403, 404, 500] {
            let (head, _) = value(ReplyHead::decode(&encode_refusal(status)));
            assert_eq!((head.status, head.length), (status, None));
        }
    }

    #[test]
    fn any_prefix_needs_more() {
        let bytes = encode_request("/1/2/", "vm", b"");
        for end in 0..bytes.len() {
            assert_eq!(RequestHead::decode(&bytes[..end]), Ok(Decoded::NeedMore), "{end}");
        }
        let bytes = encode_refusal(403);
        for end in 0..bytes.len() {
            assert_eq!(ReplyHead::decode(&bytes[..end]), Ok(Decoded::NeedMore), "{end}");
        }
    }

    #[test]
    fn liberal_in_what_is_taken() {
        // any order, any case, no blank after the colon, unknown lines, no other line at all
        let (head, _) = value(request("POST /s HTTP/1.0\r\nX-Y: z\r\ncontent-length:7\r\nhost:vm\r\n\r\n"));
        assert_eq!(head.length, Some(7));
        let (head, _) = value(request("POST ping/s HTTP/1.1\r\n\r\n"));
        assert_eq!((head.uri.as_str(), head.length), ("ping/s", None));
        // a delegation flag before the request
        for flag in ["0", "D"] {
            let text = format!("{flag}POST /s HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
            let (head, taken) = value(request(&text));
            assert_eq!((head.uri.as_str(), text.split_at(taken).1), ("/s", "abc"));
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "POST /\r\n\r\n",
            "POST  HTTP/1.1\r\n\r\n",
            "POST /a b HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(matches!(request(text), Err(WireError::RequestLine(_))), "{text:?}");
        }
        for length in ["x", "-1", "+1", "1 2", ""] {
            let text = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert!(matches!(request(&text), Err(WireError::BadLength(_))), "{length:?}");
        }
        let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert!(matches!(request(twice), Err(WireError::BadLength(_))));
        for text in
            ["HTTP/1.1 20 x\r\n\r\n", "HTTP/2 200 x\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 2000 x\r\n\r\n"]
        {
            assert!(matches!(ReplyHead::decode(text.as_bytes()), Err(WireError::StatusLine(_))), "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let long = format!("POST /s HTTP/1.1\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
        assert_eq!(request(&long), Err(WireError::BodyTooLong { length: MAX_BODY as u64 + 1 }));
        let huge = "POST /s HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n";
        assert_eq!(request(huge), Err(WireError::BodyTooLong { length: u64::MAX }));
        assert!(request(&format!("POST /s HTTP/1.1\r\nContent-Length: {MAX_BODY}\r\n\r\n")).is_ok());
        assert_eq!(request(&"x".repeat(MAX_HEADER)), Err(WireError::HeaderTooLong));
        assert_eq!(request(&"x".repeat(MAX_HEADER - 1)), Ok(Decoded::NeedMore));
        let lines = "A: b\r\n".repeat(MAX_LINES + 1);
        assert!(matches!(request(&format!("POST / HTTP/1.1\r\n{lines}\r\n")), Err(WireError::HeaderLine(_))));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = RequestHead::decode(&bytes);
            let _ = ReplyHead::decode(&bytes);
        }

        #[test]
        fn requests_read_back(uri in "[!-~]{1,60}", host in "[a-z.]{1,20}", body: Vec<u8>) {
            let bytes = encode_request(&uri, &host, &body);
            let (head, taken) = value(RequestHead::decode(&bytes));
            prop_assert_eq!(head, RequestHead { uri, length: Some(body.len()) });
            prop_assert_eq!(&bytes[taken..], &body[..]);
        }
    }
}
