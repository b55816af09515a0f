//! The end of a socket whose connection is over: the last output gets through, and the peer may close first.

use std::io;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpStream;

use crate::protocol::output::Output;
use crate::server::connection::try_write;
use crate::server::loops::OpenGuard;

/// Linger for bytes in flight after we have closed: a reset would discard the peer's copy of our last frames.
pub(super) const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// A connection that is over but for its socket.
pub(super) struct Farewell {
    pub(super) socket: TcpStream,
    pub(super) output: Output,
    /// The peer is to see the end of the stream as soon as it has everything.
    pub(super) hang_up: bool,
    /// The socket is dropped then, whatever the peer does.
    pub(super) until: Instant,
}

impl Farewell {
    /// Writes what is left and discards what the peer still sends until it closes, or the time is over: closing with
    /// unread bytes would reset the connection and could take our last frames with it.
    ///
    /// A client that was sent `close-ok` closes first, as it does with RabbitMQ: some report an end of stream that
    /// overtakes their handling of `close-ok` as an error. A refused login sees no end of stream before the pause is
    /// over.
    pub(super) async fn run(mut self, opened: Option<OpenGuard>) {
        let until = self.until.into();
        let said = async {
            let mut hears = true;
            while !self.output.is_empty() {
                tokio::select! {
                    _ = self.socket.writable() => self.write()?,
                    _ = self.socket.readable(), if hears => hears = self.discard()?,
                }
            }
            // The peer has what we had to say; how long it takes to close is its own affair.
            drop(opened);
            self.output = Output::default();
            if self.hang_up {
                socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write)?;
            }
            while hears {
                self.socket.readable().await?;
                hears = self.discard()?;
            }
            Ok::<(), io::Error>(())
        };
        let _ = tokio::time::timeout_at(until, said).await;
    }

    fn write(&mut self) -> io::Result<()> {
        match try_write(&self.socket, &self.output) {
            Ok(count) => self.output.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the peer may send more.
    fn discard(&self) -> io::Result<bool> {
        match self.socket.try_read(&mut [0; 4096]) {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}
