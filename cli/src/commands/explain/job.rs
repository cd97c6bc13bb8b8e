//! `gridiron explain JOB`: why is it where it is?

use super::super::arguments;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{explain, record, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{GramError, client::Client};
use jiff::Timestamp;
use serde_json::json;

/// Explains one job; for one that cannot be asked about, why that is so.
pub(super) fn run(ui: &Ui, contact: &str) -> Result<Exit, Failure> {
    let job = arguments::job(contact)?;
    let session = Session::open()?;
    let found = block_on(async { ask(&session.client, contact, &job).await })?;
    ui.result(&json!({ "job": contact, "says": found.says, "try": found.advice }), found.text());
    Ok(Exit::Success)
}

async fn ask(
    client: &Client,
    contact: &str,
    job: &gram::JobContact,
) -> Result<explain::Explanation, Failure> {
    match client.timeline(job).await {
        Ok(Some(told)) => Ok(explain::explain(&told)),
        Ok(None) => Ok(explain::explain_status(contact, &watch::status(client, job).await?)),
        Err(error) if watch::gone(&error) => Ok(forgotten(contact, error.code, Timestamp::now())),
        Err(error) => Err(error.into()),
    }
}

/// A job that its site does not know any more, or that nobody can be asked about.
fn forgotten(contact: &str, code: GramError, now: Timestamp) -> explain::Explanation {
    let is_known_there = code == GramError::JOB_CONTACT_NOT_FOUND;
    let mut says = vec![if is_known_there {
        "Its site does not know it any more: it has ended, and has been forgotten since.".to_owned()
    } else {
        "Nobody answers at its contact: its job manager has ended, most likely because all its jobs had; or the site is down."
            .to_owned()
    }];
    // Without a record, or one that can be read, there is nothing to add.
    if let Ok(record) = record::find(contact) {
        let ago = crate::job::timeline::moment(now, record.submitted);
        says.push(format!("It was submitted from here to {} at {ago}.", record.resource));
    }
    let advice = if is_known_there { vec![] } else { vec!["gridiron ping -r HOST".to_owned()] };
    explain::Explanation { says, advice }
}
