//! Accepts HTTP connections and drops those on which nothing moves: clients that never ask, never read or never leave
//! must not use up the sockets that AMQP needs too.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use axum::serve::Listener;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long a connection may be kept alive between two requests, or take over one read or write.
pub(super) const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// See the module's documentation.
pub(super) struct WatchedListener {
    listener: TcpListener,
    idle_max: Duration,
}

impl WatchedListener {
    /// Takes over a listener whose connections may be idle for `idle_max`.
    pub(super) fn new(listener: TcpListener, idle_max: Duration) -> Self {
        Self { listener, idle_max }
    }
}

impl Listener for WatchedListener {
    type Io = WatchedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (WatchedStream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let watched = WatchedStream {
            stream,
            idle_max: self.idle_max,
            idle: Box::pin(tokio::time::sleep(self.idle_max)),
        };
        (watched, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, WatchedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, WatchedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A stream whose operations fail once nothing was read or written for too long.
pub(super) struct WatchedStream {
    stream: TcpStream,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
}

impl WatchedStream {
    /// Passes on what the stream answered; what waits fails when the time is over.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        answer: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if answer.is_ready() {
            self.idle.set(tokio::time::sleep(self.idle_max));
            return answer;
        }
        match self.idle.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.watch(cx, read)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    const IDLE: Duration = Duration::from_millis(300);

    /// Runs `client` against a server whose connections may be idle for [`IDLE`].
    fn with_server<F: Future<Output = ()>>(client: impl FnOnce(SocketAddr) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let router = Router::new().route("/", get(|| async { "pong" }));
            let service = router.into_make_service_with_connect_info::<Peer>();
            let listener = WatchedListener::new(listener, IDLE);
            tokio::spawn(async move { axum::serve(listener, service).await });
            client(address).await;
        });
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("a listener")
    }

    #[test]
    fn whoever_says_nothing_is_dropped() {
        with_server(async |address| {
            for octets in [&b""[..], b"GET / HT"] {
                let mut stream = connect(address).await;
                stream.write_all(octets).await.expect("an open stream");
                // An end or a reset; waiting for ever would be wrong.
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                assert_eq!(rest, b"");
            }
        });
    }

    #[test]
    fn whoever_goes_on_asking_stays() {
        with_server(async |address| {
            let mut stream = connect(address).await;
            for _ in 0..4 {
                // Longer in all than a connection may be idle.
                tokio::time::sleep(IDLE / 2).await;
                let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
                stream.write_all(request).await.expect("an open stream");
                let mut answer = Vec::new();
                while !answer.ends_with(b"pong") {
                    let read = stream.read_buf(&mut answer).await;
                    assert_ne!(read.expect("an answer"), 0);
                }
            }
        });
    }
}
