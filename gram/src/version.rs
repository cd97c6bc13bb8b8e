//! The version strings of replies and updates (gram.md §10): clients parse their form and take an answer without them
//! for that of something that is no job manager.

/// `<major>.<minor> (<timestamp>-<branch>)`: this release, and the day it was begun in seconds since the epoch.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"), " (1795219200-0)");

/// The `toolkit-version` attribute, which is any text.
pub const TOOLKIT_VERSION: &str = concat!("gridiron-", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_the_stock_form() {
        let (number, rest) = VERSION.split_once(' ').unwrap();
        let (major, minor) = number.split_once('.').unwrap();
        let (timestamp, branch) = rest.trim_matches(['(', ')']).split_once('-').unwrap();
        for digits in [major, minor, timestamp, branch] {
            assert!(digits.parse::<u64>().is_ok(), "{digits}");
        }
    }
}
