//! The node's client connections: who is there, and how to reach them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use dashmap::DashMap;

use crate::model::ConnectionId;
use crate::model::Outbox;
use crate::model::ReplyCode;
use crate::model::UserName;
use crate::model::VhostName;
use crate::model::outbox::Parcel;

/// An open connection.
#[derive(Clone)]
pub struct ConnectionInfo {
    /// Its id.
    pub id: ConnectionId,
    /// The client's address.
    pub peer: SocketAddr,
    /// Who logged in.
    pub user: UserName,
    /// Where.
    pub vhost: VhostName,
    /// `connection_name` of the client's properties.
    pub name: Option<String>,
    /// How to reach it.
    pub outbox: Arc<Outbox>,
}

/// All connections that are open (past `connection.open`).
#[derive(Default)]
pub struct Connections {
    open: DashMap<ConnectionId, ConnectionInfo>,
}

impl Connections {
    pub(super) fn add(&self, info: ConnectionInfo) {
        self.open.insert(info.id, info);
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        self.open.remove(&id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All, in no order.
    pub fn list(&self) -> Vec<ConnectionInfo> {
        self.open.iter().map(|info| info.clone()).collect()
    }

    /// Leaves a parcel for every connection that `choose` picks.
    pub fn tell(&self, choose: impl Fn(&ConnectionInfo) -> bool, parcel: impl Fn() -> Parcel) {
        for info in self.list() {
            if choose(&info) {
                info.outbox.push(parcel());
            }
        }
    }

    /// Asks every chosen connection to close.
    pub fn close(
        &self,
        choose: impl Fn(&ConnectionInfo) -> bool,
        code: ReplyCode,
        text: impl Into<Cow<'static, str>>,
    ) {
        let text = text.into();
        self.tell(choose, || Parcel::Close {
            code,
            text: text.clone(),
        });
    }
}
