//! The reaper: one tiny process per account that starts fork jobs, outlives the job manager, and keeps their exit status.
//! Single-purpose: no TLS, no database, no parsing of foreign bytes.

/// The machine's boot id: pids, start times and monotonic clocks mean something only within one boot.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}
