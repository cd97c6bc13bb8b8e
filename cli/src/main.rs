//! The gridiron program.
fn main() {}
