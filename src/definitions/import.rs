//! Definitions into a node. The document is judged as a whole first; then each entry by itself: one that cannot be taken
//! is left out and told, and never keeps the others from their place.
//!
//! What is there stays or is replaced as in RabbitMQ: users, permissions, policies and parameters are replaced; queues,
//! exchanges and bindings are left alone.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::auth::HashingAlgorithm;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::auth::TopicPermissionRecord;
use crate::auth::UserRecord;
use crate::broker::Broker;
use crate::broker::LimitKind;
use crate::broker::LimitSet;
use crate::definitions::arguments_from_json;
use crate::model::Arguments;
use crate::model::ConnectionId;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::routing::Kind;
use crate::vhost::Binding;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueSpec;
use crate::vhost::Target;
use crate::vhost::Vhost;
use crate::vhost::VhostMetadata;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

/// Sections in the order in which they are taken: what others need comes first.
const SECTIONS: [&str; 10] = [
    "global_parameters",
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "policies",
    "exchanges",
    "queues",
    "bindings",
];

/// Those that a document of one virtual host does not have.
const SECTIONS_OF_NODE: [&str; 5] = [
    "global_parameters",
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
];

/// What RabbitMQ writes beside its sections.
const HEAD: [&str; 12] = [
    "rabbit_version",
    "rabbitmq_version",
    "product_name",
    "product_version",
    "rabbitmq_definition_format",
    "original_cluster_name",
    "original_vhost_name",
    "explanation",
    "metadata",
    "description",
    "default_queue_type",
    "limits",
];

/// No connection has this id: what it owned could be anybody's.
const NOBODY: ConnectionId = ConnectionId(0);

/// A document that nothing is taken from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is no JSON object.
    #[error("definitions are not a JSON object")]
    NotAnObject,
    /// A section is no list of objects.
    #[error("{0} is not a list of objects")]
    Section(String),
    /// Those of a node for a virtual host.
    #[error(
        "definitions of a whole cluster cannot be imported into a virtual host: section {0} does not belong there"
    )]
    OfNode(String),
    /// Those of a virtual host for a node.
    #[error("definitions of a single virtual host cannot be imported without saying into which")]
    OfVhost,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Everything is safe once this is on the disk.
    pub commit: Lsn,
    /// Entries that were taken or were there.
    pub taken: usize,
    /// Entries that were not, and why.
    pub skipped: Vec<Skipped>,
    /// Keys of the document that mean nothing.
    pub unknown: Vec<String>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its section.
    pub section: &'static str,
    /// What it is called there.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Takes definitions: of the whole node, or, with a `vhost`, of that one. `now` is in milliseconds since the Unix epoch.
pub fn import(
    broker: &Broker,
    document: &Value,
    vhost: Option<&Arc<Vhost>>,
    now: u64,
) -> Result<Imported, ImportError> {
    let document = judge(document, vhost.is_some())?;
    let mut import = Import {
        broker,
        vhost,
        version: version(document),
        now,
        imported: Imported::default(),
    };
    let known = |key: &str| SECTIONS.contains(&key) || HEAD.contains(&key);
    let unknown = document.keys().filter(|key| !known(key));
    import.imported.unknown = unknown.cloned().collect();
    for section in SECTIONS {
        let entries = document.get(section).and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            if let Some(entry) = entry.as_object() {
                import.take(section, entry);
            }
        }
    }
    broker.apply_queue_limits();
    let imported = import.imported;
    tell(&imported);
    Ok(imported)
}

fn tell(imported: &Imported) {
    for key in &imported.unknown {
        tracing::warn!(
            key,
            "definitions have a key that means nothing here and is left out; docs/compatibility.md says what is not supported"
        );
    }
    for Skipped {
        section,
        name,
        reason,
    } in &imported.skipped
    {
        tracing::warn!(
            section,
            name,
            reason,
            "a definition was skipped; mend it as the reason says and import again"
        );
    }
    tracing::info!(
        taken = imported.taken,
        skipped = imported.skipped.len(),
        "definitions imported"
    );
}

