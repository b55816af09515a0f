//! Carries messages between the memory of queues and the disk: the queues' [`Pager`], and the thread that reads what
//! consumers will soon reach.
//!
//! The thread holds no queue's lock while it reads. It ends with the node's shared state.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::Weak;
use std::sync::mpsc;

use crate::model::QueueId;
use crate::model::Run;
use crate::queue::Memory;
use crate::queue::Page;
use crate::queue::Pager;
use crate::queue::Spill;
use crate::queue::Spilled;
use crate::store::Overflow;
use crate::store::OverflowBlocks;
use crate::store::Store;
use crate::vhost::Shared;

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What all queues of a node page with.
pub struct Paging {
    /// What they may hold together.
    pub memory: Arc<Memory>,
    pager: Arc<StorePager>,
    /// What time it is, for what is delivered when it was read.
    clock: OnceLock<Clock>,
    /// Queues that want something read. Each is here once at most, for it waits until it has it.
    requests: OnceLock<mpsc::Sender<QueueId>>,
}

struct StorePager {
    store: Arc<Store>,
    overflow: Option<Overflow>,
}

#[derive(Debug)]
struct SpilledBlocks(OverflowBlocks);

impl fmt::Debug for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paging")
            .field("memory", &self.memory)
            .finish()
    }
}

impl Paging {
    /// Without an `overflow` only what the store has leaves the memory.
    pub fn new(store: Arc<Store>, memory: Memory, overflow: Option<Overflow>) -> Self {
        Self {
            memory: Arc::new(memory),
            pager: Arc::new(StorePager { store, overflow }),
            clock: OnceLock::new(),
            requests: OnceLock::new(),
        }
    }

    /// Tells what time it is, in milliseconds since the Unix epoch. Without it what was read is judged by the time at which
    /// its queue was last used.
    pub fn use_clock(&self, clock: Clock) {
        // The first one stays.
        let _ = self.clock.set(clock);
    }

    pub(super) fn now(&self) -> Option<u64> {
        self.clock.get().map(|clock| clock())
    }

    pub(super) fn pager(&self) -> Arc<dyn Pager> {
        Arc::clone(&self.pager) as Arc<dyn Pager>
    }

    /// Has what a queue wants read, and delivered.
    pub(super) fn request(&self, shared: &Arc<Shared>, queue: QueueId) {
        let requests = self.requests.get_or_init(|| {
            let (sender, receiver) = mpsc::channel();
            let shared = Arc::downgrade(shared);
            let thread = std::thread::Builder::new().name("pages".to_owned());
            if let Err(error) = thread.spawn(move || serve(&shared, &receiver)) {
                tracing::error!(%error, "the thread that reads messages back cannot be started: what is on the disk is not delivered; raise the limit of processes and restart the node");
            }
            sender
        });
        // Without its thread there is nobody to ask, and that was told.
        let _ = requests.send(queue);
    }
}

fn serve(shared: &Weak<Shared>, requests: &mpsc::Receiver<QueueId>) {
    while let Ok(first) = requests.recv() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // A queue that has asked twice is served once.
        let queues: HashSet<QueueId> = std::iter::once(first).chain(requests.try_iter()).collect();
        for queue in queues {
            let handle = shared.queues.get(&queue).map(|handle| Arc::clone(&handle));
            if let Some(handle) = handle {
                handle.read_ahead(&*shared.paging.pager);
            }
        }
    }
}

impl Pager for StorePager {
    fn read(&self, queue: QueueId, positions: Range<u64>, bytes_max: u64) -> Option<Page> {
        match self.store.read(queue, positions, bytes_max) {
            Ok(page) => Some(Page {
                runs: page
                    .runs
                    .into_iter()
                    .map(|stored| (stored.first.0, stored.run, stored.enqueued_at))
                    .collect(),
                until: page.until,
            }),
            Err(error) => {
                tracing::error!(queue = queue.0, %error, "messages cannot be read back and stay where they are; check the disk, then restart the node");
                None
            }
        }
    }

    fn spill(&self, messages: Spill) -> Option<Arc<dyn Spilled>> {
        let overflow = self.overflow.as_ref()?;
        let blocks = overflow.write(messages.first, messages.run, messages.expires_at)?;
        Some(Arc::new(SpilledBlocks(blocks)))
    }
}

impl Spilled for SpilledBlocks {
    fn read(&self) -> Option<Vec<(u64, Run, Option<u64>)>> {
        self.0
            .read()
            .inspect_err(|error| tracing::error!(%error, "transient messages cannot be read back and are lost; check the disk"))
            .ok()
    }
}
