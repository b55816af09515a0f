//! The node itself, its queues' contents and its connections.

use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;

use crate::admin::operate::Bound;
use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operation;
use crate::admin::operate::Operator;
use crate::admin::operate::Resource;
use crate::admin::operate::UNAVAILABLE;
use crate::admin::operate::USAGE;
use crate::broker::AlarmOptions;
use crate::broker::ConnectionInfo;
use crate::broker::Protocol;
use crate::broker::Watermark;
use crate::definitions::LIMIT_MAX;
use crate::definitions::Look;
use crate::definitions::arguments_json;
use crate::logs;
use crate::metrics::machine::Machine;
use crate::model::Position;
use crate::model::ReplyCode;
use crate::queue::Begin;
use crate::queue::QueueType;
use crate::store::Store;

impl From<Bound> for Watermark {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Relative(part) => Self::Relative(part),
            Bound::Absolute(octets) => Self::Absolute(octets),
        }
    }
}

/// What a listener is for, in RabbitMQ's words.
fn purpose(protocol: &str) -> &'static str {
    match protocol {
        "amqp" => "AMQP 0-9-1",
        "http" => "HTTP API",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        _ => "",
    }
}

impl Operator<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what comes here was picked by `run`, arm by arm"
    )]
    pub(super) fn node(&self, operation: Operation) -> Done {
        match operation {
            Operation::PurgeQueue { vhost, name } => {
                let not_found = || Failed::new(UNAVAILABLE, "not_found");
                let vhost = self.broker.vhost(&vhost).ok_or_else(not_found)?;
                let queue = vhost.queue(&name).ok_or_else(not_found)?;
                if queue.queue_type == QueueType::Stream {
                    let resource = vhost.queue_resource(&name);
                    return Err(Failed::new(
                        UNAVAILABLE,
                        format!("queue.purge not supported by stream queues {resource}"),
                    ));
                }
                let now = self.now();
                let (_, lsn) = queue.enter(|state, records| state.purge(now, records));
                self.stored(lsn)
            }
            Operation::Browse {
                vhost,
                name,
                from,
                age_ms,
                limit,
                truncate,
                headers,
                body,
            } => {
                let queue = self.vhost(&vhost)?.queue(&name);
                let queue = queue.ok_or_else(|| Failed::new(UNAVAILABLE, "not_found"))?;
                let now = self.now();
                let begin = match age_ms {
                    Some(age) => Begin::Since(now.saturating_sub(age)),
                    None => Begin::At(Position(from)),
                };
                let look = Look {
                    begin,
                    limit: limit.min(LIMIT_MAX),
                    truncate,
                    always_base64: false,
                    headers,
                    body,
                };
                Ok(look.at(&queue, now))
            }
            Operation::DeleteQueue {
                vhost,
                name,
                if_empty,
                if_unused,
            } => self.delete_queue(&vhost, &name, if_empty, if_unused),
            Operation::CloseConnection { pid, reason } => {
                let mut open = self.broker.connections().list();
                open.retain(|connection| self.broker.connection_pid(connection.id) == pid);
                match open.is_empty() {
                    true => Err(Failed::new(
                        UNAVAILABLE,
                        format!("not_found: no connection {pid}"),
                    )),
                    false => {
                        self.close(
                            |connection| open.iter().any(|it| it.id == connection.id),
                            &reason,
                        );
                        Ok(Value::Null)
                    }
                }
            }
            Operation::CloseConnections {
                vhost,
                user,
                limit,
                reason,
            } => {
                if let Some(vhost) = &vhost {
                    self.vhost(vhost)?;
                }
                let mut chosen = self.broker.connections().list();
                chosen.retain(|connection| {
                    vhost
                        .as_ref()
                        .is_none_or(|vhost| *connection.vhost == **vhost)
                        && user.as_ref().is_none_or(|user| *connection.user == **user)
                });
                chosen.sort_by_key(|connection| connection.id);
                if limit > 0 {
                    chosen.truncate(limit);
                }
                let ids: Vec<_> = chosen.iter().map(|connection| connection.id).collect();
                self.close(|connection| ids.contains(&connection.id), &reason);
                Ok(json!({"closed": ids.len()}))
            }
            Operation::SetMemoryWatermark(bound) => {
                self.broker
                    .set_watermarks(|options| options.memory = bound.into(), self.now());
                Ok(Value::Null)
            }
            Operation::SetDiskLimit(bound) => {
                self.broker
                    .set_watermarks(|options| options.disk = bound.into(), self.now());
                Ok(Value::Null)
            }
            Operation::HoldAlarm { resource, up } => {
                let hold = |options: &mut AlarmOptions| match resource {
                    Resource::Memory => options.memory_held = up,
                    Resource::Disk => options.disk_held = up,
                };
                self.broker.set_watermarks(hold, self.now());
                Ok(Value::Null)
            }
            Operation::QuorumStatus { vhost, name } => self.quorum_status(&vhost, &name),
            Operation::Environment => Ok(json!(self.node.settings)),
            Operation::Variables => Ok(json!(self.node.variables)),
            _ => Ok(self.status()),
        }
    }

    fn close(&self, choose: impl Fn(&ConnectionInfo) -> bool, reason: &str) {
        self.broker
            .connections()
            .close(choose, ReplyCode::ConnectionForced, reason.to_owned());
    }

    fn delete_queue(&self, vhost: &str, name: &str, if_empty: bool, if_unused: bool) -> Done {
        let no_queue = || Failed::new(USAGE, "No such queue was found");
        let vhost = self.broker.vhost(vhost).ok_or_else(no_queue)?;
        let queue = vhost.queue(name).ok_or_else(no_queue)?;
        let deleted = vhost.delete_queue(&queue, if_unused, if_empty);
        let (ready, lsn) = deleted.map_err(|error| {
            let text = error.to_string();
            let text = if text.contains("not empty") {
                "The queue is not empty".to_owned()
            } else if text.contains("in use") {
                "The queue is in use".to_owned()
            } else {
                text
            };
            Failed::new(USAGE, text)
        })?;
        self.stored(lsn)?;
        Ok(json!({"ready": ready}))
    }

    /// A quorum queue's one member. What its log is in RabbitMQ is the store's here, which all queues share.
    fn quorum_status(&self, vhost: &str, name: &str) -> Done {
        let refused = |text| Err(Failed::new(UNAVAILABLE, text));
        let vhost = self.broker.vhost(vhost);
        let Some(queue) = vhost.and_then(|vhost| vhost.queue(name)) else {
            return refused("not_found");
        };
        match queue.queue_type {
            QueueType::Classic => refused("Cannot get quorum status of a classic queue"),
            QueueType::Stream => refused("not_quorum_queue"),
            QueueType::Quorum => {
                let store = self.broker.store();
                // In this order, so that the first is not behind the second.
                let durable = store.durable().0;
                let last = store.last().0;
                Ok(json!([{
                    "Node Name": self.node.name,
                    "Raft State": "leader",
                    "Membership": "voter",
                    "Last Log Index": last,
                    "Last Written": durable,
                    "Last Applied": durable,
                    "Commit Index": durable,
                    "Snapshot Index": "undefined",
                    "Term": 1,
                    "Machine Version": Store::FORMAT,
                }]))
            }
        }
    }

    fn status(&self) -> Value {
        let options = self.broker.options();
        let machine = Machine::look(&options.data_dir);
        let alarms = self.broker.alarms();
        let bounds = self.broker.alarm_options();
        let setting = match bounds.memory {
            Watermark::Relative(part) => json!({"relative": part}),
            Watermark::Absolute(octets) => json!({"absolute": octets}),
        };
        let vhosts = self.broker.vhosts();
        let queues: usize = vhosts.iter().map(|vhost| vhost.queue_count()).sum();
        let listeners = self.running.listeners.iter().map(|(protocol, address)| {
            let ip = address.ip();
            let interface = match ip.is_ipv6() {
                true => format!("[{ip}]"),
                false => ip.to_string(),
            };
            json!({
                "node": self.node.name, "protocol": protocol, "interface": interface,
                "port": address.port(), "purpose": purpose(protocol),
            })
        });
        let listeners: Vec<Value> = listeners.collect();
        let names: Vec<_> = vhosts.iter().map(|vhost| vhost.name().as_str()).collect();
        json!({
            "node": self.node.name,
            "cluster_name": self.broker.cluster_name(),
            "pid": std::process::id(),
            "os": std::env::consts::OS,
            "uptime": self.broker_uptime(),
            "is_under_maintenance": self.running.drained.load(Ordering::Relaxed),
            "product_name": options.product,
            "product_version": options.version,
            "rabbitmq_version": options.version,
            "leveret_version": env!("CARGO_PKG_VERSION"),
            "erlang_version": "none",
            "config_files": self.node.config_files,
            "vm_memory_calculation_strategy": "rss",
            "data_directory": self.node.data_dir.display().to_string(),
            "log_files": logs::locations(),
            "alarms": alarms.names(),
            "listeners": listeners,
            "memory": {
                "total": {"rss": machine.memory_used},
                "queue_messages": self.broker.queue_memory_bytes(),
                "strategy": "rss",
            },
            "vm_memory_high_watermark_setting": setting,
            "vm_memory_high_watermark_limit": alarms.memory_limit,
            "disk_free": machine.disk_free,
            "disk_free_limit": alarms.disk_limit,
            "file_descriptors": {"total_limit": machine.files_max, "total_used": machine.files_open},
            "processes": {"limit": 1_048_576, "used": machine.threads},
            "run_queue": 0,
            "net_ticktime": 60,
            "totals": {
                "connection_count": self.broker.connections().len(),
                "queue_count": queues,
                "virtual_host_count": vhosts.len(),
            },
            "vhosts": names,
            "store_failure": self.broker.store().failure().map(|error| error.to_string()),
        })
    }

    /// Each with its name, as RabbitMQ shows it.
    pub(super) fn watch_events(&self, from: Option<u64>) -> Value {
        let (events, next) = self.broker.watch_events(from, self.now());
        let events = events.iter().map(|(name, told)| {
            let mut event = arguments_json(told);
            event["event"] = name.as_str().into();
            event
        });
        json!({"events": events.collect::<Vec<_>>(), "next": next})
    }

    pub(super) fn auth_attempts(&self) -> Value {
        let row = |protocol: Protocol, name: &str| {
            let (succeeded, failed) = self.broker.access().attempts(protocol);
            json!({
                "protocol": name,
                "auth_attempts": succeeded + failed,
                "auth_attempts_failed": failed,
                "auth_attempts_succeeded": succeeded,
            })
        };
        json!([
            row(Protocol::Amqp091, "amqp091"),
            row(Protocol::Http, "http")
        ])
    }

    fn broker_uptime(&self) -> u64 {
        self.now().saturating_sub(self.running.started_at) / 1000
    }
}
