//! Opens listening sockets, and says clearly what is wrong when it cannot.

use std::io;
use std::net::SocketAddr;

/// Connections the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Someone else listens there.
    #[error(
        "port {port} is in use: cannot listen on {address}; stop the other process or choose another port"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// Its port.
        port: u16,
    },
    /// The system refuses.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A loop's thread could not be started.
    #[error("cannot start a loop: {0}")]
    Thread(io::Error),
}

/// An open listening socket, not yet tied to a loop.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// The socket, non-blocking.
    pub socket: std::net::TcpListener,
}

/// Opens all of them, or none.
pub fn open_all(addresses: &[SocketAddr]) -> Result<Vec<Listener>, ListenError> {
    addresses.iter().map(|address| open_one(*address)).collect()
}

/// `[::]` also takes IPv4; where there is no IPv6 it falls back to `0.0.0.0`.
pub(super) fn open_one(address: SocketAddr) -> Result<Listener, ListenError> {
    match bind(address) {
        Err(error) if no_ipv6(&error) && address.ip().is_unspecified() => {
            let v4 = SocketAddr::from(([0, 0, 0, 0], address.port()));
            bind(v4).map_err(|source| refused(v4, source))
        }
        result => result.map_err(|source| refused(address, source)),
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
    )
}

fn refused(address: SocketAddr, source: io::Error) -> ListenError {
    if source.kind() == io::ErrorKind::AddrInUse {
        ListenError::InUse {
            address,
            port: address.port(),
        }
    } else {
        ListenError::Refused { address, source }
    }
}

fn bind(address: SocketAddr) -> io::Result<Listener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG as i32)?;
    let socket = std::net::TcpListener::from(socket);
    Ok(Listener {
        address: socket.local_addr()?,
        socket,
    })
}
