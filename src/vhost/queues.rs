//! Queue declaration, deletion and the end of exclusive queues.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use amq_protocol::types::AMQPValue;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::ConnectionId;
use crate::model::Lsn;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::Release;
use crate::model::ReplyCode;
use crate::model::arguments;
use crate::model::release;
use crate::model::release::Deprecated;
use crate::queue::Ended;
use crate::queue::Queue;
use crate::queue::QueueArguments;
use crate::queue::QueueOptions;
use crate::queue::QueueType;
use crate::queue::arguments::check_equivalent;
use crate::store::Record;
use crate::vhost::Change;
use crate::vhost::Destination;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::policies::GovernedQueue;

/// What a queue is declared as.
#[derive(Debug, Clone)]
pub struct QueueSpec {
    /// Name.
    pub name: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// The connection it belongs to; it is gone with it.
    pub owner: Option<ConnectionId>,
    /// Arguments.
    pub arguments: Arguments,
}

impl Vhost {
    /// Declares a queue, or checks that the one there is equivalent. Counts as use of it.
    pub fn declare_queue(
        &self,
        spec: QueueSpec,
        now: u64,
    ) -> Result<(Arc<QueueHandle>, Lsn), AmqpError> {
        let _changes = self.changes.lock();
        self.check_alive()?;
        let resource = self.queue_resource(&spec.name);
        // An exclusive queue is gone at the latest with the node, so nothing of it is stored.
        let durable = spec.durable && spec.owner.is_none();
        let mut spec = QueueSpec { durable, ..spec };
        self.shared.churn.queue_declared.add(1);
        self.complete_queue_type(&mut spec);
        if let Some(existing) = self.queue(&spec.name) {
            self.check_equivalent_queue(&existing, &spec, &resource)?;
            existing.enter(|queue, _| queue.declared(now));
            return Ok((existing, Lsn::NONE));
        }
        self.check_queue_limit(&spec.name)?;
        let arguments = QueueArguments::parse(&spec.arguments, &resource)?;
        self.check_permitted(&spec, arguments.queue_type)?;
        arguments.queue_type.check_properties(
            spec.auto_delete,
            spec.owner.is_some(),
            spec.durable,
            &resource,
        )?;
        check_stream(arguments.queue_type, &spec.arguments)?;
        let id = QueueId(self.shared.next_id());
        let handle = self.make_queue(spec, arguments, id, Position(1), now);
        // Before anyone can find it: on disk no message may come before its queue.
        let lsn = if handle.durable {
            self.shared
                .store
                .append(vec![definitions::define_queue(&handle)])
        } else {
            Lsn::NONE
        };
        self.add_queue(&handle);
        self.shared.churn.queue_created.add(1);
        let events = &self.shared.events;
        events.note(|| Change::QueueCreated(Arc::clone(&handle)));
        // Arms the expiry of a queue that is never used.
        handle.enter(|_, _| ());
        Ok((handle, lsn))
    }

    fn check_queue_limit(&self, name: &str) -> Result<(), AmqpError> {
        let max = self.queues_max.load(Ordering::Relaxed);
        if (self.queues.len() as u64) < max {
            return Ok(());
        }
        Err(AmqpError::precondition_failed(format!(
            "cannot declare queue '{name}': queue limit in vhost '{}' ({max}) is reached",
            self.name
        )))
    }

    /// Refuses what the settings forbid of what RabbitMQ is about to drop.
    fn check_permitted(&self, spec: &QueueSpec, queue_type: QueueType) -> Result<(), AmqpError> {
        let permitted = self.shared.permitted;
        let is_shared = !spec.durable && spec.owner.is_none();
        let has_locator = queue_type == QueueType::Classic
            && spec.arguments.value("x-queue-master-locator").is_some();
        let used = [
            (
                is_shared,
                permitted.transient_nonexcl_queues,
                Deprecated::TransientNonexclQueues,
            ),
            (
                has_locator,
                permitted.queue_master_locator,
                Deprecated::QueueMasterLocator,
            ),
        ];
        for (_, is_permitted, feature) in used.into_iter().filter(|(is_used, ..)| *is_used) {
            if !is_permitted {
                return Err(AmqpError::new(
                    ReplyCode::InternalError,
                    release::denied(feature),
                ));
            }
            feature.warn();
        }
        Ok(())
    }

