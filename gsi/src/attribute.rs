//! Attribute types of distinguished names: object identifiers and the short names OpenSSL prints for them (gsi.md §7.1).

/// One attribute type: the short name used in one-line names, the long name also accepted when reading, and the OID.
pub(crate) struct AttributeType {
    pub(crate) short: &'static str,
    pub(crate) long: &'static str,
    pub(crate) oid: &'static str,
}

const fn attribute(short: &'static str, long: &'static str, oid: &'static str) -> AttributeType {
    AttributeType { short, long, oid }
}

/// The type with this dotted OID.
pub(crate) fn by_oid(oid: &str) -> Option<&'static AttributeType> {
    TYPES.iter().find(|known| known.oid == oid)
}

/// The type a person wrote: short or long name as it is, then without regard to case, then the aliases that old
/// Globus software wrote into gridmaps (§7.2).
pub(crate) fn by_name(name: &str) -> Option<&'static AttributeType> {
    let exact = TYPES.iter().find(|known| known.short == name || known.long == name);
    let loose = || {
        TYPES
            .iter()
            .find(|known| known.short.eq_ignore_ascii_case(name) || known.long.eq_ignore_ascii_case(name))
    };
    let alias = || {
        (name.eq_ignore_ascii_case("E") || name.eq_ignore_ascii_case("Email"))
            .then(|| by_name("emailAddress"))
            .flatten()
    };
    exact.or_else(loose).or_else(alias)
}

