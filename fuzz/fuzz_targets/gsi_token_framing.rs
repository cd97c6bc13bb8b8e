//! Token framing: however the stream is cut into reads, the same bytes are left.
#![no_main]

use gsi::tls::framing::Deframer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [cut, stream @ ..] = bytes else { return };
    let mut whole = stream.to_vec();
    let at_once = Deframer::default().strip(&mut whole);
    let mut deframer = Deframer::default();
    let mut pieces = Vec::new();
    let mut failed = false;
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        let mut piece = piece.to_vec();
        match deframer.strip(&mut piece) {
            Ok(kept) => pieces.extend_from_slice(&piece[..kept]),
            Err(_) => {
                failed = true;
                break;
            }
        }
    }
    match at_once {
        Ok(kept) => assert!(!failed && whole[..kept] == pieces),
        Err(_) => assert!(failed),
    }
});
