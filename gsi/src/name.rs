//! Distinguished names (gsi.md §7): DER, the one-line rendering, comparing, hashing.

mod one_line;
mod parts;
#[cfg(test)]
mod tests;

pub(crate) use one_line::unescape;
pub use parts::NamePart;

use crate::GsiError;
use crate::attribute;
use crate::der::{self, DerError, Reader};
use md5::{Digest as _, Md5};
use one_line::{components, normalize, oid_of_type};
use sha1::Sha1;
use std::fmt::Write as _;
use x509_parser::asn1_rs::{Any, FromDer as _, Oid};
use x509_parser::x509::X509Name;

/// Longest name accepted, in bytes of DER or of one-line text.
pub const MAX_NAME_BYTES: usize = 16 * 1024;

const UTF8_STRING: u8 = 12;
const PRINTABLE_STRING: u8 = 19;
const TELETEX_STRING: u8 = 20;
const IA5_STRING: u8 = 22;
const VISIBLE_STRING: u8 = 26;
const UNIVERSAL_STRING: u8 = 28;
const BMP_STRING: u8 = 30;

/// A name as it stands in a certificate: raw DER, kept byte for byte, with the forms everybody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    der: Vec<u8>,
    one_line: Subject,
    /// The canonical form of §7.3: what chaining and file names are decided on.
    canonical: Vec<u8>,
    first_common_name: Option<String>,
}

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The DER is not that of a Name.
    #[error("not a distinguished name in DER: {0}")]
    Malformed(String),
    /// Something in it is not DER, or not part of a name.
    #[error("not a distinguished name: {0}")]
    Structure(#[from] DerError),
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("a name of {0} bytes is too long (at most {MAX_NAME_BYTES})")]
    TooLong(usize),
    /// One-line text that does not begin with a slash.
    #[error("{0:?} is not a subject name: it must start with `/`, as in /O=Grid/CN=Some Body")]
    NoSlash(String),
    /// One-line text with a part that has no `=`.
    #[error("{text:?} is not a subject name: {part:?} has no `=`; write TYPE=value, as in CN=Some Body")]
    NoValue {
        /// The whole text.
        text: String,
        /// The part at fault.
        part: String,
    },
    /// One-line text with an attribute type nobody knows.
    #[error(
        "unknown attribute type {kind:?} in {text:?}; known are C, ST, L, O, OU, CN, DC, UID, emailAddress ... or an OID"
    )]
    UnknownType {
        /// The whole text.
        text: String,
        /// The type at fault.
        kind: String,
    },
}

