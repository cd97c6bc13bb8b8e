//! `gridiron status -v`: everything that has happened to jobs, as far as their sites tell.

use super::{as_json, describe};
use crate::{
    exit::Exit,
    failure::Failure,
    job::{timeline, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{GramError, JobContact, JobState, client::JobStatus};
use serde_json::{Value, json};

/// Shows each job in one of these states, any when there are none.
pub(super) fn run(
    ui: &Ui,
    session: &Session,
    jobs: &[(String, JobContact)],
    wanted: &[JobState],
) -> Result<Exit, Failure> {
    block_on(async {
        for (text, job) in jobs {
            let (state, value, shown) = ask(ui, session, text, job).await?;
            if wanted.is_empty() || state.is_none_or(|state| wanted.contains(&state)) {
                let shown = if jobs.len() > 1 { format!("{text}\n{shown}") } else { shown };
                ui.result(&value, shown);
            }
        }
        Ok(Exit::Success)
    })
}

/// A job's state, and the whole of what can be told as JSON and as text. Without a time line the state alone has to do.
async fn ask(
    ui: &Ui,
    session: &Session,
    text: &str,
    job: &JobContact,
) -> Result<(Option<JobState>, Value, String), Failure> {
    let told = match session.client.timeline(job).await {
        Ok(told) => told.ok_or("its job manager is no Gridiron: it tells the state and nothing more"),
        Err(error) if watch::gone(&error) => Err("its site has forgotten it, and what has happened to it"),
        Err(error) => return Err(error.into()),
    };
    let status = match &told {
        Ok(told) => JobStatus {
            state: Some(told.state),
            failure: GramError(told.failure.as_ref().map_or(0, |failure| failure.code)),
            exit_code: told.exit_code,
            extensions: Vec::new(),
        },
        Err(why) => {
            ui.note(why);
            watch::status(&session.client, job).await?
        }
    };
    let mut value = as_json(text, &status);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("timeline".to_owned(), json!(told.as_ref().ok()));
    }
    let shown = told.as_ref().map_or_else(|_| describe(&status), timeline::text);
    Ok((status.state, value, shown))
}