/// Every type of the X.520, pilot, PKCS#9 and jurisdiction arcs that OpenSSL 3 has a short name for; order matters only
/// for the first few, which are nearly all one meets.
const TYPES: &[AttributeType] = &[
    attribute("CN", "commonName", "2.5.4.3"),
    attribute("C", "countryName", "2.5.4.6"),
    attribute("O", "organizationName", "2.5.4.10"),
    attribute("OU", "organizationalUnitName", "2.5.4.11"),
    attribute("DC", "domainComponent", "0.9.2342.19200300.100.1.25"),
    attribute("L", "localityName", "2.5.4.7"),
    attribute("ST", "stateOrProvinceName", "2.5.4.8"),
    attribute("emailAddress", "emailAddress", "1.2.840.113549.1.9.1"),
    attribute("UID", "userId", "0.9.2342.19200300.100.1.1"),
    attribute("serialNumber", "serialNumber", "2.5.4.5"),
    attribute("SN", "surname", "2.5.4.4"),
    attribute("GN", "givenName", "2.5.4.42"),
    attribute("street", "streetAddress", "2.5.4.9"),
    attribute("title", "title", "2.5.4.12"),
    attribute("unstructuredName", "unstructuredName", "1.2.840.113549.1.9.2"),
    attribute("contentType", "contentType", "1.2.840.113549.1.9.3"),
    attribute("messageDigest", "messageDigest", "1.2.840.113549.1.9.4"),
    attribute("signingTime", "signingTime", "1.2.840.113549.1.9.5"),
    attribute("countersignature", "countersignature", "1.2.840.113549.1.9.6"),
    attribute("challengePassword", "challengePassword", "1.2.840.113549.1.9.7"),
    attribute("unstructuredAddress", "unstructuredAddress", "1.2.840.113549.1.9.8"),
    attribute("extendedCertificateAttributes", "extendedCertificateAttributes", "1.2.840.113549.1.9.9"),
    attribute("initials", "initials", "2.5.4.43"),
    attribute("uid", "uniqueIdentifier", "0.9.2342.19200300.100.1.44"),
    attribute("description", "description", "2.5.4.13"),
    attribute("friendlyName", "friendlyName", "1.2.840.113549.1.9.20"),
    attribute("localKeyID", "localKeyID", "1.2.840.113549.1.9.21"),
    attribute("SMIME-CAPS", "S/MIME Capabilities", "1.2.840.113549.1.9.15"),
    attribute("extReq", "Extension Request", "1.2.840.113549.1.9.14"),
    attribute("name", "name", "2.5.4.41"),
    attribute("dnQualifier", "dnQualifier", "2.5.4.46"),
    attribute("SMIME", "S/MIME", "1.2.840.113549.1.9.16"),
    attribute("role", "role", "2.5.4.72"),
    attribute("textEncodedORAddress", "textEncodedORAddress", "0.9.2342.19200300.100.1.2"),
    attribute("mail", "rfc822Mailbox", "0.9.2342.19200300.100.1.3"),
    attribute("info", "info", "0.9.2342.19200300.100.1.4"),
    attribute("favouriteDrink", "favouriteDrink", "0.9.2342.19200300.100.1.5"),
    attribute("roomNumber", "roomNumber", "0.9.2342.19200300.100.1.6"),
    attribute("photo", "photo", "0.9.2342.19200300.100.1.7"),
    attribute("userClass", "userClass", "0.9.2342.19200300.100.1.8"),
    attribute("host", "host", "0.9.2342.19200300.100.1.9"),
    attribute("manager", "manager", "0.9.2342.19200300.100.1.10"),
    attribute("documentIdentifier", "documentIdentifier", "0.9.2342.19200300.100.1.11"),
    attribute("documentTitle", "documentTitle", "0.9.2342.19200300.100.1.12"),
    attribute("documentVersion", "documentVersion", "0.9.2342.19200300.100.1.13"),
    attribute("documentAuthor", "documentAuthor", "0.9.2342.19200300.100.1.14"),
    attribute("documentLocation", "documentLocation", "0.9.2342.19200300.100.1.15"),
    attribute("homeTelephoneNumber", "homeTelephoneNumber", "0.9.2342.19200300.100.1.20"),
    attribute("secretary", "secretary", "0.9.2342.19200300.100.1.21"),
    attribute("otherMailbox", "otherMailbox", "0.9.2342.19200300.100.1.22"),
    attribute("lastModifiedTime", "lastModifiedTime", "0.9.2342.19200300.100.1.23"),
    attribute("lastModifiedBy", "lastModifiedBy", "0.9.2342.19200300.100.1.24"),
    attribute("aRecord", "aRecord", "0.9.2342.19200300.100.1.26"),
    attribute("pilotAttributeType27", "pilotAttributeType27", "0.9.2342.19200300.100.1.27"),
    attribute("mXRecord", "mXRecord", "0.9.2342.19200300.100.1.28"),
    attribute("nSRecord", "nSRecord", "0.9.2342.19200300.100.1.29"),
    attribute("sOARecord", "sOARecord", "0.9.2342.19200300.100.1.30"),
    attribute("cNAMERecord", "cNAMERecord", "0.9.2342.19200300.100.1.31"),
    attribute("associatedDomain", "associatedDomain", "0.9.2342.19200300.100.1.37"),
    attribute("associatedName", "associatedName", "0.9.2342.19200300.100.1.38"),
    attribute("homePostalAddress", "homePostalAddress", "0.9.2342.19200300.100.1.39"),
    attribute("personalTitle", "personalTitle", "0.9.2342.19200300.100.1.40"),
    attribute("mobileTelephoneNumber", "mobileTelephoneNumber", "0.9.2342.19200300.100.1.41"),
    attribute("pagerTelephoneNumber", "pagerTelephoneNumber", "0.9.2342.19200300.100.1.42"),
    attribute("friendlyCountryName", "friendlyCountryName", "0.9.2342.19200300.100.1.43"),
    attribute("organizationalStatus", "organizationalStatus", "0.9.2342.19200300.100.1.45"),
    attribute("janetMailbox", "janetMailbox", "0.9.2342.19200300.100.1.46"),
    attribute("mailPreferenceOption", "mailPreferenceOption", "0.9.2342.19200300.100.1.47"),
    attribute("buildingName", "buildingName", "0.9.2342.19200300.100.1.48"),
    attribute("dSAQuality", "dSAQuality", "0.9.2342.19200300.100.1.49"),
    attribute("singleLevelQuality", "singleLevelQuality", "0.9.2342.19200300.100.1.50"),
    attribute("subtreeMinimumQuality", "subtreeMinimumQuality", "0.9.2342.19200300.100.1.51"),
    attribute("subtreeMaximumQuality", "subtreeMaximumQuality", "0.9.2342.19200300.100.1.52"),
    attribute("personalSignature", "personalSignature", "0.9.2342.19200300.100.1.53"),
    attribute("dITRedirect", "dITRedirect", "0.9.2342.19200300.100.1.54"),
    attribute("audio", "audio", "0.9.2342.19200300.100.1.55"),
    attribute("documentPublisher", "documentPublisher", "0.9.2342.19200300.100.1.56"),
    attribute("x500UniqueIdentifier", "x500UniqueIdentifier", "2.5.4.45"),
    attribute("generationQualifier", "generationQualifier", "2.5.4.44"),
    attribute("pseudonym", "pseudonym", "2.5.4.65"),
    attribute("postalCode", "postalCode", "2.5.4.17"),
    attribute("searchGuide", "searchGuide", "2.5.4.14"),
    attribute("businessCategory", "businessCategory", "2.5.4.15"),
    attribute("postalAddress", "postalAddress", "2.5.4.16"),
    attribute("postOfficeBox", "postOfficeBox", "2.5.4.18"),
    attribute("physicalDeliveryOfficeName", "physicalDeliveryOfficeName", "2.5.4.19"),
    attribute("telephoneNumber", "telephoneNumber", "2.5.4.20"),
    attribute("telexNumber", "telexNumber", "2.5.4.21"),
    attribute("teletexTerminalIdentifier", "teletexTerminalIdentifier", "2.5.4.22"),
    attribute("facsimileTelephoneNumber", "facsimileTelephoneNumber", "2.5.4.23"),
    attribute("x121Address", "x121Address", "2.5.4.24"),
    attribute("internationaliSDNNumber", "internationaliSDNNumber", "2.5.4.25"),
    attribute("registeredAddress", "registeredAddress", "2.5.4.26"),
    attribute("destinationIndicator", "destinationIndicator", "2.5.4.27"),
    attribute("preferredDeliveryMethod", "preferredDeliveryMethod", "2.5.4.28"),
    attribute("presentationAddress", "presentationAddress", "2.5.4.29"),
    attribute("supportedApplicationContext", "supportedApplicationContext", "2.5.4.30"),
    attribute("member", "member", "2.5.4.31"),
    attribute("owner", "owner", "2.5.4.32"),
    attribute("roleOccupant", "roleOccupant", "2.5.4.33"),
    attribute("seeAlso", "seeAlso", "2.5.4.34"),
    attribute("userPassword", "userPassword", "2.5.4.35"),
    attribute("userCertificate", "userCertificate", "2.5.4.36"),
    attribute("cACertificate", "cACertificate", "2.5.4.37"),
    attribute("authorityRevocationList", "authorityRevocationList", "2.5.4.38"),
    attribute("certificateRevocationList", "certificateRevocationList", "2.5.4.39"),
    attribute("crossCertificatePair", "crossCertificatePair", "2.5.4.40"),
    attribute("enhancedSearchGuide", "enhancedSearchGuide", "2.5.4.47"),
    attribute("protocolInformation", "protocolInformation", "2.5.4.48"),
    attribute("distinguishedName", "distinguishedName", "2.5.4.49"),
    attribute("uniqueMember", "uniqueMember", "2.5.4.50"),
    attribute("houseIdentifier", "houseIdentifier", "2.5.4.51"),
    attribute("supportedAlgorithms", "supportedAlgorithms", "2.5.4.52"),
    attribute("deltaRevocationList", "deltaRevocationList", "2.5.4.53"),
    attribute("dmdName", "dmdName", "2.5.4.54"),
    attribute("jurisdictionL", "jurisdictionLocalityName", "1.3.6.1.4.1.311.60.2.1.1"),
    attribute("jurisdictionST", "jurisdictionStateOrProvinceName", "1.3.6.1.4.1.311.60.2.1.2"),
    attribute("jurisdictionC", "jurisdictionCountryName", "1.3.6.1.4.1.311.60.2.1.3"),
    attribute("INN", "INN", "1.2.643.3.131.1.1"),
    attribute("OGRN", "OGRN", "1.2.643.100.1"),
    attribute("SNILS", "SNILS", "1.2.643.100.3"),
    attribute("subjectSignTool", "Signing Tool of Subject", "1.2.643.100.111"),
    attribute("issuerSignTool", "Signing Tool of Issuer", "1.2.643.100.112"),
    attribute("organizationIdentifier", "organizationIdentifier", "2.5.4.97"),
    attribute("c3", "countryCode3c", "2.5.4.98"),
    attribute("n3", "countryCode3n", "2.5.4.99"),
    attribute("dnsName", "dnsName", "2.5.4.100"),
    attribute("OGRNIP", "OGRNIP", "1.2.643.100.5"),
    attribute("classSignTool", "Class of Signing Tool", "1.2.643.100.113"),
];
