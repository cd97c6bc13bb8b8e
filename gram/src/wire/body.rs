//! Attribute lines (gram.md §4): `name: value` CR LF, the value bare or quoted, and a NUL after the last line.

use super::{Extensions, MAX_BODY, PROTOCOL_VERSION, WireError, excerpt};
use std::borrow::Cow;

/// Most attributes taken from one body.
pub const MAX_ATTRIBUTES: usize = 256;

/// Attributes whose value is a number and therefore sent without quotes; every other extension is quoted.
const BARE_EXTENSIONS: [&str; 2] = [EXIT_CODE, QUIET_EXIT_CODE];

/// The exit code of a job, in the update with its end.
pub const EXIT_CODE: &str = "exit-code";
/// The exit code in the answer to a query. Not under its stock name: stock clients print that in a line after the state,
/// and `globus-job-clean` and `globus-job-cancel` take the two lines for a job that is not done and fail.
pub const QUIET_EXIT_CODE: &str = "gridiron-exit-code";

/// The attributes of a body, in the order they came; values unquoted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(Vec<(String, Vec<u8>)>);

impl Attributes {
    /// Decodes a body, with or without its NUL. Names may repeat; look-ups find the first.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        Self::decode_within(body, MAX_BODY)
    }

    /// As [`Self::decode`], with another limit for the body.
    pub fn decode_within(body: &[u8], max_body: usize) -> Result<Self, WireError> {
        if body.len() > max_body {
            return Err(WireError::BodyTooLong { length: body.len() as u64 });
        }
        let text = trim_nul(body);
        let mut attributes = Vec::new();
        let mut offset = 0;
        while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
            let fail = |what| WireError::Body { offset, what };
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(fail("too many attributes"));
            }
            let colon = rest.iter().position(|b| matches!(b, b':' | b'\r' | b'\n')).unwrap_or(rest.len());
            let (name, after) = rest.split_at(colon);
            let value = after.strip_prefix(b":").ok_or(fail("a line without a colon"))?;
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let name = std::str::from_utf8(name).map_err(|_| fail("an attribute name that is not text"))?;
            if name.is_empty() || name.contains(char::is_control) {
                return Err(fail("an attribute name that is empty or holds control characters"));
            }
            let (value, rest) = unquote(value).ok_or(fail("a quoted value without its closing quote"))?;
            let rest = match rest {
                [] => rest,
                [b'\r', b'\n', rest @ ..] => rest,
                _ => return Err(fail("no line end after the value")),
            };
            attributes.push((name.to_owned(), value));
            offset = text.len() - rest.len();
        }
        Ok(Self(attributes))
    }

    /// The value of an attribute.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// The value as text; what is not UTF-8 is replaced.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.bytes(name).map(String::from_utf8_lossy)
    }

    /// A decimal number; None when the attribute is absent.
    pub fn number(&self, name: &'static str) -> Result<Option<i64>, WireError> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or_else(|| WireError::BadAttribute {
            name,
            value: excerpt(value),
            expected: "a decimal number",
        })
    }

    /// A number from 0 that must be there.
    pub fn required_number<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T, WireError> {
        let number = self.number(name)?.ok_or(WireError::MissingAttribute(name))?;
        T::try_from(number).map_err(|_| WireError::BadAttribute {
            name,
            value: number.to_string(),
            expected: "a number in range",
        })
    }

    /// Refuses a body whose `protocol-version` is missing or not ours.
    pub fn check_version(&self) -> Result<(), WireError> {
        match self.number("protocol-version")? {
            None => Err(WireError::MissingAttribute("protocol-version")),
            Some(version) if version == i64::from(PROTOCOL_VERSION) => Ok(()),
            Some(version) => Err(WireError::Version(version)),
        }
    }

    /// Every attribute but these, as text.
    pub fn extensions(&self, known: &[&str]) -> Extensions {
        let unknown = self.0.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        unknown.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
    }

    /// All of them, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value of an extension by name.
