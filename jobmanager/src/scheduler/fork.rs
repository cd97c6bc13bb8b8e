//! The fork scheduler: jobs are children of the account's reaper, so they outlive the job manager.

use std::{ffi::OsString, path::PathBuf};

use tokio::sync::mpsc;

use super::{Scheduler, SchedulerError, SchedulerEvent, SchedulerId};
use crate::launch::{JobKey, Launch};

/// The fork adapter. Dropping it leaves reaper and jobs alone.
#[derive(Debug)]
pub struct Fork {}

impl Fork {
    /// Makes the adapter; must be called within a tokio runtime. `dir` is the reaper's own directory (created 0700
    /// when missing), `reaper_command` the program and arguments that start one (`--dir dir` is NOT added).
    /// The reaper is started at the first job. Events come out of the receiver; read it always.
    pub fn new(_dir: PathBuf, _reaper_command: Vec<OsString>) -> (Fork, mpsc::Receiver<SchedulerEvent>) {
        let (_, receiver) = mpsc::channel(1);
        (Fork {}, receiver)
    }
}

impl Scheduler for Fork {
    fn name(&self) -> &'static str {
        "fork"
    }
    fn check(&self, _launch: &Launch) -> Result<(), SchedulerError> {
        todo!()
    }
    async fn submit(&self, _launch: Launch) -> Result<SchedulerId, SchedulerError> {
        todo!()
    }
    async fn cancel(&self, _key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        todo!()
    }
    async fn suspend(&self, _key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        todo!()
    }
    async fn resume(&self, _key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        todo!()
    }
    async fn adopt(&self, _jobs: Vec<(JobKey, Option<SchedulerId>)>) -> Result<(), SchedulerError> {
        todo!()
    }
    async fn forget(&self, _key: JobKey) {
        todo!()
    }
}
