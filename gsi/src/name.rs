//! Distinguished names (gsi.md §7): DER, the one-line rendering, comparing, hashing.

/// A name as it stands in a certificate: raw DER, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    der: Vec<u8>,
    one_line: Subject,
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
    /// Gridmap and signing-policy comparison.
    pub fn matches(&self, _other: &Subject) -> bool {
        todo!()
    }
    /// The first CN, if any.
    pub fn common_name(&self) -> Option<&str> {
        todo!()
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// From the DER SEQUENCE of a Name.
    pub fn from_der(_der: &[u8]) -> Result<Self, crate::GsiError> {
        todo!()
    }
    /// Parses a one-line name into DER (§7.2 last item).
    pub fn parse_one_line(_text: &str) -> Result<Self, crate::GsiError> {
        todo!()
    }
    /// The DER SEQUENCE.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }
    /// The one-line rendering.
    pub fn subject(&self) -> &Subject {
        &self.one_line
    }
    /// New-style hash for file names in a trust directory (§7.3), 8 hex digits.
    pub fn hash(&self) -> String {
        todo!()
    }
    /// Old-style (MD5) hash.
    pub fn old_hash(&self) -> String {
        todo!()
    }
    /// Comparison for issuer/subject chaining: canonical form of §7.3.
    pub fn chains_to(&self, _other: &Name) -> bool {
        todo!()
    }
    /// This name plus one CN RDN (PrintableString): the subject of a proxy.
    pub fn with_common_name(&self, _cn: &str) -> Name {
        todo!()
    }
}