pub fn extension<'a>(extensions: &'a Extensions, name: &str) -> Option<&'a str> {
    extensions.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// Writes a body line by line, `protocol-version` first.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with the protocol version.
    pub fn new() -> Self {
        let mut writer = Self(Vec::with_capacity(256));
        writer.number("protocol-version", PROTOCOL_VERSION);
        writer
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.bare(name, &value.to_string())
    }

    /// A value without quotes, for URLs; line ends and NUL are left out, they would start another line.
    pub fn bare(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        for byte in value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
            escape(byte, &mut self.0); // readers drop backslashes in bare values too
        }
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// A quoted value, which may hold anything.
    pub fn quoted(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.name(name);
        quote(value, &mut self.0);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// A line that is a quoted string without a name: a query.
    pub fn nameless(&mut self, value: &[u8]) -> &mut Self {
        quote(value, &mut self.0);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Extensions, quoted unless they are numbers.
    pub fn extensions(&mut self, extensions: &[(String, String)]) -> &mut Self {
        for (name, value) in extensions {
            if BARE_EXTENSIONS.contains(&name.as_str()) {
                self.bare(name, value);
            } else {
                self.quoted(name, value.as_bytes());
            }
        }
        self
    }

    /// The body, with the NUL that stock bodies end with.
    pub fn finish(&mut self) -> Vec<u8> {
        self.0.push(0);
        std::mem::take(&mut self.0)
    }

    /// The body without the NUL.
    pub fn finish_without_nul(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// Names are ours, or extension names: nothing that could end the line gets through.
    fn name(&mut self, name: &str) {
        self.0.extend(name.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | b':' | 0)));
        self.0.extend_from_slice(b": ");
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

/// The body without the NULs at its end.
pub(super) fn trim_nul(body: &[u8]) -> &[u8] {
    let end = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    body.get(..end).unwrap_or(body)
}

/// Appends `value` in double quotes, a backslash before each `"` and `\`.
fn quote(value: &[u8], out: &mut Vec<u8>) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    for byte in value {
        escape(*byte, out);
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    if matches!(byte, b'"' | b'\\') {
        out.push(b'\\');
    }
    out.push(byte);
}

/// A value and what follows it. A backslash is dropped and the byte after it kept, in bare values too. None: a quote is
/// not closed.
pub(super) fn unquote(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (quoted, start) = match input {
        [b'"', rest @ ..] => (true, rest),
        _ => (false, input),
    };
    let mut value = Vec::new();
    let mut bytes = start.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => value.extend(bytes.next().map(|(_, byte)| *byte)),
            b'"' if quoted => return Some((value, start.get(at + 1..)?)),
            b'\r' if !quoted => return Some((value, start.get(at..)?)),
            byte => value.push(*byte),
        }
    }
    if quoted { None } else { Some((value, &[])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_in_any_order_with_unknown_ones() {
        let body = b"x-new: 1\r\nrsl: \"&(a=\\\"b\\\\c\\\")\r\nx\"\r\nprotocol-version: 2\r\n\0";
        let attributes = Attributes::decode(body).unwrap();
        assert_eq!(attributes.bytes("rsl"), Some(&b"&(a=\"b\\c\")\r\nx"[..]));
        attributes.check_version().unwrap();
        assert_eq!(attributes.extensions(&["rsl", "protocol-version"]), vec![("x-new".into(), "1".into())]);
    }

    #[test]
    fn without_nul_and_without_last_line_end() {
        let attributes = Attributes::decode(b"protocol-version: 2\r\nstatus:8").unwrap();
        assert_eq!(attributes.number("status"), Ok(Some(8)));
        assert!(Attributes::decode(b"").unwrap().is_empty());
        assert!(Attributes::decode(b"\0").unwrap().is_empty());
    }

    #[test]
    fn what_is_refused() {
        for body in [
            &b"status 8\r\n"[..],
            b": 8\r\n",
            b"a: \"x\r\n",
            b"a: \"x\"y\r\n",
            b"\xff: 1\r\n",
            b"\0: 1\r\n",
            b"a: 1\rb: 2\r\n",
        ] {
            assert!(matches!(Attributes::decode(body), Err(WireError::Body { .. })), "{body:?}");
        }
        let attributes = Attributes::decode(b"protocol-version: 3\r\nstatus: x\r\nmask: -1\r\n").unwrap();
        assert_eq!(attributes.check_version(), Err(WireError::Version(3)));
        assert!(attributes.number("status").is_err());
        assert!(attributes.required_number::<u32>("mask").is_err());
        assert_eq!(attributes.required_number::<u32>("none"), Err(WireError::MissingAttribute("none")));
    }

    #[test]
    fn limits() {
        let many = "a: 1\r\n".repeat(MAX_ATTRIBUTES);
        assert_eq!(Attributes::decode(many.as_bytes()).unwrap().len(), MAX_ATTRIBUTES);
        let more = "a: 1\r\n".repeat(MAX_ATTRIBUTES + 1);
        assert!(Attributes::decode(more.as_bytes()).is_err());
        assert!(matches!(Attributes::decode(&vec![b'a'; MAX_BODY + 1]), Err(WireError::BodyTooLong { .. })));
    }

    #[test]
    fn nothing_that_is_written_starts_another_line() {
        let body =
            Writer::new().bare("url", "a\r\nb\0").extensions(&[("x\r\n".into(), "1\r\n2".into())]).finish();
        let attributes = Attributes::decode(&body).unwrap();
        assert_eq!(attributes.len(), 3);
        assert_eq!(attributes.bytes("url"), Some(&b"ab"[..]));
        assert_eq!(attributes.bytes("x"), Some(&b"1\r\n2"[..]));
    }

    proptest! {
        #[test]
        fn quoted_values_read_back(value: Vec<u8>) {
            let body = Writer::new().quoted("v", &value).finish();
            let attributes = Attributes::decode(&body).unwrap();
            prop_assert_eq!(attributes.bytes("v"), Some(&value[..]));
        }

        #[test]
        fn bare_values_read_back(value in "[ -~]{0,20}") {
            let body = Writer::new().bare("v", &value).finish();
            let attributes = Attributes::decode(&body).unwrap();
            prop_assert_eq!(attributes.bytes("v"), Some(value.as_bytes()));
        }

        #[test]
        fn never_panics(body: Vec<u8>) {
            let _ = Attributes::decode(&body);
        }

        #[test]
        fn never_panics_on_nearly_right_text(body in "([a-z]{0,3}:? ?\"?[a-z\\\\\"]{0,4}\"?\r?\n?){0,5}") {
            let _ = Attributes::decode(body.as_bytes());
        }
    }
}
