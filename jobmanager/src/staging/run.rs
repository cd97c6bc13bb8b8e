//! Carrying a plan out: groups one after the other, the steps of a group at the same time, each with as many attempts as its
//! failures deserve.

use super::{
    Desk, blame,
    errand::{attempt, stream_of},
    failure::failure,
    plan::{Step, Target, Way, groups, is_terminal},
};
use crate::job::{Failure, FileProgress, FileStage};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::Instant,
};

/// Carries out all steps.
///
/// # Errors
/// The failure of the first step of the plan that failed; what comes after it is broken off.
pub(super) async fn run(desk: Arc<Desk>, steps: Vec<Step>) -> Result<(), Failure> {
    for group in groups(steps) {
        run_group(&desk, group).await?;
    }
    Ok(())
}

async fn run_group(desk: &Arc<Desk>, group: Vec<Step>) -> Result<(), Failure> {
    let mut waiting = group.into_iter().enumerate();
    let mut under_way: JoinSet<(usize, Result<(), Failure>)> = JoinSet::new();
    let mut handles: Vec<AbortHandle> = Vec::new();
    let mut first: Option<(usize, Failure)> = None;
    loop {
        while first.is_none() && under_way.len() < usize::from(desk.limits.per_job.get()) {
            let Some((number, step)) = waiting.next() else { break };
            let desk = Arc::clone(desk);
            handles.push(under_way.spawn(async move { (number, carry(&desk, &step).await) }));
        }
        let Some(joined) = under_way.join_next().await else { break };
        // Those that were broken off below give an error here.
        let Ok((number, Err(failure))) = joined else { continue };
        if first.as_ref().is_none_or(|(earlier, _)| number < *earlier) {
            handles.iter().skip(number + 1).for_each(AbortHandle::abort);
            first = Some((number, failure));
        }
    }
    first.map_or(Ok(()), |(_, failure)| Err(failure))
}

/// Moves one file: attempts until it is there, or a failure is final, or patience ends.
async fn carry(desk: &Desk, step: &Step) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        tell(desk, step, FileStage::Moving, attempts, None).await;
        let error = match attempt(desk, step).await {
            Ok(bytes) => {
                tell(desk, step, FileStage::Done { bytes }, attempts, None).await;
                return Ok(());
            }
            Err(error) => error,
        };
        let blame = blame::of(&error);
        let pause = blame::pause(blame, attempts, begun.elapsed(), desk.limits.patience)
            .filter(|_| !may_have_been_shown(desk, step, &error));
        let message = error.to_string();
        tracing::info!(
            job = %desk.job.key, file = ?step.role, attempts, ?blame, again = ?pause, error = message, "transfer failed"
        );
        let Some(pause) = pause else {
            tell(desk, step, FileStage::Failed, attempts, Some(message.clone())).await;
            return Err(failure(desk, step.role, given_up(message, attempts, begun)));
        };
        tell(desk, step, FileStage::Waiting, attempts, Some(message)).await;
        tokio::time::sleep(pause).await;
    }
}

/// What has been sent to a person's terminal stands there; only an attempt that came to nothing is repeated.
/// A stream that is carried keeps account of that itself.
fn may_have_been_shown(desk: &Desk, step: &Step, error: &super::TransferError) -> bool {
    if stream_of(step.role).is_some_and(|way| desk.streaming.carries(&desk.job, way)) {
        return false;
    }
    let Way::Send { to: Target::Url(url), .. } = &step.way else { return false };
    let came_to_nothing = matches!(
        error,
        super::TransferError::Gass(error) if matches!(**error, gass::GassError::Unreachable { .. })
    );
    is_terminal(url) && !came_to_nothing
}

fn given_up(message: String, attempts: u32, begun: Instant) -> String {
    match attempts {
        1 => message,
        _ => format!("{message} (given up after {attempts} attempts in {} s)", begun.elapsed().as_secs()),
    }
}

async fn tell(desk: &Desk, step: &Step, stage: FileStage, attempts: u32, trouble: Option<String>) {
    let since = Timestamp::now();
    desk.report(FileProgress { role: step.role, stage, attempts, since, took: None, trouble }).await;
}
