//! The files of a CA directory.

use super::{Authority, AuthorityError};
use crate::credential::{read_private, read_public, write_private};
use crate::key::PrivateKey;
use crate::{Certificate, GsiError};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const CERTIFICATE: &str = "cacert.pem";
const KEY: &str = "cakey.pem";
const INDEX: &str = "index";
pub(super) const CRL: &str = "crl.pem";

/// Whether a certificate is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Issued.
    Good,
    /// Revoked at this time.
    Revoked(Timestamp),
}

/// One certificate this CA issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Hexadecimal, as tools show it.
    pub serial: String,
    /// notAfter.
    pub expires: Timestamp,
    /// Good or revoked.
    pub state: State,
    /// One-line subject.
    pub subject: String,
}

/// Everything this CA issued, in the order of issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// One for each certificate.
    pub entries: Vec<IndexEntry>,
}

impl IndexEntry {
    fn line(&self) -> String {
        let state = match self.state {
            State::Good => "good".to_owned(),
            State::Revoked(at) => format!("revoked={at}"),
        };
        format!("{} {} {state} {}\n", self.serial, self.expires, self.subject)
    }

    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().ok_or("expected SERIAL EXPIRES STATE SUBJECT");
        let (serial, expires, state, subject) = (word()?, word()?, word()?, word()?);
        let time = |text: &str| text.parse().map_err(|_| "not a time");
        let state = match state.strip_prefix("revoked=") {
            Some(at) => State::Revoked(time(at)?),
            None if state == "good" => State::Good,
            None => return Err("the state is neither good nor revoked=TIME"),
        };
        if serial.is_empty() || !serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("the serial number is not hexadecimal");
        }
        Ok(Self { serial: serial.to_owned(), expires: time(expires)?, state, subject: subject.to_owned() })
    }
}

impl Index {
    /// Reads the index of a CA directory; nothing was issued when there is none.
    pub(super) fn read(directory: &Path) -> Result<Self, AuthorityError> {
        let path = directory.join(INDEX);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(AuthorityError::File { path, source }),
        };
        let parse = |(number, line): (usize, &str)| {
            IndexEntry::parse(line).map_err(|reason| AuthorityError::Damaged {
                path: path.clone(),
                line: number + 1,
                reason,
            })
        };
        Ok(Self { entries: text.lines().enumerate().map(parse).collect::<Result<_, _>>()? })
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), GsiError> {
        let text: String = self.entries.iter().map(IndexEntry::line).collect();
        write_private(&directory.join(INDEX), text.as_bytes())
    }
}

/// Adds a certificate to the index.
pub(super) fn record(directory: &Path, certificate: &Certificate) -> Result<(), AuthorityError> {
    let entry = IndexEntry {
        serial: hexadecimal(certificate.serial()),
        expires: certificate.not_after(),
        state: State::Good,
        subject: certificate.subject().subject().as_str().to_owned(),
    };
    let path = directory.join(INDEX);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    // One write, so that two commands at a time do not mix their lines.
    file.and_then(|mut file| file.write_all(entry.line().as_bytes()))
        .map_err(|source| AuthorityError::File { path, source })
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    significant.fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// A serial number nobody can guess or repeat: 127 random bits.
pub(super) fn new_serial() -> Result<[u8; 16], AuthorityError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| AuthorityError::NoRandomness)?;
    // Positive and without leading zeros, so that every tool shows the same digits.
    let [first, ..] = &mut serial;
    *first = *first & 0x7F | 0x40;
    Ok(serial)
}

/// Makes the directory; refuses one that holds a CA.
pub(super) fn prepare(directory: &Path) -> Result<(), AuthorityError> {
    if directory.join(CERTIFICATE).exists() || directory.join(KEY).exists() {
        return Err(AuthorityError::Exists(directory.to_owned()));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| AuthorityError::File { path: directory.to_owned(), source })
}

pub(super) fn write_new_authority(authority: &Authority, passphrase: Option<&str>) -> Result<(), GsiError> {
    let key = match passphrase {
        Some(passphrase) => authority.key.to_encrypted_pem(passphrase)?,
        None => authority.key.to_pem(),
    };
    write_private(&authority.directory.join(KEY), key.as_bytes())?;
    write_public(&authority.directory.join(CERTIFICATE), &authority.certificate.to_pem())?;
    Ok(())
}

pub(super) fn read_authority(
    directory: &Path,
    passphrase: Option<&str>,
) -> Result<(Certificate, PrivateKey), GsiError> {
    let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
    if !certificate.exists() {
        return Err(AuthorityError::Missing(directory.to_owned()).into());
    }
    let text = read_public(&certificate)?;
    let certificate = Certificate::from_pem(&text)?.into_iter().next();
    let certificate = certificate.ok_or_else(|| AuthorityError::Missing(directory.to_owned()))?;
    let key = PrivateKey::from_pem(&read_private(&key)?, passphrase)?;
    Ok((certificate, key))
}

/// Writes a file everybody may read, whole or not at all.
pub(super) fn write_public(path: &Path, content: &str) -> Result<PathBuf, GsiError> {
    crate::credential::write_public(path, content.as_bytes())?;
    Ok(path.to_owned())
}

pub(super) fn pem(label: &str, der: Vec<u8>) -> String {
    let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
    ::pem::encode_config(&::pem::Pem::new(label, der), config)
}
