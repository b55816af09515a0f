//! Takes new connections from the listeners.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::server::listen::Listener;

/// Pause after `accept` failed for want of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands each new connection to `take`, until that answers that nobody wants more.
pub(super) async fn accept(listener: Listener, mut take: impl AsyncFnMut(TcpStream) -> bool) {
    let Listener { address, socket } = listener;
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%address, %error, "cannot accept connections here: nobody can connect to this address; restart the node");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                if !take(socket).await {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%address, %error, "cannot accept a connection; trying again: raise the limit of open files, or find out who opens connections and leaves them");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