    /// Where the virtual host has a default type, a declaration without one means the type of what exists, else the
    /// default where that type can be what was asked for.
    fn complete_queue_type(&self, spec: &mut QueueSpec) {
        const KEY: &str = "x-queue-type";
        let default = self.metadata().default_queue_type;
        // RabbitMQ 4 writes the type down in any case.
        if default.is_none() && self.shared.release == Release::V3 {
            return;
        }
        if spec.arguments.value(KEY).is_some() {
            return;
        }
        if default.is_some()
            && let Some(existing) = self.queue(&spec.name)
        {
            if let Some(declared) = existing.arguments.value(KEY) {
                spec.arguments.set(KEY, declared.clone());
            }
            return;
        }
        let possible = spec.durable && !spec.auto_delete && spec.owner.is_none();
        let queue_type = default.filter(|_| possible).unwrap_or_default();
        let name = AMQPValue::LongString(queue_type.name().into());
        spec.arguments.set(KEY, name);
    }

    /// A queue as it was judged and as policies have it, which nobody can find yet.
    pub(super) fn make_queue(
        &self,
        spec: QueueSpec,
        judged: QueueArguments,
        id: QueueId,
        next: Position,
        now: u64,
    ) -> Arc<QueueHandle> {
        let queue_type = judged.queue_type;
        let (applied, arguments) = self.governed_queue(&spec.name, &spec.arguments, judged);
        let governed = GovernedQueue::new(applied, &arguments);
        let options = QueueOptions {
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            arguments,
            delivery_limit_default: self.shared.queue_defaults.delivery_limit,
            release: self.shared.release,
        };
        let mut state = Queue::new(id, options, next, now);
        let paging = &self.shared.paging;
        state.page_with(Arc::clone(&paging.memory), paging.pager());
        Arc::new(QueueHandle::new(
            spec, id, self, queue_type, governed, state,
        ))
    }

    /// Lets everyone find a queue. The caller holds `changes`, or is recovering.
    pub(super) fn add_queue(&self, handle: &Arc<QueueHandle>) {
        self.shared.queues.insert(handle.id, Arc::clone(handle));
        self.queues.insert(handle.name.clone(), Arc::clone(handle));
        self.changed();
    }

    fn check_equivalent_queue(
        &self,
        existing: &QueueHandle,
        spec: &QueueSpec,
        resource: &str,
    ) -> Result<(), AmqpError> {
        if existing.owner != spec.owner {
            return Err(locked(resource));
        }
        let differs = |key: &str, received: bool, current: bool| {
            Err(AmqpError::precondition_failed(format!(
                "inequivalent arg '{key}' for {resource}: received '{received}' but current is '{current}'"
            )))
        };
        if existing.durable != spec.durable {
            return differs("durable", spec.durable, existing.durable);
        }
        if existing.auto_delete != spec.auto_delete {
            return differs("auto_delete", spec.auto_delete, existing.auto_delete);
        }
        check_equivalent(
            existing.queue_type,
            &existing.arguments,
            &spec.arguments,
            resource,
        )
    }

    /// The queue of that name for `connection`: 404 when there is none, 405 when it is another's.
    pub fn queue_for(
        &self,
        name: &str,
        connection: ConnectionId,
    ) -> Result<Arc<QueueHandle>, AmqpError> {
        let queue = self
            .queue(name)
            .ok_or_else(|| AmqpError::not_found(format!("no {}", self.queue_resource(name))))?;
        self.check_access(&queue, connection)?;
        Ok(queue)
    }

    /// 405 when the queue is exclusive to another connection.
    pub fn check_access(
        &self,
        queue: &QueueHandle,
        connection: ConnectionId,
    ) -> Result<(), AmqpError> {
        match queue.owner {
            Some(owner) if owner != connection => Err(locked(&self.queue_resource(&queue.name))),
            _ => Ok(()),
        }
    }

