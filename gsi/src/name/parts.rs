//! A name taken apart, for those who print it in another form than the one-line one.

use super::{Attribute, Name};
use crate::attribute;
use crate::der::{self, DerError, Reader};
use x509_parser::asn1_rs::Oid;

/// One type and value of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePart {
    /// Short name of the type (`CN`), or its dotted OID when it has none.
    pub kind: String,
    /// The type has a short name.
    pub known: bool,
    /// The value, when it is of a string type.
    pub text: Option<String>,
    /// The value as DER.
    pub der: Vec<u8>,
    /// Belongs to the same RDN as the part before.
    pub joined: bool,
}

impl Name {
    /// All types and values, in order.
    pub fn parts(&self) -> Vec<NamePart> {
        // What could not be read had been refused as a name.
        self.read_parts().unwrap_or_default()
    }

    fn read_parts(&self) -> Result<Vec<NamePart>, DerError> {
        let mut parts = Vec::new();
        let mut rdns = Reader::new(&self.der).nested(der::SEQUENCE)?;
        while rdns.peek().is_some() {
            let mut rdn = rdns.nested(der::SET)?;
            let mut joined = false;
            while rdn.peek().is_some() {
                let mut attribute = rdn.nested(der::SEQUENCE)?;
                let oid = Oid::new(attribute.content(der::OBJECT_IDENTIFIER)?.into());
                let tag = attribute.peek().ok_or(DerError::Truncated)?;
                let der = Reader::whole(&mut { attribute })?.to_vec();
                let value = attribute.content(tag)?;
                let dotted = oid.to_id_string();
                let short = attribute::by_oid(&dotted).map(|known| known.short.to_owned());
                parts.push(NamePart {
                    known: short.is_some(),
                    kind: short.unwrap_or(dotted),
                    text: Attribute { oid: &oid, tag, value }.text(),
                    der,
                    joined,
                });
                joined = true;
            }
        }
        Ok(parts)
    }
}
