//! Gridmap and service rules: yields a permit (subject, account, service) or a refusal.
