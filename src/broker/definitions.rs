//! How virtual hosts, users and permissions are written to the store and read back.

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::PermissionRecord;
use crate::auth::TopicPermissionRecord;
use crate::auth::UserRecord;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::store::Definition;
use crate::store::Record;
use crate::vhost::VhostMetadata;
use crate::vhost::inventory::Owners;
use crate::vhost::inventory::owners;

/// Kinds of definition that the broker itself stores; those of virtual hosts have numbers from 16 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Vhost = 1,
    User = 2,
    Permission = 3,
    TopicPermission = 4,
    GlobalParameter = 5,
    VhostLimits = 6,
    UserLimits = 7,
}

#[derive(Serialize, Deserialize)]
struct VhostRecord {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    default_queue_type: Option<String>,
    #[serde(default)]
    protected_from_deletion: bool,
}

fn define(kind: Kind, key: Vec<u8>, record: &impl Serialize) -> Record {
    let value = serde_json::to_vec(record).expect("a struct of strings is JSON");
    Record::Define {
        kind: kind as u8,
        key,
        value,
    }
}

pub(super) fn define_vhost(name: &VhostName, metadata: &VhostMetadata) -> Record {
    let queue_type = metadata.default_queue_type.map(QueueType::name);
    define(
        Kind::Vhost,
        name.as_bytes().to_vec(),
        &VhostRecord {
            name: name.to_string(),
            description: metadata.description.clone(),
            tags: metadata.tags.clone(),
            default_queue_type: queue_type.map(str::to_owned),
            protected_from_deletion: metadata.protected_from_deletion,
        },
    )
}

pub(super) fn undefine_vhost(name: &str) -> Record {
    Record::Undefine {
        kind: Kind::Vhost as u8,
        key: name.as_bytes().to_vec(),
    }
}

pub(super) fn define_user(user: &UserRecord) -> Record {
    define(Kind::User, user.name.as_bytes().to_vec(), user)
}

pub(super) fn undefine_user(name: &str) -> Record {
    Record::Undefine {
        kind: Kind::User as u8,
        key: name.as_bytes().to_vec(),
    }
}

fn permission_key(user: &str, vhost: &str) -> Vec<u8> {
    let mut key = (user.len() as u32).to_be_bytes().to_vec();
    key.extend_from_slice(user.as_bytes());
    key.extend_from_slice(vhost.as_bytes());
    key
}

pub(super) fn define_permission(permission: &PermissionRecord) -> Record {
    define(
        Kind::Permission,
        permission_key(&permission.user, &permission.vhost),
        permission,
    )
}

pub(super) fn undefine_permission(user: &str, vhost: &str) -> Record {
    Record::Undefine {
        kind: Kind::Permission as u8,
        key: permission_key(user, vhost),
    }
}

fn topic_permission_key(permission: &TopicPermissionRecord) -> Vec<u8> {
    let mut key = (permission.user.len() as u32).to_be_bytes().to_vec();
    key.extend_from_slice(permission.user.as_bytes());
    key.extend_from_slice(&(permission.vhost.len() as u32).to_be_bytes());
    key.extend_from_slice(permission.vhost.as_bytes());
    key.extend_from_slice(permission.exchange.as_bytes());
    key
}

pub(super) fn define_topic_permission(permission: &TopicPermissionRecord) -> Record {
    define(
        Kind::TopicPermission,
        topic_permission_key(permission),
        permission,
    )
}

pub(super) fn undefine_topic_permission(permission: &TopicPermissionRecord) -> Record {
    Record::Undefine {
        kind: Kind::TopicPermission as u8,
        key: topic_permission_key(permission),
    }
}

/// A value under a name.
#[derive(Serialize, Deserialize)]
struct NamedRecord {
    name: String,
    value: Value,
}

pub(super) fn define_named(kind: Kind, name: &str, value: &Value) -> Record {
    let record = NamedRecord {
        name: name.to_owned(),
        value: value.clone(),
    };
    define(kind, name.as_bytes().to_vec(), &record)
}

pub(super) fn undefine_named(kind: Kind, name: &str) -> Record {
    Record::Undefine {
        kind: kind as u8,
        key: name.as_bytes().to_vec(),
    }
}

pub(super) fn read_named(definitions: &[Definition], kind: Kind) -> Vec<(String, Value)> {
    let records = read_all::<NamedRecord>(definitions, kind).into_iter();
    records.map(|record| (record.name, record.value)).collect()
}

fn read_all<T: DeserializeOwned>(definitions: &[Definition], kind: Kind) -> Vec<T> {
    let of_kind = definitions
        .iter()
        .filter(|definition| definition.kind == kind as u8);
    of_kind
        .filter_map(
            |definition| match serde_json::from_slice(&definition.value) {
                Ok(record) => Some(record),
                Err(error) => {
                    tracing::error!(%error, kind = ?kind, "a definition could not be recovered and is not in effect; make it again, or restore a backup");
                    None
                }
            },
        )
        .collect()
}

pub(super) fn read_vhosts(definitions: &[Definition]) -> Vec<(VhostName, VhostMetadata)> {
    let read = |record: VhostRecord| {
        let queue_type = record.default_queue_type.as_deref();
        let metadata = VhostMetadata {
            description: record.description,
            tags: record.tags,
            default_queue_type: queue_type.and_then(QueueType::from_name),
            protected_from_deletion: record.protected_from_deletion,
        };
        Some((VhostName::new(&record.name).ok()?, metadata))
    };
    read_all(definitions, Kind::Vhost)
        .into_iter()
        .filter_map(read)
        .collect()
}

pub(super) fn read_users(definitions: &[Definition]) -> Vec<UserRecord> {
    read_all(definitions, Kind::User)
}

pub(super) fn read_permissions(definitions: &[Definition]) -> Vec<PermissionRecord> {
    read_all(definitions, Kind::Permission)
}

pub(super) fn read_topic_permissions(definitions: &[Definition]) -> Vec<TopicPermissionRecord> {
    read_all(definitions, Kind::TopicPermission)
}

/// Whose messages the store has, and why some of its definitions cannot be read. For the operator's tools.
pub fn inventory(definitions: &[Definition]) -> (Owners, Vec<String>) {
    fn malformed<T: DeserializeOwned>(definition: &Definition) -> Option<String> {
        let error = serde_json::from_slice::<T>(&definition.value).err()?;
        Some(format!(
            "definition of kind {} is malformed: {error}",
            definition.kind
        ))
    }
    let (owners, mut unreadable) = owners(definitions);
    unreadable.extend(definitions.iter().filter_map(|definition| {
        let is = |kind: Kind| definition.kind == kind as u8;
        if is(Kind::Vhost) {
            malformed::<VhostRecord>(definition)
        } else if is(Kind::User) {
            malformed::<UserRecord>(definition)
        } else if is(Kind::Permission) {
            malformed::<PermissionRecord>(definition)
        } else if is(Kind::TopicPermission) {
            malformed::<TopicPermissionRecord>(definition)
        } else if is(Kind::GlobalParameter) || is(Kind::VhostLimits) || is(Kind::UserLimits) {
            malformed::<NamedRecord>(definition)
        } else {
            None
        }
    }));
    (owners, unreadable)
}
