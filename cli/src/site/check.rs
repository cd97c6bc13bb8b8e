//! Everything that is wrong with a site.
use super::{Problem, Site};
/// x
pub fn problems(_site: &Site, _now: jiff::Timestamp) -> Vec<Problem> {
    todo!()
}
