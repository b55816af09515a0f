//! Accepts HTTP connections and drops those on which nothing moves, or hardly anything: clients that never ask, never read or never
//! leave, and those that ask octet by octet, must not use up the sockets that AMQP needs too.

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
use tokio::time::Instant;
use tokio::time::Sleep;

/// How long a connection may be kept alive between two requests, or take over one read or write.
pub(super) const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// A request that has taken longer than that to come must have brought so many octets a second.
const OCTETS_PER_SECOND_MIN: u64 = 128;

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
            request: None,
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

/// A stream whose operations fail once nothing was read or written for too long, or a request is too slow.
pub(super) struct WatchedStream {
    stream: TcpStream,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
    /// When the request began that is coming, and the octets of it.
    request: Option<(Instant, u64)>,
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

    /// Octets of a request have come just now.
    fn is_too_slow(&mut self, octets: usize) -> bool {
        // When `watch` last set it.
        let now = self.idle.deadline() - self.idle_max;
        let (began, so_far) = self.request.get_or_insert((now, 0));
        *so_far += octets as u64;
        let took = now - *began;
        took > self.idle_max && took.as_secs() * OCTETS_PER_SECOND_MIN >= *so_far
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = self.watch(cx, read);
        let octets = buffer.filled().len() - before;
        if octets > 0 && self.is_too_slow(octets) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        // What comes after an answer is another request.
        self.request = None;
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
        self.request = None;
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

    const IDLE: Duration = Duration::from_millis(1100);

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
    fn whoever_asks_octet_by_octet_is_dropped() {
        with_server(async |address| {
            let mut stream = connect(address).await;
            let mut sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await;
            while sent.is_ok() {
                // Never idle. Ten octets a second are too few.
                tokio::time::sleep(IDLE / 10).await;
                sent = stream.write_all(b"h").await;
            }
        });
    }

    #[test]
    fn a_request_may_take_long_if_enough_comes() {
        with_server(async |address| {
            let mut stream = connect(address).await;
            let began = b"GET / HTTP/1.1\r\nHost: ";
            stream.write_all(began).await.expect("an open stream");
            for _ in 0..30 {
                tokio::time::sleep(IDLE / 10).await;
                stream.write_all(&[b'h'; 50]).await.expect("an open stream");
            }
            stream.write_all(b"\r\n\r\n").await.expect("an open stream");
            let mut answer = Vec::new();
            while !answer.ends_with(b"pong") {
                let read = stream.read_buf(&mut answer).await;
                assert_ne!(read.expect("an answer"), 0);
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
