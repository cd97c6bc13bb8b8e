//! The embedded GASS server that brings a job's output home (gass.md §6).

/// What the embedded server offers; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serving {
    /// `-o`: the job's stdout and stderr.
    Output,
    /// `-s`: the job may also read our files.
    Read,
    /// `-w`: the job may also write our files.
    Write,
}

impl Serving {
    /// The server's rights; in batch mode nobody waits for output, so reading is all that is left.
    pub fn access(self, batch: bool) -> gass::Access {
        gass::Access {
            read: self >= Serving::Read,
            write: self >= Serving::Write && !batch,
            stdout: !batch,
            stderr: !batch,
        }
    }
}
