//! Takes new connections from the listeners.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::server::listen::Listener;
use crate::server::listen::open_one;

/// Pause after `accept` failed for want of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands each new connection to `take`, until that answers that nobody wants more. While it is suspended nothing listens.
pub(super) async fn accept(
    listener: Listener,
    mut suspended: watch::Receiver<bool>,
    mut take: impl AsyncFnMut(TcpStream) -> bool,
) {
    let address = listener.address;
    let mut opened = Some(listener);
    loop {
        let listener = match opened.take().map_or_else(|| open_one(address), Ok) {
            Ok(listener) => TcpListener::from_std(listener.socket),
            Err(error) => {
                tracing::error!(%address, %error, "cannot listen again; trying again: find out what else listens there");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%address, %error, "cannot accept connections here: nobody can connect to this address; restart the node");
                return;
            }
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // Without anybody who could suspend it, it goes on until it is dropped.
                Ok(_) = suspended.wait_for(|suspended| *suspended) => break,
            };
            match accepted {
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
        drop(listener);
        if suspended.wait_for(|suspended| !suspended).await.is_err() {
            return;
        }
    }
}
