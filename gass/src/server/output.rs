//! Our own stdout and stderr, written by several peers at once without mixing their lines.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

/// Longest line kept back until its end comes; a longer one is written in pieces.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Where `/dev/stdout` or `/dev/stderr` goes; clones share one lock.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Box<dyn AsyncWrite + Unpin + Send>>>);

impl Output {
    /// Any writer.
    pub fn new(writer: impl AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }

    /// Of this process.
    pub fn stdout() -> Self {
        Self::new(tokio::io::stdout())
    }

    /// Of this process.
    pub fn stderr() -> Self {
        Self::new(tokio::io::stderr())
    }

    /// A view for one transfer.
    pub(super) fn lines(&self) -> Lines {
        Lines { output: self.clone(), begun: BytesMut::new() }
    }

    async fn write(&self, pieces: [&[u8]; 2]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        for piece in pieces {
            writer.write_all(piece).await?;
        }
        // At once: the reader may be a person, and the process may be ended by a signal.
        writer.flush().await
    }
}

/// One transfer's data on its way to an [`Output`]: whole lines go through, the line that has begun waits.
pub(super) struct Lines {
    output: Output,
    begun: BytesMut,
}

impl Lines {
    /// Takes data of any shape.
    pub(super) async fn write(&mut self, mut data: Bytes) -> io::Result<()> {
        if let Some(end) = data.iter().rposition(|&byte| byte == b'\n') {
            let lines = data.split_to(end + 1);
            self.output.write([&self.begun, &lines]).await?;
            self.begun.clear();
        }
        if self.begun.len() + data.remaining() > MAX_LINE {
            self.output.write([&self.begun, &data]).await?;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(&data);
        }
        Ok(())
    }

    /// Writes what never got its line end.
    pub(super) async fn finish(self) -> io::Result<()> {
        if self.begun.is_empty() { Ok(()) } else { self.output.write([&self.begun, b""]).await }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// gass.md §5.4: the stock server makes `aaabbb\nAAA\n` of this.
    #[tokio::test]
    async fn lines_of_two_transfers_do_not_mix() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let output = Output::new(ours);
        let (mut a, mut b) = (output.lines(), output.lines());
        a.write("aaa".into()).await.unwrap();
        b.write("bbb\nb".into()).await.unwrap();
        a.write("AAA\n".into()).await.unwrap();
        b.finish().await.unwrap();
        a.finish().await.unwrap();
        drop(output);
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "bbb\naaaAAA\nb");
    }

    #[tokio::test]
    async fn an_endless_line_is_not_kept_for_ever() {
        let (ours, mut theirs) = tokio::io::duplex(4 * MAX_LINE);
        let output = Output::new(ours);
        let mut lines = output.lines();
        for _ in 0..3 {
            lines.write(vec![b'x'; MAX_LINE / 2].into()).await.unwrap();
        }
        assert!(lines.begun.len() <= MAX_LINE);
        drop((lines, output));
        let mut text = Vec::new();
        theirs.read_to_end(&mut text).await.unwrap();
        assert!(text.len() >= MAX_LINE);
    }
}
