//! What a submission costs in RSL: `cargo bench -p rsl`. The C library needs about 7 µs to parse the ten attributes.
#![expect(clippy::unwrap_used, reason = "a bench may stop at once")]

mod texts;

use criterion::{Criterion, criterion_group, criterion_main};
use rsl::evaluate::{Symbols, canonicalise, evaluate};
use rsl::{attribute, parse, print::print};
use std::hint::black_box;
use texts::{TEN_ATTRIBUTES, thousand_variables};

fn benches(criterion: &mut Criterion) {
    let symbols: Symbols = [(b"HOME".to_vec(), b"/home/u".to_vec())].into();
    let request = parse(TEN_ATTRIBUTES).unwrap();
    let job = evaluate(&canonicalise(&request), &symbols).unwrap();

    criterion.bench_function("parse 10 attributes", |b| b.iter(|| parse(black_box(TEN_ATTRIBUTES))));
    criterion.bench_function("print 10 attributes", |b| b.iter(|| print(black_box(&request))));
    criterion
        .bench_function("evaluate 10 attributes", |b| b.iter(|| evaluate(black_box(&request), &symbols)));
    criterion.bench_function("check 10 attributes", |b| {
        b.iter(|| attribute::check(black_box(&job), attribute::Request::Submit, "fork"));
    });

    let text = thousand_variables();
    criterion.bench_function("parse 1000 variables", |b| b.iter(|| parse(black_box(&text))));
    let request = parse(&text).unwrap();
    criterion.bench_function("evaluate 1000 variables", |b| {
        b.iter(|| evaluate(black_box(&request), &symbols));
    });
}

criterion_group!(group, benches);
criterion_main!(group);
