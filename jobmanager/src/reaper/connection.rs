//! One connection of a job manager: bytes in and out without blocking.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use super::protocol::{Message, Request, decode_request, encode_message, split_frame};

/// Bytes read at once; what a peer sends beyond it waits until the children have had their turn.
const READ_AT_ONCE: usize = 64 * 1024;
/// Bytes that may wait for a peer that does not read; then it is disconnected, and may come back and read the table.
pub(super) const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// A peer.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    /// Takes over a stream that has been accepted.
    pub(super) fn new(stream: UnixStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, input: Vec::new(), output: Vec::new() })
    }

    /// The descriptor, for polling.
    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Whether something waits to be written.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads what has come and takes the whole requests out of it. An error, the end of the stream included, ends
    /// the connection.
    pub(super) fn receive(&mut self) -> io::Result<Vec<(u64, Request)>> {
        let mut buffer = [0; READ_AT_ONCE];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.input.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let mut requests = Vec::new();
        let mut taken = 0;
        while let Some((content, length)) =
            split_frame(self.input.get(taken..).unwrap_or_default()).map_err(invalid)?
        {
            requests.push(decode_request(content).map_err(invalid)?);
            taken += length;
        }
        self.input.drain(..taken);
        Ok(requests)
    }

    /// Puts a message behind what waits already.
    pub(super) fn queue(&mut self, message: &Message) -> io::Result<()> {
        encode_message(message, &mut self.output).map_err(invalid)?;
        if self.output.len() > MAX_OUTPUT {
            return Err(io::Error::other("the peer does not read"));
        }
        Ok(())
    }

    /// Writes as much as the peer takes now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.has_output() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn invalid(error: super::protocol::ProtocolError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