/// The document, if its shape is right.
fn judge(document: &Value, into_vhost: bool) -> Result<&Map<String, Value>, ImportError> {
    let document = document.as_object().ok_or(ImportError::NotAnObject)?;
    for section in SECTIONS {
        match document.get(section) {
            None | Some(Value::Null) => {}
            Some(Value::Array(entries)) if entries.iter().all(Value::is_object) => {
                let belongs = !into_vhost || !SECTIONS_OF_NODE.contains(&section);
                if !belongs && !entries.is_empty() {
                    return Err(ImportError::OfNode(section.to_owned()));
                }
            }
            Some(_) => return Err(ImportError::Section(section.to_owned())),
        }
    }
    let format = document.get("rabbitmq_definition_format");
    if !into_vhost && format.and_then(Value::as_str) == Some("single_virtual_host") {
        return Err(ImportError::OfVhost);
    }
    Ok(document)
}

/// Of the RabbitMQ that wrote it, for passwords.
fn version(document: &Map<String, Value>) -> Option<[u64; 3]> {
    let keys = ["rabbit_version", "rabbitmq_version"];
    let text = keys.iter().find_map(|key| document.get(*key)?.as_str())?;
    let mut parts = text
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    Some([
        parts.next()?,
        parts.next().unwrap_or(0),
        parts.next().unwrap_or(0),
    ])
}

struct Import<'a> {
    broker: &'a Broker,
    vhost: Option<&'a Arc<Vhost>>,
    version: Option<[u64; 3]>,
    now: u64,
    imported: Imported,
}

/// Why an entry is left out.
type Taken = Result<Lsn, String>;

fn text<'e>(entry: &'e Map<String, Value>, key: &str) -> Result<&'e str, String> {
    match entry.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{key} is not a text")),
        None => Err(format!("{key} is missing")),
    }
}

fn flag(entry: &Map<String, Value>, key: &str, usual: bool) -> Result<bool, String> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(usual),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        Some(_) => Err(format!("{key} is neither true nor false")),
    }
}

fn arguments(entry: &Map<String, Value>) -> Result<Arguments, String> {
    let value = entry.get("arguments").unwrap_or(&Value::Null);
    arguments_from_json(value).map_err(|invalid| format!("arguments: {invalid}"))
}

/// A list of texts, or one text with commas.
fn tags(value: Option<&Value>) -> Result<Vec<String>, String> {
    let invalid = || "tags are not texts".to_owned();
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let tags = text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
            Ok(tags.map(str::to_owned).collect())
        }
        Some(Value::Array(items)) => {
            let tags = items.iter().map(|item| item.as_str().map(str::to_owned));
            tags.collect::<Option<_>>().ok_or_else(invalid)
        }
        Some(_) => Err(invalid()),
    }
}

/// What an entry is called when it is told of.
fn named(entry: &Map<String, Value>) -> String {
    let keys = [
        "vhost",
        "user",
        "component",
        "name",
        "exchange",
        "source",
        "destination",
    ];
    let parts = keys.iter().filter_map(|key| entry.get(*key)?.as_str());
    parts.collect::<Vec<_>>().join(" / ")
}