    /// Deletes a queue with its bindings: number of ready messages that went with it.
    pub fn delete_queue(
        &self,
        queue: &Arc<QueueHandle>,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(u64, Lsn), AmqpError> {
        let _changes = self.changes.lock();
        let resource = self.queue_resource(&queue.name);
        if queue.queue_type == QueueType::Quorum {
            check_unconditional(if_unused, if_empty, &resource)?;
        }
        // A stream goes in any case, as in RabbitMQ, and what it had is not told.
        let is_stream = queue.queue_type == QueueType::Stream;
        let (if_unused, if_empty) = (if_unused && !is_stream, if_empty && !is_stream);
        let refuse = |why| Err(AmqpError::precondition_failed(format!("{resource} {why}")));
        let (deleted, lsn) = queue.enter(|state, records| {
            let counts = state.counts();
            if if_unused && counts.consumers > 0 {
                return refuse("in use");
            }
            if if_empty && counts.ready > 0 {
                return refuse("not empty");
            }
            if state.is_deleted() {
                return Ok((0, false));
            }
            let count = state.delete(records);
            self.shared.keep_counts(queue.queue_type, state);
            self.remove_queue(queue, records);
            Ok((count, true))
        });
        self.delete_ended_lines();
        let (count, removed) = deleted?;
        if removed {
            self.changed();
        }
        Ok((count, lsn))
    }

    /// Deletes a queue that ended by itself, if it still has reason to.
    pub fn delete_ended(&self, queue: &Arc<QueueHandle>, ended: Ended, now: u64) {
        let _changes = self.changes.lock();
        queue.enter(|state, records| {
            let still = match ended {
                Ended::Unused => state.counts().consumers == 0,
                Ended::Expired => state.tick(now, records) == Some(Ended::Expired),
            };
            if still && !state.is_deleted() {
                state.delete(records);
                self.shared.keep_counts(queue.queue_type, state);
                self.remove_queue(queue, records);
                self.changed();
            }
        });
        self.delete_ended_lines();
    }

    fn remove_queue(&self, queue: &Arc<QueueHandle>, records: &mut Vec<Record>) {
        self.queues.remove(&queue.name);
        self.shared.churn.queue_deleted.add(1);
        self.shared.queues.remove(&queue.id);
        if queue.durable {
            records.push(definitions::undefine_queue(queue));
        }
        self.remove_destination(&Destination::Queue(Arc::clone(queue)), records);
        let events = &self.shared.events;
        events.note(|| Change::QueueDeleted(Arc::clone(queue)));
    }

    /// Deletes what was exclusive to a connection that ends.
    pub fn delete_exclusive(&self, queues: &[Arc<QueueHandle>]) -> Lsn {
        let mut last = Lsn::NONE;
        for queue in queues {
            if let Ok((_, lsn)) = self.delete_queue(queue, false, false) {
                last = last.max(lsn);
            }
        }
        last
    }
}

/// Quorum queues are deleted without conditions.
fn check_unconditional(if_unused: bool, if_empty: bool, resource: &str) -> Result<(), AmqpError> {
    let flag = match (if_unused, if_empty) {
        (true, _) => "if-unused",
        (false, true) => "if-empty",
        (false, false) => return Ok(()),
    };
    Err(AmqpError::not_implemented(format!(
        "cannot delete {resource}. queue.delete operations with {flag} flag set are not supported by quorum queues"
    )))
}

/// What RabbitMQ judges of a stream when it makes it, with texts that do not name it.
fn check_stream(queue_type: QueueType, arguments: &Arguments) -> Result<(), AmqpError> {
    const SEGMENT_BYTES_MAX: i64 = 3_000_000_000;
    const FILTER_BYTES: RangeInclusive<i64> = 16..=255;
    if queue_type != QueueType::Stream {
        return Ok(());
    }
    let number = |key| arguments.value(key).map(arguments::integer);
    let problem = match (
        number("x-stream-max-segment-size-bytes"),
        number("x-stream-filter-size-bytes"),
    ) {
        (Some(Some(bytes)), _) if bytes > SEGMENT_BYTES_MAX => {
            "Exceeded max value for x-stream-max-segment-size-bytes"
        }
        (_, Some(None)) => "Invalid type for x-stream-filter-size-bytes",
        (_, Some(Some(bytes))) if !FILTER_BYTES.contains(&bytes) => {
            "Invalid value for x-stream-filter-size-bytes"
        }
        _ => return Ok(()),
    };
    Err(AmqpError::precondition_failed(problem))
}

fn locked(resource: &str) -> AmqpError {
    AmqpError::resource_locked(format!(
        "cannot obtain exclusive access to locked {resource}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration."
    ))
}
