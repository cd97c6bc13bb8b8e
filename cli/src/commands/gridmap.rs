//! x
use crate::{exit::Exit, failure::Failure, ui::Ui};
/// x
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ")]
pub struct Args {}
impl Args {
    pub(super) fn run(self, _ui: &Ui) -> Result<Exit, Failure> {
        todo!()
    }
}
