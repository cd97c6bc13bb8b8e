//! The site file `gridiron.toml`.