impl Import<'_> {
    fn take(&mut self, section: &'static str, entry: &Map<String, Value>) {
        let taken = match section {
            "global_parameters" => self.global_parameter(entry),
            "users" => self.user(entry),
            "vhosts" => self.add_vhost(entry),
            "permissions" => self.permission(entry),
            "topic_permissions" => self.topic_permission(entry),
            "parameters" => self.parameter(entry),
            "policies" => self.policy(entry),
            "exchanges" => self.exchange(entry),
            "queues" => self.queue(entry),
            _ => self.binding(entry),
        };
        match taken {
            Ok(lsn) => {
                self.imported.taken += 1;
                self.imported.commit = self.imported.commit.max(lsn);
            }
            Err(reason) => self.imported.skipped.push(Skipped {
                section,
                name: named(entry),
                reason,
            }),
        }
    }

    /// Where an entry belongs.
    fn home(&self, entry: &Map<String, Value>) -> Result<Arc<Vhost>, String> {
        if let Some(vhost) = self.vhost {
            return Ok(Arc::clone(vhost));
        }
        let name = text(entry, "vhost")?;
        let found = self.broker.vhost(name);
        found.ok_or_else(|| format!("there is no virtual host '{name}'"))
    }

    fn global_parameter(&self, entry: &Map<String, Value>) -> Taken {
        let name = text(entry, "name")?;
        let value = entry.get("value").cloned().unwrap_or_default();
        // A node keeps its own identity.
        if name == "internal_cluster_id" {
            return Ok(Lsn::NONE);
        }
        Ok(self.broker.parameters().set(name, value))
    }

    fn user(&self, entry: &Map<String, Value>) -> Taken {
        let name = text(entry, "name")?;
        let hash = match (entry.get("password_hash"), entry.get("password")) {
            (Some(Value::String(hash)), _) => hash.clone(),
            (None, Some(Value::String(password))) => PasswordHash::new(password).encode(),
            (None | Some(Value::Null), None | Some(Value::Null)) => String::new(),
            _ => return Err("the password is not a text".to_owned()),
        };
        let algorithm = match (entry.get("hashing_algorithm"), self.version) {
            (Some(Value::String(algorithm)), _) => algorithm.clone(),
            // So the versions before 3.6 hashed.
            (_, Some(version)) if version < [3, 6, 0] && entry.contains_key("password_hash") => {
                "rabbit_password_hashing_md5".to_owned()
            }
            _ => HashingAlgorithm::default().name().to_owned(),
        };
        let limits = match entry.get("limits") {
            Some(Value::Object(limits)) => Some(self.limit_set(LimitKind::User, limits)?),
            _ => None,
        };
        let record = UserRecord {
            name: name.to_owned(),
            password_hash: hash,
            hashing_algorithm: algorithm,
            tags: tags(entry.get("tags"))?,
        };
        let lsn = self
            .broker
            .access()
            .import_user(record)
            .map_err(|error| error.to_string())?;
        let limited =
            limits.map(|limits| self.broker.limits(LimitKind::User).replace(name, limits));
        Ok(lsn.max(limited.unwrap_or(Lsn::NONE)))
    }

    fn limit_set(&self, kind: LimitKind, entries: &Map<String, Value>) -> Result<LimitSet, String> {
        let limits = self.broker.limits(kind);
        let judge = |(name, value): (&String, &Value)| {
            let number = limits
                .judge(name, value)
                .map_err(|error| error.to_string())?;
            Ok((name.clone(), number))
        };
        entries.iter().map(judge).collect()
    }

    fn add_vhost(&self, entry: &Map<String, Value>) -> Taken {
        let name = VhostName::new(text(entry, "name")?).map_err(|error| error.to_string())?;
        let none = Map::new();
        let metadata = entry
            .get("metadata")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let noted = |key: &str| entry.get(key).or_else(|| metadata.get(key));
        let queue_type = match noted("default_queue_type").and_then(Value::as_str) {
            None | Some("undefined") => None,
            Some(name) => {
                let unknown = || format!("{name} is not a valid queue type");
                Some(QueueType::from_name(name).ok_or_else(unknown)?)
            }
        };
        let known = self.broker.vhost(&name);
        let metadata = VhostMetadata {
            description: noted("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            tags: tags(noted("tags"))?,
            default_queue_type: queue_type,
            protected_from_deletion: match noted("protected_from_deletion") {
                Some(Value::Bool(protected)) => *protected,
                _ => known.is_some_and(|vhost| vhost.metadata().protected_from_deletion),
            },
        };
        let limits = match entry.get("limits") {
            Some(Value::Object(limits)) if !limits.is_empty() => {
                Some(self.limit_set(LimitKind::Vhost, limits)?)
            }
            _ => None,
        };
        let lsn = match self.broker.vhost(&name) {
            Some(vhost) => self.broker.update_vhost(&vhost, metadata),
            None => self.broker.create_vhost(&name, metadata),
        };
        let limited =
            limits.map(|limits| self.broker.limits(LimitKind::Vhost).replace(&name, limits));
        Ok(lsn.max(limited.unwrap_or(Lsn::NONE)))
    }

    fn permission(&self, entry: &Map<String, Value>) -> Taken {
        self.home(entry)?;
        let part = |key| text(entry, key).map(str::to_owned);
        let record = PermissionRecord {
            user: part("user")?,
            vhost: part("vhost")?,
            configure: part("configure")?,
            write: part("write")?,
            read: part("read")?,
        };
        self.broker
            .access()
            .set_permission(&record)
            .map_err(|error| error.to_string())
    }

    fn topic_permission(&self, entry: &Map<String, Value>) -> Taken {
        self.home(entry)?;
        let part = |key| text(entry, key).map(str::to_owned);
        let record = TopicPermissionRecord {
            user: part("user")?,
            vhost: part("vhost")?,
            exchange: part("exchange")?,
            write: part("write")?,
            read: part("read")?,
        };
        self.broker
            .access()
            .set_topic_permission(record)
            .map_err(|error| error.to_string())
    }

    fn parameter(&self, entry: &Map<String, Value>) -> Taken {
        let vhost = self.home(entry)?;
        let value = entry.get("value").and_then(Value::as_object);
        let value = value.ok_or_else(|| "value is not an object".to_owned())?;
        match text(entry, "component")? {
            "operator_policy" => {
                self.set_policy(&vhost, PolicyKind::Operator, text(entry, "name")?, value)
            }
            "vhost-limits" => {
                let limits = self.limit_set(LimitKind::Vhost, value)?;
                Ok(self
                    .broker
                    .limits(LimitKind::Vhost)
                    .replace(vhost.name(), limits))
            }
            other => Err(format!(
                "component {other} is not supported by this version of Leveret"
            )),
        }
    }

    fn policy(&self, entry: &Map<String, Value>) -> Taken {
        let vhost = self.home(entry)?;
        self.set_policy(&vhost, PolicyKind::Ordinary, text(entry, "name")?, entry)
    }

    fn set_policy(
        &self,
        vhost: &Vhost,
        kind: PolicyKind,
        name: &str,
        entry: &Map<String, Value>,
    ) -> Taken {
        let part = |key: &str| entry.get(key).cloned();
        let missing = |key: &str| format!("{key} is missing");
        let spec = PolicySpec {
            name: name.to_owned(),
            pattern: part("pattern").ok_or_else(|| missing("pattern"))?,
            definition: part("definition").ok_or_else(|| missing("definition"))?,
            priority: part("priority"),
            apply_to: part("apply-to"),
        };
        let policy = Policy::judge(kind, spec, self.broker.options().permitted);
        let policy = policy.map_err(|invalid| invalid.to_string())?;
        Ok(vhost.set_policy(kind, policy, self.now))
    }

    fn exchange(&self, entry: &Map<String, Value>) -> Taken {
        let vhost = self.home(entry)?;
        let name = text(entry, "name")?;
        if name.is_empty() || name.starts_with("amq.") {
            return Err("the name is one of the broker's own".to_owned());
        }
        if vhost.exchange(name).is_some() {
            return Ok(Lsn::NONE);
        }
        let kind = text(entry, "type")?;
        let unknown = || format!("unknown exchange type '{kind}'");
        let spec = ExchangeSpec {
            name: ExchangeName::new(name).map_err(|error| error.to_string())?,
            kind: Kind::from_name(kind).ok_or_else(unknown)?,
            durable: flag(entry, "durable", true)?,
            auto_delete: flag(entry, "auto_delete", false)?,
            internal: flag(entry, "internal", false)?,
            arguments: arguments(entry)?,
        };
        vhost
            .declare_exchange(spec)
            .map_err(|error| error.text().to_owned())
    }

    fn queue(&self, entry: &Map<String, Value>) -> Taken {
        let vhost = self.home(entry)?;
        let name = text(entry, "name")?;
        if name.is_empty() || name.starts_with("amq.") {
            return Err("the name is one of the broker's own".to_owned());
        }
        if vhost.queue(name).is_some() {
            return Ok(Lsn::NONE);
        }
        let spec = QueueSpec {
            name: QueueName::new(name).map_err(|error| error.to_string())?,
            durable: flag(entry, "durable", true)?,
            auto_delete: flag(entry, "auto_delete", false)?,
            owner: None,
            arguments: arguments(entry)?,
        };
        let declared = vhost.declare_queue(spec, self.now);
        let (_, lsn) = declared.map_err(|error| error.text().to_owned())?;
        Ok(lsn)
    }

    fn binding(&self, entry: &Map<String, Value>) -> Taken {
        let vhost = self.home(entry)?;
        let destination = text(entry, "destination")?;
        let target = match text(entry, "destination_type")? {
            "queue" => {
                Target::Queue(QueueName::new(destination).map_err(|error| error.to_string())?)
            }
            "exchange" => {
                Target::Exchange(ExchangeName::new(destination).map_err(|error| error.to_string())?)
            }
            other => {
                return Err(format!(
                    "destination_type '{other}' is neither queue nor exchange"
                ));
            }
        };
        let source = text(entry, "source")?;
        // Every queue is bound to the default exchange by itself.
        if source.is_empty() {
            return Ok(Lsn::NONE);
        }
        let binding = Binding {
            source: ExchangeName::new(source).map_err(|error| error.to_string())?,
            target,
            routing_key: RoutingKey::new(text(entry, "routing_key")?)
                .map_err(|error| error.to_string())?,
            arguments: arguments(entry)?,
        };
        vhost
            .bind(&binding, NOBODY, self.now)
            .map_err(|error| error.text().to_owned())
    }
}
