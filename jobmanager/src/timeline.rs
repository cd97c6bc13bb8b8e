//! A job's time line: what has happened to it, kept within its record. `note` compares the job before and after an event of the
//! state machine, so whatever changes a job is told without the machine saying so, and in the same save. `report.rs` makes of it
//! what the owner is told.
//!
//! It is bounded: the first events stay, the latest stay, and how many went from between is counted. An event is noted without
//! a save of its own, but for a call-back given up.

mod report;
#[cfg(test)]
mod tests;

pub use report::report;

use crate::{
    job::{Failure, Job, Phase},
    machine::{Action, Event},
};
use gram::{
    GramError, JobState, Signal,
    timeline::{self, Place, Trouble, What},
    wire::Query,
};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// Most events kept of one job …
pub const MAX_EVENTS: usize = 64;
/// … of which the first ones stay for good.
const FIRST_EVENTS: usize = 16;
/// Longest text within an event, in bytes.
pub const MAX_TEXT: usize = 240;
/// Bytes of all texts together.
pub const MAX_TEXTS: usize = 4096;

/// What has happened to a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    events: Vec<timeline::Event>,
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Timeline {
    /// Nothing is known, as of jobs that an earlier version has stored.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What is kept, oldest first.
    pub fn events(&self) -> &[timeline::Event] {
        &self.events
    }

    /// Adds an event. The same one again counts up.
    fn add(&mut self, now: Timestamp, what: What) {
        if let Some(last) = self.events.last_mut().filter(|last| last.what == what) {
            // A renewal of this job is one of its owner's credential, too.
            if what != What::CredentialRenewed {
                last.times = last.times.saturating_add(1);
            }
            return;
        }
        // Milliseconds are fine enough, and short.
        let at = now.round(Unit::Millisecond).unwrap_or(now);
        self.events.push(timeline::Event { at, times: 1, what });
        while self.events.len() > MAX_EVENTS || self.events.len() > 1 && self.texts() > MAX_TEXTS {
            let oldest = if self.events.len() > FIRST_EVENTS + 1 { FIRST_EVENTS } else { 0 };
            self.events.remove(oldest);
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn texts(&self) -> usize {
        self.events.iter().map(|event| text_of(&event.what).len()).sum()
    }
}

fn text_of(what: &What) -> &str {
    match what {
        What::Scheduled { id } => id,
        What::Asked { query, .. } => query,
        What::Trouble(trouble) => &trouble.text,
        What::CallbackGivenUp { contact } => contact,
        What::Accepted
        | What::Reached { .. }
        | What::Exited { .. }
        | What::CredentialEnds
        | What::CredentialRenewed
        | What::Resumed
        | What::Other => "",
    }
}

/// The beginning of a text.
fn short(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", beginning(text, MAX_TEXT - '…'.len_utf8()))
}

/// At most so many bytes of a text, in whole characters.
fn beginning(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// What of a job is compared, and of an event remembered.
pub(crate) struct Before {
    phase: Phase,
    state: JobState,
    exit_code: Option<i32>,
    is_scheduled: bool,
    lapsed: bool,
    heard: Option<What>,
}

impl Before {
    /// Looks at a job that is about to take an event.
    pub(crate) fn of(job: &Job, event: &Event) -> Self {
        Self {
            phase: job.phase,
            state: job.state,
            exit_code: job.exit_code,
            is_scheduled: job.scheduler_id.is_some(),
            lapsed: job.lapsed,
            heard: heard(event),
        }
    }

    /// Notes what the event has done. Gives whether that alone is worth a save.
    pub(crate) fn note(self, job: &mut Job, actions: &[Action], now: Timestamp) -> bool {
        let mut found = Vec::new();
        let mut saves = false;
        match self.heard {
            // It is why the job failed.
            Some(What::Trouble(trouble)) if is_its_failure(job, &trouble) => {}
            Some(What::Asked { query, .. }) => found.push(What::Asked { query, refused: refusal(actions).0 }),
            Some(What::Resumed) if job.is_settled() => {}
            Some(what) => {
                saves = matches!(what, What::CallbackGivenUp { .. });
                found.push(what);
            }
            None => {}
        }
        match (self.lapsed, job.lapsed) {
            (false, true) => found.push(What::CredentialEnds),
            (true, false) => found.push(What::CredentialRenewed),
            _ => {}
        }
        if let (None, Some(code)) = (self.exit_code, job.exit_code) {
            found.push(What::Exited { code });
        }
        if let (false, Some(id)) = (self.is_scheduled, &job.scheduler_id) {
            found.push(What::Scheduled { id: short(&id.0) });
        }
        let (from, to) = (place(&self.phase), place(&job.phase));
        if from != to || self.state != job.state || found.first() == Some(&What::Accepted) {
            found.push(What::Reached { phase: to, state: job.state });
        }
        for what in found {
            job.timeline.add(now, what);
        }
        saves
    }
}

/// What an event is by itself, whatever comes of it.
fn heard(event: &Event) -> Option<What> {
    match event {
        Event::Accepted => Some(What::Accepted),
        Event::Query(Query::Cancel) => Some(asked("cancel")),
        Event::Query(Query::Signal(signal)) => Some(asked(&name_of(signal))),
        Event::Query(Query::Renew) => Some(What::CredentialRenewed),
        Event::StdioUpdate(_) => Some(asked("STDIO_UPDATE")),
        Event::Restart(_) => Some(asked("restart")),
        Event::Fetched(Err(failure))
        | Event::Submitted(Err(failure))
        | Event::CancelFailed(failure)
        | Event::Delivered(Err(failure))
        | Event::StagedOut(Err(failure)) => Some(What::Trouble(trouble(failure))),
        Event::GivenUp { url, .. } => Some(What::CallbackGivenUp { contact: short(url) }),
        Event::Resumed | Event::Rebooted => Some(What::Resumed),
        Event::Query(
            Query::Status
            | Query::Register { .. }
            | Query::Unregister { .. }
            | Query::Timeline
            | Query::Output(_),
        )
        | Event::Fetched(Ok(()))
        | Event::Submitted(Ok(_))
        | Event::Pending
        | Event::Active
        | Event::Suspended
        | Event::Ended(_)
        | Event::Controlled(_)
        | Event::Delivered(Ok(()))
        | Event::FileMoved(_)
        | Event::StagedOut(Ok(()))
        | Event::Cleaned
        | Event::Told { .. }
        | Event::Deadline
        | Event::CredentialEnds
        | Event::CredentialRenewed => None,
    }
}

fn asked(query: &str) -> What {
    What::Asked { query: query.to_owned(), refused: 0 }
}

/// Arguments are left out: they may be long, and they are the client's.
fn name_of(signal: &Signal) -> String {
    let number = signal.number();
    Signal::name_of(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}

fn trouble(failure: &Failure) -> Box<Trouble> {
    Box::new(Trouble::new(failure.code, short(&failure.message)))
}

fn is_its_failure(job: &Job, trouble: &Trouble) -> bool {
    job.failure
        .as_ref()
        .is_some_and(|failure| failure.code.0 == trouble.code && short(&failure.message) == trouble.text)
}

/// The error number that the asker gets, 0 when the question is granted.
fn refusal(actions: &[Action]) -> GramError {
    let answer = actions.iter().find_map(|action| match action {
        Action::Answer(answer) => Some(answer.refused),
        _ => None,
    });
    answer.unwrap_or(GramError::SUCCESS)
}

/// The place that a phase is, as it is told.
fn place(phase: &Phase) -> Place {
    match phase {
        Phase::Uncommitted { .. } => Place::Uncommitted,
        Phase::StagingIn => Place::StagingIn,
        Phase::Submitting => Place::Submitting,
        Phase::Submitted => Place::Submitted,
        Phase::Cancelling => Place::Cancelling,
        Phase::Delivering { .. } => Place::Delivering,
        Phase::StagingOut => Place::StagingOut,
        Phase::Uncollected { .. } => Place::Uncollected,
        Phase::Parked { .. } => Place::Parked,
        Phase::Stopped { .. } => Place::Stopped,
        Phase::Over { .. } => Place::Over,
    }
}
