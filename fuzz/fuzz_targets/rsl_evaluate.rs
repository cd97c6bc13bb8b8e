//! Evaluation, checking and reading never panic and never grow a request beyond the limit; nothing is left to evaluate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rsl::attribute::{self, Request};
use rsl::evaluate::{Dialect, MAX_EVALUATED_BYTES, Symbols, canonicalise, evaluate_with};
use rsl::print::print;

fuzz_target!(|source: &[u8]| {
    let Ok(spec) = rsl::parse(source) else { return };
    let symbols: Symbols = [(b"HOME".to_vec(), b"/home/u".to_vec()), (b"A".to_vec(), Vec::new())].into();
    for dialect in [Dialect::Documented, Dialect::Stock] {
        let Ok(job) = evaluate_with(&canonicalise(&spec), &symbols, dialect) else { continue };
        let text = print(&job).expect("only literals and sequences are left");
        assert!(text.len() <= 6 * (MAX_EVALUATED_BYTES + source.len()));
        assert_eq!(evaluate_with(&job, &symbols, dialect).as_ref(), Ok(&job));

        for (request, scheduler) in
            [(Request::Submit, "fork"), (Request::Restart, "pbs"), (Request::StdioUpdate, "lsf")]
        {
            let _ = attribute::check(&job, request, scheduler);
        }
        for relation in job.relations() {
            let _ = attribute::text(relation);
            let _ = attribute::integer(relation);
            let _ = attribute::flag(relation);
            let _ = attribute::list(relation);
            let _ = attribute::pairs(relation);
            let _ = attribute::destinations(relation);
        }
    }
});
