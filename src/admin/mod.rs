//! The local door: commands of operators on the node's own machine, over a socket in the data directory.
//!
//! Who may write to the socket may do everything; it is the owner's alone. A request is one line of JSON, an object with
//! the name of its `command`; with `body_bytes` so many octets follow the line. The answer is one line, `{"ok": …}` or
//! `{"error": "…"}`. Any number of requests may follow each other. Everything has a bound: callers, the length of a line
//! and of a body, how long a caller may be silent.

mod application;
mod client;
mod commands;
mod operate;

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::Domain;
use socket2::SockAddr;
use socket2::Socket;
use socket2::Type;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use application::Application;
pub use application::Control;
pub use application::Slot;
pub use client::CallError;
pub use client::call;
pub use client::call_within;
pub use commands::Request;
pub use operate::Bound;
pub use operate::NodeFacts;
pub use operate::Operation;
pub use operate::Owner;
pub use operate::Policies;
pub use operate::Resource;
pub use operate::SetLogLevel;

/// The socket's name in the data directory.
const SOCKET_NAME: &str = "leveret.sock";

/// Callers at a time; others wait.
const CALLERS_MAX: usize = 16;

/// Longest request.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Bodies at a time; who comes with another one waits.
const BODIES_MAX: usize = 1;

/// How long a caller may take for a request.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Between two accepts that fail, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A local door that is open.
pub struct LocalDoor {
    path: PathBuf,
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl LocalDoor {
    /// Opens the socket in the data directory, which the caller's store holds, and serves it from a thread of its own.
    pub fn open(node: NodeFacts) -> io::Result<Self> {
        let path = node.data_dir.join(SOCKET_NAME);
        let listener = listen(&path)?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("local-door".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    match UnixListener::from_std(listener) {
                        Ok(listener) => serve(Arc::new(node), listener, stopped).await,
                        Err(error) => tracing::error!(%error, "cannot serve the local socket: commands cannot reach this node; restart it"),
                    }
                });
            })?;
        Ok(Self { path, thread, stop })
    }

    /// Lets nobody in any more, tells commands that run to give up, and waits for their end.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!(
                "the local door's thread ended in a panic; this is a fault of Leveret: please report it with the lines before this one"
            );
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn listen(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    // Left by a node that was killed; no other runs on this directory.
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before anybody can connect.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(CALLERS_MAX as i32)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What all callers share.
#[derive(Clone)]
struct Desk {
    node: Arc<NodeFacts>,
    bodies: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

async fn serve(node: Arc<NodeFacts>, listener: UnixListener, stopped: watch::Receiver<bool>) {
    let mut stop = stopped.clone();
    let desk = Desk {
        node,
        bodies: Arc::new(Semaphore::new(BODIES_MAX)),
        stopped,
    };
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = callers.join_next() => {}
            accepted = listener.accept(), if callers.len() < CALLERS_MAX => match accepted {
                Ok((stream, _)) => {
                    callers.spawn(converse(desk.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a caller on the local socket; trying again: raise the limit of open files");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    while callers.join_next().await.is_some() {}
}

/// Answers one caller until it goes, says nothing any more or the node stops.
async fn converse(desk: Desk, stream: UnixStream) {
    let mut stop = desk.stopped.clone();
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut stream).take(LINE_BYTES_MAX);
        let read = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            read = tokio::time::timeout(SILENCE_MAX, limited.read_until(b'\n', &mut line)) => read,
        };
        if !matches!(read, Ok(Ok(octets)) if octets > 0) {
            return;
        }
        let announced = commands::body_bytes(&line);
        let most = desk.node.body_bytes_max;
        if announced > most {
            let refused = commands::too_long(most);
            let _ = stream.write_all(refused.as_bytes()).await;
            return;
        }
        // Kept until the answer is there, for that is how long the body is.
        let mut turn = None;
        let mut body = Vec::new();
        if announced > 0 {
            turn = Arc::clone(&desk.bodies).acquire_owned().await.ok();
            let mut limited = (&mut stream).take(announced);
            let read = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                read = tokio::time::timeout(SILENCE_MAX, limited.read_to_end(&mut body)) => read,
            };
            if !matches!(read, Ok(Ok(octets)) if octets as u64 == announced) {
                return;
            }
        }
        let (node, stopped) = (Arc::clone(&desk.node), desk.stopped.clone());
        let answer = tokio::task::spawn_blocking(move || {
            commands::answer(&node, &line, &body, &|| !*stopped.borrow())
        });
        let Ok(mut answer) = answer.await else {
            tracing::error!(
                "a command on the local socket ended in a panic; this is a fault of Leveret: please report it with the lines before this one"
            );
            return;
        };
        drop(turn);
        answer.push('\n');
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
