//! The fork scheduler: jobs are children of the account's reaper, so they outlive the job manager.
