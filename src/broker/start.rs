//! Opens the store and rebuilds the node from it, or makes a new one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dashmap::DashMap;

use crate::auth::AuthError;
use crate::broker::Access;
use crate::broker::Alarms;
use crate::broker::AllLimits;
use crate::broker::Broker;
use crate::broker::BrokerOptions;
use crate::broker::Connections;
use crate::broker::Parameters;
use crate::broker::Replies;
use crate::broker::definitions;
use crate::model::UserName;
use crate::model::VhostName;
use crate::queue::Memory;
use crate::store::Overflow;
use crate::store::Store;
use crate::store::StoreError;
use crate::vhost::Paging;
use crate::vhost::Shared;
use crate::vhost::VhostMetadata;
use crate::vhost::recover::recover;
use crate::vhost::recover::write_redelivered;

/// More queues and exchanges than this cannot be declared in a millisecond.
const IDS_PER_MILLISECOND: u64 = 4096;

/// The node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored users or permissions cannot be read.
    #[error(transparent)]
    Access(#[from] AuthError),
    /// The settings of the first user or virtual host are no names.
    #[error("{setting} is not a name: {why}")]
    Name {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl Broker {
    /// Opens the data directory. `now` is in milliseconds since the Unix epoch.
    pub fn start(options: BrokerOptions, now: u64) -> Result<Arc<Self>, StartError> {
        let (store, recovered) = Store::open(&options.data_dir, options.store.clone())?;
        let store = Arc::new(store);
        let highest = recovered
            .queues
            .iter()
            .map(|queue| queue.queue.0)
            .max()
            .unwrap_or(0);
        // Ids go on from the time of the start, so that a queue that was deleted before it never lends its id to another.
        let next_id = (highest + 1).max(now.saturating_mul(IDS_PER_MILLISECOND));
        let mut shared = Shared::new(Arc::clone(&store), next_id);
        shared.queue_defaults = options.queue_defaults;
        shared.release = options.release;
        shared.permitted = options.permitted;
        let overflow = Overflow::new(options.data_dir.join("overflow"))
            .map_err(|source| StoreError::Overflow { source })?;
        let memory = Memory::new(options.queue_memory_bytes);
        shared.paging = Paging::new(Arc::clone(&store), memory, Some(overflow));
        let shared = Arc::new(shared);
        let broker = Arc::new(Self {
            access: Access::new(options.loopback_users.clone(), Arc::clone(&store)),
            alarms: Alarms::new(options.alarms),
            limits: AllLimits::new(&store),
            parameters: Parameters::new(Arc::clone(&store)),
            options,
            shared,
            vhosts: DashMap::new(),
            connections: Connections::default(),
            replies: Replies::default(),
            next_connection: AtomicU64::new(1),
            next_consumer: AtomicU64::new(1),
            confirm_latency: Default::default(),
        });
        broker.parameters.restore(&recovered.definitions);
        let vhosts = definitions::read_vhosts(&recovered.definitions);
        if vhosts.is_empty() && broker.options.seeded {
            broker.first_start()?;
            return Ok(broker);
        }
        for (name, metadata) in vhosts {
            broker.add_vhost(&name, metadata);
        }
        broker.limits.restore(&recovered.definitions);
        broker.apply_queue_limits();
        broker.access.restore(
            definitions::read_users(&recovered.definitions),
            definitions::read_permissions(&recovered.definitions),
            definitions::read_topic_permissions(&recovered.definitions),
        )?;
        let topology = recover(
            &recovered.definitions,
            |name| broker.vhost(name),
            recovered.clean,
            now,
        )?;
        let dropped = if topology.unreadable == 0 {
            store.retain_queues(&topology.queues)?
        } else {
            tracing::warn!(
                queues = topology.unreadable,
                "messages of queues that could not be recovered are kept in the store; see the errors above for what to do"
            );
            0
        };
        store.append(topology.obsolete);
        tracing::info!(
            queues = topology.queues.len(),
            messages = topology.messages,
            leftovers = dropped,
            clean_stop = recovered.clean,
            "recovered"
        );
        Ok(broker)
    }

    /// Closes the store once no connection is left: everything handed over is written, and which messages had been
    /// delivered before.
    pub fn stop(&self) -> Result<(), StoreError> {
        let queues: Vec<_> = self
            .shared
            .queues
            .iter()
            .map(|queue| Arc::clone(&queue))
            .collect();
        self.shared.store.append(
            queues
                .iter()
                .filter_map(|queue| write_redelivered(queue))
                .collect(),
        );
        self.shared.store.close()
    }

    /// One virtual host and one user who may do everything in it, on disk before anyone can log in.
    fn first_start(&self) -> Result<(), StartError> {
        let options = &self.options;
        let invalid = |setting, why: String| StartError::Name { setting, why };
        let vhost = VhostName::new(&options.default_vhost)
            .map_err(|why| invalid("default_vhost", why.to_string()))?;
        let user = UserName::new(&options.default_user)
            .map_err(|why| invalid("default_user", why.to_string()))?;
        // The virtual host last: a start that finds one does not come here again.
        let user_made = self
            .access
            .make_first_user(&user, &options.default_pass, &vhost);
        let vhost_made = self.create_vhost(
            &vhost,
            VhostMetadata {
                description: "Default virtual host".to_owned(),
                ..VhostMetadata::default()
            },
        );
        self.shared.store.wait(vhost_made.max(user_made))?;
        tracing::info!(%vhost, %user, "first start: made a virtual host and a user");
        Ok(())
    }

    fn add_vhost(&self, name: &VhostName, metadata: VhostMetadata) {
        let vhost = crate::vhost::Vhost::new(name.clone(), metadata, Arc::clone(&self.shared));
        self.furnish(&vhost);
        self.vhosts.insert(name.clone(), vhost);
    }
}
