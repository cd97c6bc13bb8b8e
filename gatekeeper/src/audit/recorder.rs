//! Brings audit lines into the database, beside the requests and never in their way.

use super::database::Database;
use super::entry::Entry;
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines that may wait for the database; further ones are in the file only, and said to be so.
const QUEUE: usize = 16 * 1024;
/// Lines of one transaction.
const BATCH: usize = 1000;
/// Pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where lines for the database are handed in.
#[derive(Debug, Clone)]
pub struct Recorder(mpsc::Sender<Entry>);

impl Recorder {
    /// Starts to write into the database of this URL, which need not be there yet. The future writes until the last
    /// recorder is gone and all lines are written.
    pub fn new(url: String) -> (Self, impl Future<Output = ()>) {
        let (sender, lines) = mpsc::channel(QUEUE);
        (Self(sender), write(url, lines))
    }

    /// Hands in a line; false: too many wait already.
    pub fn record(&self, entry: Entry) -> bool {
        self.0.try_send(entry).is_ok()
    }
}

async fn write(url: String, mut lines: mpsc::Receiver<Entry>) {
    let mut database = None;
    let mut batch = Vec::new();
    let mut pause = FIRST_PAUSE;
    loop {
        if batch.is_empty() && lines.recv_many(&mut batch, BATCH).await == 0 {
            break;
        }
        let written = async {
            let open = match database.take() {
                Some(open) => open,
                None => Database::open(&url).await?,
            };
            open.add(&batch).await.map(|()| open)
        };
        match written.await {
            Ok(open) => {
                database = Some(open);
                batch.clear();
                pause = FIRST_PAUSE;
            }
            Err(error) => {
                tracing::warn!(%error, lines = batch.len(), "audit lines wait for their database");
                if lines.is_closed() {
                    tracing::error!("the gatekeeper ends; load these lines with gridiron audit --import");
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    if let Some(open) = database {
        open.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::Question;

    fn entry(number: usize) -> Entry {
        let line = format!(r#"{{"time":"2026-11-21T19:00:00Z","request":"r{number}","outcome":"granted"}}"#);
        Entry::parse(&line).unwrap()
    }

    #[tokio::test]
    async fn lines_wait_for_a_database_that_comes_late() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("later");
        let url = format!("sqlite://{}/audit.sqlite", later.display());
        let (recorder, writing) = Recorder::new(url.clone());
        let writing = tokio::spawn(writing);
        for number in 0..BATCH + 5 {
            assert!(recorder.record(entry(number)));
        }
        tokio::time::sleep(FIRST_PAUSE / 2).await;
        std::fs::create_dir(&later).unwrap();
        tokio::time::sleep(FIRST_PAUSE * 2).await;
        drop(recorder);
        writing.await.unwrap();
        let database = Database::open(&url).await.unwrap();
        assert_eq!(database.find(&Question::default(), 5000).await.unwrap().len(), BATCH + 5);
    }
}