/// A name in the one-line rendering `/O=Grid/CN=x` (§7.1). `==` is the exact comparison of self and identity
/// authorization; [`Subject::matches`] the normalised one of gridmaps and signing policies (§7.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// Takes a one-line name as written by a person or a file.
    pub fn new(one_line: impl Into<String>) -> Self {
        Self(one_line.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gridmap and signing-policy comparison: without case, old spellings of `emailAddress` and `UID` equal to new ones.
    pub fn matches(&self, other: &Subject) -> bool {
        self == other || self.normalized() == other.normalized()
    }

    /// The text two subjects share exactly when they [match](Self::matches): a key for look-up tables.
    pub fn normalized(&self) -> String {
        normalize(&self.0)
    }

    /// The first CN, if any, as it is written in the text (escapes of §7.1 included).
    pub fn common_name(&self) -> Option<&str> {
        components(&self.0).find(|part| part.kind.eq_ignore_ascii_case("CN")).map(|part| part.value)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// From the DER SEQUENCE of a Name.
    pub fn from_der(der: &[u8]) -> Result<Self, GsiError> {
        Ok(Self::decode(der)?)
    }

    fn decode(der: &[u8]) -> Result<Self, NameError> {
        if der.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong(der.len()));
        }
        match X509Name::from_der(der) {
            Ok(([], parsed)) => Self::from_parsed(&parsed),
            Ok((rest, _)) => Err(NameError::Malformed(format!("{} bytes follow it", rest.len()))),
            Err(error) => Err(NameError::Malformed(error.to_string())),
        }
    }

    /// From a name the X.509 parser has already read. That parser stops quietly where a part makes no sense to it; a
    /// name that says more than we would show, compare or map is refused.
    pub(crate) fn from_parsed(parsed: &X509Name<'_>) -> Result<Self, NameError> {
        let (read, there) = (parsed.iter_attributes().count(), count_attributes(parsed.as_raw())?);
        if read != there {
            return Err(NameError::Malformed(format!("{there} attributes, of which {read} can be read")));
        }
        let mut name = Self::empty();
        name.der = parsed.as_raw().to_vec();
        for rdn in parsed.iter_rdn() {
            let attributes = rdn.iter().map(|attribute| Attribute {
                oid: attribute.attr_type(),
                tag: identifier_octet(attribute.attr_value()),
                value: attribute.attr_value().data,
            });
            name.push_derived(&attributes.collect::<Vec<_>>());
        }
        Ok(name)
    }

    /// Parses a one-line name into DER (§7.2 last item). Beyond what stock programs read, the escapes of the rendering
    /// (`\/`, `\+`, `\xHH`) and multi-valued RDNs are understood, so that every rendering can be read back.
    pub fn parse_one_line(text: &str) -> Result<Self, GsiError> {
        Ok(Self::encode(text)?)
    }

    fn encode(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong(text.len()));
        }
        if !text.starts_with('/') {
            return Err(NameError::NoSlash(text.to_owned()));
        }
        let mut rdns: Vec<Vec<(Oid<'static>, u8, Vec<u8>)>> = Vec::new();
        for part in components(text) {
            if part.kind.is_empty() || part.malformed {
                return Err(NameError::NoValue { text: text.to_owned(), part: part.kind.to_owned() });
            }
            let unknown = || NameError::UnknownType { text: text.to_owned(), kind: part.kind.to_owned() };
            let oid = oid_of_type(part.kind).ok_or_else(unknown)?;
            let value = unescape(part.value.as_bytes());
            let attribute = (oid.clone(), string_tag(&oid, &value), value);
            match rdns.last_mut() {
                Some(rdn) if part.joined => rdn.push(attribute),
                _ => rdns.push(vec![attribute]),
            }
        }
        let mut name = Self::empty();
        for rdn in &rdns {
            let attributes = rdn.iter().map(|(oid, tag, value)| Attribute { oid, tag: *tag, value });
            name.push(attributes.collect());
        }
        Ok(name)
    }

    /// The DER SEQUENCE.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The one-line rendering.
    pub fn subject(&self) -> &Subject {
        &self.one_line
    }

    /// The value of the first CN, unescaped; what host authorization looks at (§7.4).
    pub fn common_name(&self) -> Option<&str> {
        self.first_common_name.as_deref()
    }

    /// New-style hash for file names in a trust directory (§7.3), 8 hex digits.
    pub fn hash(&self) -> String {
        file_name_hash(&Sha1::digest(&self.canonical))
    }

    /// Old-style (MD5) hash.
    pub fn old_hash(&self) -> String {
        file_name_hash(&Md5::digest(&self.der))
    }

    /// Comparison for issuer/subject chaining: canonical form of §7.3.
    pub fn chains_to(&self, other: &Name) -> bool {
        self.canonical == other.canonical
    }

    /// This name plus one CN RDN (PrintableString): the subject of a proxy.
    #[must_use]
    pub fn with_common_name(&self, cn: &str) -> Name {
        let oid = COMMON_NAME;
        let tag = if is_printable_string(cn.as_bytes()) { PRINTABLE_STRING } else { UTF8_STRING };
        let mut name = self.clone();
        name.push(vec![Attribute { oid: &oid, tag, value: cn.as_bytes() }]);
        name
    }

    /// The value of the last RDN when that is a single CN: `proxy` in a legacy proxy's subject.
    pub(crate) fn last_common_name<'a>(parsed: &'a X509Name<'_>) -> Option<&'a [u8]> {
        let rdn = parsed.iter_rdn().last()?;
        let mut attributes = rdn.iter();
        let attribute = attributes.next()?;
        (attributes.next().is_none() && *attribute.attr_type() == COMMON_NAME)
            .then(|| attribute.attr_value().data)
    }

    /// True when `self` is `issuer` plus exactly one RDN that is a single CN: the shape of every proxy's subject (§5.1).
    pub(crate) fn extends_by_common_name(parsed: &X509Name<'_>, issuer: &X509Name<'_>) -> bool {
        let depth = issuer.iter_rdn().count();
        let same_start =
            parsed.iter_rdn().take(depth).map(rdn_canonical).eq(issuer.iter_rdn().map(rdn_canonical));
        parsed.iter_rdn().count() == depth + 1 && same_start && Self::last_common_name(parsed).is_some()
    }

    fn empty() -> Self {
        let one_line = Subject(String::new());
        Self { der: der::sequence(&[]), one_line, canonical: Vec::new(), first_common_name: None }
    }

    /// Appends an RDN to the DER and to the derived forms.
    fn push(&mut self, mut attributes: Vec<Attribute<'_>>) {
        // In the order in which they stand in the DER, so that reading it gives the same text.
        attributes.sort_by_cached_key(Attribute::to_der);
        let before = Reader::new(&self.der).content(der::SEQUENCE).unwrap_or_default();
        self.der = der::sequence(&[before, &set_of(attributes.iter().map(Attribute::to_der))]);
        self.push_derived(&attributes);
    }

    /// Appends an RDN to the derived forms only.
    fn push_derived(&mut self, attributes: &[Attribute<'_>]) {
        self.canonical.extend(set_of(attributes.iter().map(Attribute::to_canonical)));
        for (index, attribute) in attributes.iter().enumerate() {
            self.one_line.0.push(if index == 0 { '/' } else { '+' });
            attribute.render(&mut self.one_line.0);
            if self.first_common_name.is_none() && *attribute.oid == COMMON_NAME {
                self.first_common_name = attribute.text();
            }
        }
    }
}

const COMMON_NAME: Oid<'static> = Oid::new(std::borrow::Cow::Borrowed(&[0x55, 0x04, 0x03]));

