//! Token framing of the GSI-wrapped style (gsi.md §3): takes the 4-byte lengths out of a byte stream.
//!
//! A token is either a bare TLS record or a 4-byte big-endian length and that many bytes. One look at the first byte
//! tells which: a record starts with its type, 20 to 26, and no permitted length does. So the stream can be stripped
//! in place, as it arrives, without ever holding a byte back, and the filter may stay on for a connection's whole life.
//!
//! Nothing is framed on the way out: both stock readers take bare records in either TLS version (§3).

use std::ops::RangeInclusive;

/// The longest token that is taken, in bytes: what the blocking stock reader takes. Nothing is allocated for it.
pub const MAX_TOKEN: u32 = 1 << 24;

/// First byte of a TLS record; 26 is the integrity-only wrapping, which TLS itself will refuse.
const RECORD_TYPES: RangeInclusive<u8> = 20..=26;

/// The second byte of every TLS record.
const TLS_MAJOR_VERSION: u8 = 3;

/// The peer sent something that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Neither a TLS record nor a permitted length.
    #[error("expected a TLS record or a token length, got a byte {0:#04x}; is the peer speaking GSI?")]
    NotAToken(u8),
    /// The record's version is not 3.x.
    #[error("TLS record with major version {0}")]
    RecordVersion(u8),
    /// More than [`MAX_TOKEN`].
    #[error("token of {0} bytes; at most {MAX_TOKEN} are taken")]
    TokenTooLong(u32),
}

/// Where in the stream we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// At the start of a token.
    Boundary,
    /// Inside the length: octets seen, value so far.
    Length { octets: u8, value: u32 },
    /// Inside the 5-byte header of a bare record: octets seen, payload length so far.
    RecordHeader { octets: u8, length: u16 },
    /// This many bytes of the token are still to come.
    Token { remaining: u32 },
}

/// Removes token lengths from a stream; see the module.
#[derive(Debug, Clone)]
pub struct Deframer {
    position: Position,
}

impl Default for Deframer {
    fn default() -> Self {
        Self { position: Position::Boundary }
    }
}

impl Deframer {
    /// Strips the lengths from the next bytes of the stream, in place; returns how many bytes are left at the front.
    ///
    /// # Errors
    /// When the bytes are no tokens; the stream cannot be used after that.
    pub fn strip(&mut self, bytes: &mut [u8]) -> Result<usize, FramingError> {
        let mut read = 0;
        let mut kept = 0;
        while let Some(&byte) = bytes.get(read) {
            if let Position::Token { remaining } = self.position {
                let left = bytes.len() - read;
                let run = usize::try_from(remaining).map_or(left, |remaining| remaining.min(left));
                if kept != read {
                    bytes.copy_within(read..read + run, kept);
                }
                read += run;
                kept += run;
                // `run` is at most `remaining`, which is 32 bits wide.
                self.position = token_of(remaining.saturating_sub(run as u32));
                continue;
            }
            let (position, keep) = step(self.position, byte)?;
            self.position = position;
            if keep {
                if let Some(slot) = bytes.get_mut(kept) {
                    *slot = byte;
                }
                kept += 1;
            }
            read += 1;
        }
        Ok(kept)
    }
}

fn token_of(remaining: u32) -> Position {
    if remaining == 0 { Position::Boundary } else { Position::Token { remaining } }
}

/// One header byte: the next position, and whether the byte belongs to TLS.
fn step(position: Position, byte: u8) -> Result<(Position, bool), FramingError> {
    match position {
        Position::Boundary if RECORD_TYPES.contains(&byte) => {
            Ok((Position::RecordHeader { octets: 1, length: 0 }, true))
        }
        Position::Boundary if u32::from(byte) <= MAX_TOKEN >> 24 => {
            Ok((Position::Length { octets: 1, value: u32::from(byte) }, false))
        }
        Position::Boundary => Err(FramingError::NotAToken(byte)),
        Position::Length { octets, value } => {
            let value = value << 8 | u32::from(byte);
            match octets {
                3 if value > MAX_TOKEN => Err(FramingError::TokenTooLong(value)),
                3 => Ok((token_of(value), false)),
                _ => Ok((Position::Length { octets: octets + 1, value }, false)),
            }
        }
        Position::RecordHeader { octets: 1, .. } if byte != TLS_MAJOR_VERSION => {
            Err(FramingError::RecordVersion(byte))
        }
        Position::RecordHeader { octets: octets @ (1 | 2), length } => {
            Ok((Position::RecordHeader { octets: octets + 1, length }, true))
        }
        Position::RecordHeader { octets: 3, .. } => {
            Ok((Position::RecordHeader { octets: 4, length: u16::from(byte) << 8 }, true))
        }
        Position::RecordHeader { length, .. } => Ok((token_of(u32::from(length | u16::from(byte))), true)),
        // `strip` takes whole runs of these itself.
        Position::Token { remaining } => Ok((token_of(remaining.saturating_sub(1)), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend((payload.len() as u16).to_be_bytes());
        record.extend(payload);
        record
    }

    fn framed(token: &[u8]) -> Vec<u8> {
        let mut frame = (token.len() as u32).to_be_bytes().to_vec();
        frame.extend(token);
        frame
    }

    fn strip(bytes: &[u8]) -> Result<Vec<u8>, FramingError> {
        let mut bytes = bytes.to_vec();
        let kept = Deframer::default().strip(&mut bytes)?;
        bytes.truncate(kept);
        Ok(bytes)
    }

    #[test]
    fn framed_and_bare_tokens_may_follow_each_other() {
        let (hello, data) = (record(22, b"hello"), record(23, b"data"));
        let flight = [hello.clone(), data.clone()].concat();
        let stream = [framed(&hello), data.clone(), framed(&flight), data.clone()].concat();
        assert_eq!(strip(&stream).unwrap(), [hello, data.clone(), flight, data].concat());
    }

    #[test]
    fn a_token_longer_than_the_limit_is_refused() {
        assert_eq!(strip(&[1, 0, 0, 1]), Err(FramingError::TokenTooLong(MAX_TOKEN + 1)));
        assert_eq!(strip(&[1, 0, 0, 0]), Ok(vec![]));
        assert_eq!(strip(&[2, 0, 0, 0]), Err(FramingError::NotAToken(2)));
    }

    #[test]
    fn other_protocols_are_noticed_at_the_first_byte() {
        assert_eq!(strip(b"GET / HTTP/1.1\r\n"), Err(FramingError::NotAToken(b'G')));
        assert_eq!(strip(&[22, 9]), Err(FramingError::RecordVersion(9)));
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_how_the_bytes_arrive(
            tokens in proptest::collection::vec((any::<bool>(), 20u8..=26, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            cut in 1usize..7,
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (bare, kind, payload) in tokens {
                let record = record(kind, &payload);
                stream.extend(if bare { record.clone() } else { framed(&record) });
                expected.extend(record);
            }
            let mut deframer = Deframer::default();
            let mut out = Vec::new();
            for piece in stream.chunks_mut(cut) {
                let kept = deframer.strip(piece).unwrap();
                out.extend_from_slice(&piece[..kept]);
            }
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn any_bytes_are_taken_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = strip(&bytes);
        }
    }
}
