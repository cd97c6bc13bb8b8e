//! The reaper: one tiny process per account that starts fork jobs, outlives the job manager, and keeps their exit status.
//! Single-purpose: no TLS, no database, no parsing of foreign bytes.