/// One type and value of an RDN.
struct Attribute<'a> {
    oid: &'a Oid<'a>,
    /// Identifier octet of the value.
    tag: u8,
    value: &'a [u8],
}

impl Attribute<'_> {
    fn to_der(&self) -> Vec<u8> {
        self.encode(self.tag, self.value)
    }

    fn to_canonical(&self) -> Vec<u8> {
        match self.text() {
            Some(text) => self.encode(UTF8_STRING, canonical_text(&text).as_bytes()),
            None => self.to_der(),
        }
    }

    fn encode(&self, tag: u8, value: &[u8]) -> Vec<u8> {
        der::sequence(&[&der::object_identifier(self.oid.as_bytes()), &der::element(tag, &[value])])
    }

    /// The value as text, for the string types that OpenSSL folds into the canonical form.
    fn text(&self) -> Option<String> {
        let latin1 = || self.value.iter().map(|&byte| char::from(byte)).collect();
        match self.tag {
            UTF8_STRING => std::str::from_utf8(self.value).ok().map(str::to_owned),
            PRINTABLE_STRING | TELETEX_STRING | IA5_STRING | VISIBLE_STRING => Some(latin1()),
            BMP_STRING => {
                let units = self.value.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
                let units: Vec<u16> = units.map(u16::from_be_bytes).collect();
                String::from_utf16(&units).ok()
            }
            UNIVERSAL_STRING => {
                let units = self.value.chunks_exact(4).filter_map(|quad| quad.try_into().ok());
                units.map(|quad| char::from_u32(u32::from_be_bytes(quad))).collect()
            }
            _ => None,
        }
    }

    /// `TYPE=value` with the escapes of §7.1.
    fn render(&self, out: &mut String) {
        let dotted = self.oid.to_id_string();
        out.push_str(attribute::by_oid(&dotted).map_or(dotted.as_str(), |known| known.short));
        out.push('=');
        for &byte in self.value {
            match byte {
                b'/' | b'+' => out.extend(['\\', char::from(byte)]),
                b' '..=b'~' => out.push(char::from(byte)),
                _ => {
                    let _ = write!(out, "\\x{byte:02X}");
                }
            }
        }
    }
}

fn rdn_canonical(rdn: &x509_parser::x509::RelativeDistinguishedName<'_>) -> Vec<u8> {
    set_of(rdn.iter().map(|attribute| {
        let tag = identifier_octet(attribute.attr_value());
        Attribute { oid: attribute.attr_type(), tag, value: attribute.attr_value().data }.to_canonical()
    }))
}

/// Blanks trimmed and folded, ASCII letters lower-cased (§7.3).
fn canonical_text(text: &str) -> String {
    // OpenSSL's idea of a blank includes the vertical tab, Rust's `is_ascii_whitespace` does not.
    let blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let mut words = text.split(blank).filter(|word| !word.is_empty());
    let mut out = String::with_capacity(text.len());
    if let Some(first) = words.next() {
        out.push_str(first);
    }
    for word in words {
        out.push(' ');
        out.push_str(word);
    }
    out.make_ascii_lowercase();
    out
}

/// The string type OpenSSL would choose when making a request: the fixed ones of RFC 5280, UTF8String for the rest.
fn string_tag(oid: &Oid<'_>, value: &[u8]) -> u8 {
    let short = attribute::by_oid(&oid.to_id_string()).map(|known| known.short);
    match short {
        Some("C" | "serialNumber" | "dnQualifier") if is_printable_string(value) => PRINTABLE_STRING,
        Some("emailAddress" | "DC") if value.is_ascii() => IA5_STRING,
        _ if std::str::from_utf8(value).is_ok() => UTF8_STRING,
        _ => TELETEX_STRING,
    }
}

fn is_printable_string(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte))
}

fn identifier_octet(any: &Any<'_>) -> u8 {
    let number = u8::try_from(any.tag().0).unwrap_or(0x1f) & 0x1f;
    (any.class() as u8) << 6 | u8::from(any.header.is_constructed()) << 5 | number
}

fn file_name_hash(digest: &[u8]) -> String {
    let first: [u8; 4] = digest.first_chunk().copied().unwrap_or_default();
    format!("{:08x}", u32::from_le_bytes(first))
}

/// How many attributes a Name has; every byte of it must belong to one.
fn count_attributes(der: &[u8]) -> Result<usize, DerError> {
    let mut outer = Reader::new(der);
    let mut rdns = outer.nested(der::SEQUENCE)?;
    outer.finish()?;
    let mut count = 0;
    while rdns.peek().is_some() {
        let mut rdn = rdns.nested(der::SET)?;
        // A relative name has at least one attribute.
        loop {
            let mut attribute = rdn.nested(der::SEQUENCE)?;
            attribute.content(der::OBJECT_IDENTIFIER)?;
            attribute.whole()?;
            attribute.finish()?;
            count += 1;
            if rdn.peek().is_none() {
                break;
            }
        }
    }
    Ok(count)
}

/// A DER SET OF: members in ascending order of their encodings.
fn set_of(members: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut members: Vec<_> = members.collect();
    members.sort();
    der::element(der::SET, &[&members.concat()])
}
