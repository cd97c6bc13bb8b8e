//! What a job's owner is told of its life.

use super::{beginning, place, short};
use crate::job::{self, Failure, FileProgress, Job, Output, Phase};
use gram::timeline::{Contact, File, FileStage, Lease, Origin, Timeline, Trouble, VERSION};
use jiff::Timestamp;

/// Longest text of the failure of a job, in bytes.
const MAX_MESSAGE: usize = 4096;

/// A job as its owner is told; when its credential ends is for the caller to fill in.
pub fn report(job: &Job, now: Timestamp) -> Timeline {
    let origin = &job.origin;
    Timeline {
        version: VERSION,
        job: job.contact.clone(),
        now,
        state: job.state,
        phase: place(&job.phase),
        until: until(&job.phase),
        origin: Origin {
            request: origin.request_id.clone(),
            identity: origin.identity.clone(),
            service: origin.service.clone(),
            scheduler: origin.scheduler.clone(),
            client: origin.client_address.clone(),
            created: origin.created,
            two_phase: job.spec.two_phase,
        },
        scheduler_id: job.scheduler_id.as_ref().map(|id| short(&id.0)),
        exit_code: job.exit_code,
        failure: job.failure.as_ref().map(failure),
        credential: Lease { until: None, lapsed: job.lapsed },
        files: job
            .progress
            .iter()
            .flat_map(|progress| &progress.files)
            .map(|moved| file(job, moved))
            .collect(),
        files_left_out: 0,
        destinations: destinations(job),
        contacts: job
            .contacts
            .iter()
            .map(|contact| Contact { url: short(&contact.url), owed: contact.owed.is_some() })
            .collect(),
        events: job.timeline.events.clone(),
        events_left_out: job.timeline.left_out,
    }
}

fn until(phase: &Phase) -> Option<Timestamp> {
    match *phase {
        Phase::Uncommitted { deadline } | Phase::Uncollected { deadline } => Some(deadline),
        Phase::Parked { expires } => Some(expires),
        Phase::Stopped { expires } => expires,
        Phase::Over { until } => Some(until),
        Phase::StagingIn
        | Phase::Submitting
        | Phase::Submitted
        | Phase::Cancelling
        | Phase::Delivering { .. }
        | Phase::StagingOut => None,
    }
}

fn failure(failure: &Failure) -> Trouble {
    Trouble {
        code: failure.code.0,
        text: beginning(&failure.message, MAX_MESSAGE).to_owned(),
        kind: failure.kind.map(|kind| kind.as_str().to_owned()),
        source: failure.source_url.as_deref().map(short),
        destination: failure.destination.as_deref().map(short),
    }
}

/// Where output is delivered when the job has ended; most jobs write it themselves.
fn destinations(job: &Job) -> Vec<String> {
    let outputs = [&job.spec.stdout, &job.spec.stderr].into_iter();
    let delivered = outputs.filter_map(|output| match output {
        Output::Deliver(destinations) => Some(destinations),
        Output::File(_) | Output::Cache(_) => None,
    });
    delivered.flatten().map(|destination| short(&destination.to_string())).collect()
}

fn file(job: &Job, moved: &FileProgress) -> File {
    let (from, to) = job.ends_of(moved.role);
    let (stage, bytes) = match moved.stage {
        job::FileStage::Moving => (FileStage::Moving, None),
        job::FileStage::Waiting => (FileStage::Waiting, None),
        job::FileStage::Done { bytes } => (FileStage::Done, Some(bytes)),
        job::FileStage::Failed => (FileStage::Failed, None),
    };
    File {
        attribute: moved.role.attribute().to_owned(),
        from: short(&from),
        to: short(&to),
        stage,
        bytes,
        milliseconds: moved.took,
        tries: moved.attempts,
        since: moved.since,
        trouble: moved.trouble.as_deref().map(short),
    }
}
