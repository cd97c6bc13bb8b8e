//! `gridiron list`: the jobs submitted from here.

use super::{arguments, status};
use crate::{
    exit::Exit,
    failure::Failure,
    job::{record, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::client::{ClientError, JobStatus};
use serde_json::json;
use std::sync::Arc;
use tokio::{sync::Semaphore, task::JoinSet};

/// Questions under way at once.
const PARALLEL: usize = 16;

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
            block_on(ask_all(&session, &records, &mut states))?;
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

type Answer = Option<Result<Arc<JobStatus>, Arc<ClientError>>>;

async fn ask_all(
    session: &Session,
    records: &[record::Record],
    states: &mut [Answer],
) -> Result<(), Failure> {
    let turns = Arc::new(Semaphore::new(PARALLEL));
    let mut questions = JoinSet::new();
    for (index, record) in records.iter().enumerate() {
        let Ok(job) = arguments::job(&record.job) else { continue };
        let (client, turns) = (session.client.clone(), Arc::clone(&turns));
        questions.spawn(async move {
            let _turn = turns.acquire().await;
            (index, watch::status(&client, &job).await)
        });
    }
    while let Some(answer) = questions.join_next().await {
        if let Ok((index, status)) = answer
            && let Some(state) = states.get_mut(index)
        {
            *state = Some(status.map(Arc::new).map_err(Arc::new));
        }
    }
    Ok(())
}
