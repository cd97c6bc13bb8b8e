//! Blocks of data on their way to the disk.

use bytes::Bytes;
use std::fs::File;
use std::io::{self, Write};

/// Most bytes of one write. The system keeps what is written in pieces of memory as large as the write, and large pieces are
/// dear: in a virtual machine that gives unused memory back to its host (free page reporting, from 128 KiB on), each has to be
/// fetched again, page by page. There, writing 1 GiB took up to 3.5 s of processor time in writes of 128 KiB or more, and 0.5 s in writes
/// of 64 KiB (docs/performance.md).
const PIECE: usize = 64 * 1024;

/// Writes these one behind the other.
///
/// # Errors
/// What the system says; some of it may be written then.
pub(crate) fn write(mut file: &File, blocks: &[Bytes]) -> io::Result<()> {
    blocks.iter().flat_map(|block| block.chunks(PIECE)).try_for_each(|piece| file.write_all(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_written_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let data: Vec<u8> = (0..3 * PIECE + 7).map(|n| (n % 251) as u8).collect();
        let (first, rest) = data.split_at(PIECE + 1);
        let blocks = [first, &[], rest].map(Bytes::copy_from_slice);
        write(file.as_file(), &blocks).unwrap();
        assert!(std::fs::read(file.path()).unwrap() == data);
    }

    #[test]
    fn a_full_disk_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = write(&full, &[Bytes::from_static(b"x")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
