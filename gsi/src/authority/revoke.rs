//! Revoking, and the list of what is revoked (RFC 5280 §5).

use super::files::{CRL, hexadecimal, pem, write_public};
use super::{Authority, AuthorityError, Index, State};
use crate::key::Digest;
use crate::{Certificate, GsiError, der};
use jiff::{SignedDuration, Timestamp};
use std::io;
use std::path::PathBuf;

/// Content octets of 2.5.29.20, cRLNumber.
const OID_CRL_NUMBER: &[u8] = &[0x55, 0x1D, 0x14];

/// How far thisUpdate is set back, for peers whose clocks are slow.
const BACK_DATING: SignedDuration = SignedDuration::from_mins(5);

impl Authority {
    /// Everything this CA issued.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index(&self) -> Result<Index, GsiError> {
        Ok(Index::read(&self.directory)?)
    }

    /// Marks a certificate as revoked; [`Authority::write_crl`] tells the world.
    ///
    /// # Errors
    /// When it was not issued here or is revoked already.
    pub fn revoke(&self, certificate: &Certificate) -> Result<(), GsiError> {
        self.revoke_serial(&hexadecimal(certificate.serial()))
    }

    /// Marks the certificate with this hexadecimal serial number as revoked.
    ///
    /// # Errors
    /// As [`Authority::revoke`].
    pub fn revoke_serial(&self, serial: &str) -> Result<(), GsiError> {
        let mut index = self.index()?;
        let entry = index.entries.iter_mut().find(|entry| entry.serial.eq_ignore_ascii_case(serial));
        let entry = entry.ok_or_else(|| AuthorityError::UnknownSerial(serial.to_owned()))?;
        if entry.state != State::Good {
            return Err(AuthorityError::AlreadyRevoked(serial.to_owned()).into());
        }
        entry.state = State::Revoked(Timestamp::now());
        index.write(&self.directory)
    }

    /// Writes a new CRL, good for so many days, and gives its path. Peers refuse **every** certificate of this CA once
    /// it has ended (§9), so write a new one in time.
    ///
    /// # Errors
    /// When the index is damaged or the file cannot be written.
    pub fn write_crl(&self, days: u32) -> Result<PathBuf, GsiError> {
        let now = Timestamp::now();
        let lifetime = SignedDuration::from_hours(i64::from(days) * 24);
        let next = now.checked_add(lifetime).map_err(|_| AuthorityError::Lifetime(days))?;
        let this = now.checked_sub(BACK_DATING).unwrap_or(now);

        let revoked = self.revoked_list()?;
        // Seconds since 1970 only ever grow, which is all a CRL number must do.
        let number = der::unsigned_integer(&now.as_second().to_be_bytes());
        let extensions =
            [self.authority_key_identifier(), der::extension(OID_CRL_NUMBER, false, &number)].concat();
        let algorithm = self.key.signature_algorithm(Digest::Sha256);
        let body = der::sequence(&[
            &der::unsigned_integer(&[1]), // version 2
            &algorithm,
            self.certificate.subject().as_der(),
            &der::time(this),
            &der::time(next),
            &revoked,
            &der::context(0, &[&der::sequence(&[&extensions])]),
        ]);
        let signature = self.key.sign(&body, Digest::Sha256)?;
        let crl = der::sequence(&[&body, &algorithm, &der::bit_string(&signature)]);
        write_public(&self.directory.join(CRL), &pem("X509 CRL", crl))
    }

    /// Absent when nothing is revoked, as the grammar has no empty list.
    fn revoked_list(&self) -> Result<Vec<u8>, GsiError> {
        let index = self.index()?;
        let revoked = index.entries.iter().filter_map(|entry| match entry.state {
            State::Good => None,
            State::Revoked(at) => {
                Some(der::sequence(&[&der::unsigned_integer(&from_hex(&entry.serial)), &der::time(at)]))
            }
        });
        let list: Vec<u8> = revoked.flatten().collect();
        Ok(if list.is_empty() { list } else { der::sequence(&[&list]) })
    }

    /// The current CRL, if one was ever written.
    pub(super) fn crl_pem(&self) -> Result<Option<String>, AuthorityError> {
        let path = self.directory.join(CRL);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AuthorityError::File { path, source }),
        }
    }
}

/// Big-endian bytes of hexadecimal digits, which the index has checked.
fn from_hex(digits: &str) -> Vec<u8> {
    let digits = digits.bytes().filter_map(|digit| char::from(digit).to_digit(16)).rev();
    let mut bytes: Vec<u8> = Vec::new();
    for (place, digit) in digits.enumerate() {
        match bytes.last_mut() {
            Some(byte) if place % 2 == 1 => *byte |= (digit as u8) << 4,
            _ => bytes.push(digit as u8),
        }
    }
    bytes.reverse();
    bytes
}
