//! What operators change, told as events: virtual hosts, users, permissions and policies.
//!
//! Whoever makes such a change for somebody calls [`Broker::tell_administered`] afterwards.

use serde_json::Value;

use crate::auth::PermissionRecord;
use crate::auth::TopicPermissionRecord;
use crate::broker::Broker;
use crate::protocol::erlang;
use crate::protocol::raw_table;
use crate::protocol::raw_table::RawTable;
use crate::vhost::Vhost;
use crate::vhost::policies::Policy;

/// Something that an operator has just made so.
pub enum Administered<'a> {
    /// A virtual host is there, with its first exchanges.
    VhostCreated(&'a Vhost),
    /// A virtual host is gone.
    VhostDeleted(&'a str),
    /// A user is there.
    UserCreated(&'a str),
    /// A user has another password.
    PasswordChanged(&'a str),
    /// A user has these tags.
    TagsSet(&'a str, &'a [String]),
    /// A user is gone.
    UserDeleted(&'a str),
    /// A permission was made or changed.
    PermissionSet(&'a PermissionRecord),
    /// A permission is gone: virtual host and user.
    PermissionDeleted(&'a str, &'a str),
    /// A topic permission was made or changed.
    TopicPermissionSet(&'a TopicPermissionRecord),
    /// Topic permissions are gone: virtual host and user.
    TopicPermissionDeleted(&'a str, &'a str),
    /// A policy of either kind was made or changed, in this virtual host.
    PolicySet(&'a str, &'a Policy),
    /// A policy is gone: virtual host and name.
    PolicyCleared(&'a str, &'a str),
    /// An operator policy is gone: virtual host and name.
    OperatorPolicyCleared(&'a str, &'a str),
}

impl Broker {
    /// Tells of what `user` has done, and of what came of it on this thread.
    pub fn tell_administered(&self, what: &Administered<'_>, user: &str, now: u64) {
        self.tell_changes(user, now);
        match what {
            Administered::VhostCreated(vhost) => self.tell_vhost(vhost, user, now),
            Administered::VhostDeleted(name) => self.tell_named("vhost.deleted", name, user, now),
            Administered::UserCreated(name) => self.tell_named("user.created", name, user, now),
            Administered::PasswordChanged(name) => {
                self.tell_named("user.password.changed", name, user, now);
            }
            Administered::TagsSet(name, tags) => {
                self.event_by(user, "user.tags.set", now, |table| {
                    table.texts("tags", *tags);
                    table.text("name", name.as_bytes());
                })
            }
            Administered::UserDeleted(name) => self.tell_named("user.deleted", name, user, now),
            Administered::PermissionSet(record) => {
                self.event_by(user, "permission.created", now, |table| {
                    table.text("read", record.read.as_bytes());
                    table.text("write", record.write.as_bytes());
                    table.text("configure", record.configure.as_bytes());
                    holder(table, &record.vhost, &record.user);
                });
            }
            Administered::PermissionDeleted(vhost, holding) => {
                self.event_by(user, "permission.deleted", now, |table| {
                    holder(table, vhost, holding);
                });
            }
            Administered::TopicPermissionSet(record) => {
                self.event_by(user, "topic.permission.created", now, |table| {
                    table.text("read", record.read.as_bytes());
                    table.text("write", record.write.as_bytes());
                    table.text("exchange", record.exchange.as_bytes());
                    holder(table, &record.vhost, &record.user);
                });
            }
            Administered::TopicPermissionDeleted(vhost, holding) => {
                self.event_by(user, "topic.permission.deleted", now, |table| {
                    holder(table, vhost, holding);
                });
            }
            Administered::PolicySet(vhost, policy) => self.tell_policy(vhost, policy, user, now),
            Administered::PolicyCleared(vhost, name) => {
                self.tell_policy_cleared("policy.cleared", vhost, name, user, now);
            }
            Administered::OperatorPolicyCleared(vhost, name) => {
                self.tell_policy_cleared("operator.policy.cleared", vhost, name, user, now);
            }
        }
    }

    fn tell_named(&self, key: &str, name: &str, user: &str, now: u64) {
        self.event_by(user, key, now, |table| table.text("name", name.as_bytes()));
    }

    fn tell_vhost(&self, vhost: &Vhost, user: &str, now: u64) {
        for exchange in vhost.exchanges() {
            self.tell_exchange(vhost.name(), &exchange, user, now);
        }
        let metadata = vhost.metadata();
        let (description, tags) = (metadata.description.as_bytes(), &metadata.tags);
        self.event("vhost.created", now, |table| {
            table.texts("tags", tags);
            table.text("description", description);
            table.text("user_who_performed_action", user.as_bytes());
            let mut state = RawTable::new();
            state.text(&self.options.cluster_name, b"running");
            table.table("cluster_state", &state.finish());
            table.flag("tracing", vhost.tracing());
            let term = format!(
                "#{{description => {},tags => [{}]}}",
                erlang::binary(description),
                tags.join(",")
            );
            table.text("metadata", term.as_bytes());
            let kind = metadata.default_queue_type;
            let kind = kind.map_or("undefined", |kind| kind.name());
            table.text("default_queue_type", kind.as_bytes());
            table.texts("tags", tags);
            table.text("description", description);
            table.text("name", vhost.name().as_bytes());
        });
    }

    fn tell_policy(&self, vhost: &str, policy: &Policy, user: &str, now: u64) {
        self.event("policy.set", now, |table| {
            policy_terms(table, policy);
            table.text("user_who_performed_action", user.as_bytes());
            table.text("vhost", vhost.as_bytes());
            table.text("name", policy.name.as_bytes());
        });
    }

    fn tell_policy_cleared(&self, key: &str, vhost: &str, name: &str, user: &str, now: u64) {
        self.event_by(user, key, now, |table| {
            table.text("vhost", vhost.as_bytes());
            table.text("name", name.as_bytes());
        });
    }
}

/// What a policy consists of.
pub(super) fn policy_terms(table: &mut RawTable, policy: &Policy) {
    table.text("apply-to", policy.apply_to.name().as_bytes());
    let priority = Value::Number(policy.priority.clone());
    table.raw(b"priority", &wire_value(&priority));
    let definition = serde_json::to_value(&policy.definition).unwrap_or_default();
    table.raw(b"definition", &wire_value(&definition));
    table.text("pattern", policy.pattern.source().as_bytes());
}

fn holder(table: &mut RawTable, vhost: &str, user: &str) {
    table.text("vhost", vhost.as_bytes());
    table.text("user", user.as_bytes());
}

/// JSON as a value with its letter, of the types that RabbitMQ's event exchange chooses.
fn wire_value(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => raw_table::long_string(b"null"),
        Value::Bool(flag) => vec![b't', u8::from(*flag)],
        Value::Number(number) => match number.as_i64() {
            Some(whole) => [&b"l"[..], &whole.to_be_bytes()].concat(),
            None => {
                let float = number.as_f64().unwrap_or_default() as f32;
                [&b"f"[..], &float.to_be_bytes()].concat()
            }
        },
        Value::String(text) => raw_table::long_string(text.as_bytes()),
        Value::Array(items) => raw_table::array(items.iter().map(wire_value)),
        Value::Object(entries) => {
            let mut table = RawTable::new();
            for (key, value) in entries.iter().rev() {
                // A key in a table is a short string.
                let key = &key.as_bytes()[..key.len().min(255)];
                table.raw(key, &wire_value(value));
            }
            [&b"F"[..], &table.finish()].concat()
        }
    }
}
