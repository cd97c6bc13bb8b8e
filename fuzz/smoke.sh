#!/bin/sh
# Builds every fuzz target with the stable toolchain and runs each for a few seconds, starting from its seeds.
#
#   fuzz/smoke.sh [SECONDS_PER_TARGET] [TARGET ...]
#
# Exit status 0 when nothing crashed. A crash leaves its input in fuzz/artifacts/<target>/. See README.md.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:-5}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\([a-z0-9_]*\)"$/\1/p' "$here/Cargo.toml")

# What cargo-fuzz passes, but for the address sanitizer, which needs a nightly compiler: the crates forbid unsafe code.
# Naming a target keeps these flags away from build scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
passes="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
bins=
for target; do bins="$bins --bin $target"; done
# shellcheck disable=SC2086
RUSTFLAGS="$passes" cargo build --quiet --manifest-path "$here/Cargo.toml" --target "$host" \
    --target-dir "$here/target" $bins

corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT INT TERM
failed=
for target; do
    mkdir -p "$here/artifacts/$target" "$corpus/$target" "$here/seeds/$target"
    log=$corpus/$target.log
    # New inputs go to the first folder, which is thrown away; the seeds are only read.
    if "$here/target/$host/debug/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$here/artifacts/$target/" "$corpus/$target" "$here/seeds/$target" >"$log" 2>&1
    then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        echo "fuzz $target: ok, $runs runs, coverage $coverage"
    else
        failed="$failed $target"
        echo "fuzz $target: CRASHED" >&2
        tail -n 40 "$log" >&2
    fi
    rm -rf "${corpus:?}/$target"
done
[ -z "$failed" ] || { echo "fuzz: crashed:$failed; inputs are in fuzz/artifacts/" >&2; exit 1; }
