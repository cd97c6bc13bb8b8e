//! Starting tokio: one thread for a client command, all cores for a daemon.

use crate::failure::Failure;

/// Runs a client command's future on this thread.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    start(&mut tokio::runtime::Builder::new_current_thread(), future)
}

/// Threads for what blocks (files, name lookups). Thousands of such pieces of work may come at once, when thousands of jobs
/// are cancelled; more threads would only take memory.
const BLOCKING_THREADS: usize = 64;

/// Runs a daemon's future on all cores.
pub fn block_on_all_cores<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    start(tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS), future)
}

fn start<T>(
    builder: &mut tokio::runtime::Builder,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::local("cannot start the runtime", &error))?
        .block_on(future)
}
