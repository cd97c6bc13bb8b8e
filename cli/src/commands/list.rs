//! `gridiron list`: the jobs submitted from here.

use super::{arguments, status};
use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        many::{self, Question},
        record, watch,
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::JobContact;
use serde_json::json;

/// List the jobs started by `submit` from this machine, with their states
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron list --json | jq -r 'select(.state == \"ACTIVE\").job'")]
pub struct Args {
    /// Do not ask the sites for states
    #[arg(long)]
    offline: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let records = record::read()?;
        let mut states = vec![None; records.len()];
        if !self.offline && !records.is_empty() {
            let session = Session::open()?;
            let bar = ui.progress("asking the sites");
            let known = records.iter().enumerate();
            let known = known.filter_map(|(place, record)| Some((place, arguments::job(&record.job).ok()?)));
            let (places, jobs): (Vec<usize>, Vec<JobContact>) = known.unzip();
            let answers = block_on(async { Ok(many::ask(&session.client, &jobs, Question::Status).await) })?;
            for (place, answer) in places.into_iter().zip(answers) {
                if let Some(state) = states.get_mut(place) {
                    *state = Some(answer);
                }
            }
            bar.finish_and_clear();
        }
        for (record, state) in records.iter().zip(&states) {
            let (text, state) = match state {
                None => ("-".to_owned(), None),
                Some(Ok(status)) => (status::describe(status), status.state.map(watch::state_name)),
                Some(Err(error)) => (format!("unknown: {error}"), None),
            };
            let value = json!({
                "job": record.job, "resource": record.resource, "submitted": record.submitted,
                "rsl": record.rsl, "state": state,
            });
            ui.result(&value, format!("{}  {}  {text}", record.job, record.submitted.strftime("%F %T")));
        }
        if records.is_empty() {
            ui.note("no jobs: gridiron submit starts one");
        }
        Ok(Exit::Success)
    }
}
