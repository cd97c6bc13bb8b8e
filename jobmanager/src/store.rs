//! The durable store: SQLite through sqlx, WAL, group commit; written before anything is said.
