//! Virtual hosts, limits, policies, parameters of the node.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::admin::operate::DATA;
use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operation;
use crate::admin::operate::Operator;
use crate::admin::operate::Owner;
use crate::admin::operate::Policies;
use crate::admin::operate::UNAVAILABLE;
use crate::broker::Administered;
use crate::broker::LimitKind;
use crate::broker::LimitSet;
use crate::broker::NotDeleted;
use crate::model::VhostName;
use crate::queue::QueueType;
use crate::vhost::VhostMetadata;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

impl From<Policies> for PolicyKind {
    fn from(policies: Policies) -> Self {
        match policies {
            Policies::Ordinary => Self::Ordinary,
            Policies::Operator => Self::Operator,
        }
    }
}

impl From<Owner> for LimitKind {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Vhost => Self::Vhost,
            Owner::User => Self::User,
        }
    }
}

/// In the words of RabbitMQ's tool.
const PROTECTED: &str = "Cannot delete this virtual host: it is protected from deletion. To lift the protection, inspect and update its metadata";

/// What an operator notes, over what is noted.
fn noted(
    known: VhostMetadata,
    description: Option<String>,
    tags: Option<Vec<String>>,
    default_queue_type: Option<String>,
) -> Result<VhostMetadata, Failed> {
    let queue_type = |name: String| {
        QueueType::from_name(&name)
            .ok_or_else(|| Failed::new(DATA, format!("unsupported queue type '{name}'")))
    };
    Ok(VhostMetadata {
        description: description.unwrap_or(known.description),
        tags: tags.unwrap_or(known.tags),
        default_queue_type: match default_queue_type {
            Some(name) => Some(queue_type(name)?),
            None => known.default_queue_type,
        },
        protected_from_deletion: known.protected_from_deletion,
    })
}

impl Operator<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what comes here was picked by `run`, arm by arm"
    )]
    pub(super) fn vhosts(&self, operation: Operation) -> Done {
        match operation {
            Operation::AddVhost {
                name,
                description,
                tags,
                default_queue_type,
            } => {
                let metadata = noted(
                    VhostMetadata::default(),
                    description,
                    tags,
                    default_queue_type,
                )?;
                let name =
                    VhostName::new(&name).map_err(|error| Failed::new(DATA, error.to_string()))?;
                let is_new = self.broker.vhost(&name).is_none();
                let lsn = self.broker.create_vhost(&name, metadata);
                if is_new && let Some(vhost) = self.broker.vhost(&name) {
                    self.tell(&Administered::VhostCreated(&vhost));
                }
                self.stored(lsn)
            }
            Operation::UpdateVhost {
                name,
                description,
                tags,
                default_queue_type,
            } => {
                let vhost = self.vhost(&name)?;
                let known = VhostMetadata::clone(&vhost.metadata());
                let metadata = noted(known, description, tags, default_queue_type)?;
                self.stored(self.broker.update_vhost(&vhost, metadata))
            }
            Operation::ProtectVhost { name, protected } => {
                let vhost = self.vhost(&name)?;
                let mut metadata = VhostMetadata::clone(&vhost.metadata());
                metadata.protected_from_deletion = protected;
                self.stored(self.broker.update_vhost(&vhost, metadata))
            }
            Operation::DeleteVhost { name } => {
                let deleted = self.broker.delete_vhost(&name);
                let lsn = deleted.map_err(|why| match why {
                    NotDeleted::Unknown => Failed::no_vhost(&name),
                    NotDeleted::Protected => Failed::new(DATA, PROTECTED.to_owned()),
                })?;
                self.tell(&Administered::VhostDeleted(&name));
                self.stored(lsn)
            }
            Operation::Trace { vhost, on } => {
                self.vhost(&vhost)?.set_tracing(on);
                Ok(Value::Null)
            }
            Operation::SetLimits {
                owner,
                name,
                definition,
            } => {
                self.check_owner(owner, &name)?;
                let set = self.broker.limits(owner.into()).of(&name);
                self.set_limits(owner, &name, &definition, set)
            }
            Operation::ClearLimits { owner, name, limit } => {
                self.check_owner(owner, &name)?;
                let limits = self.broker.limits(owner.into());
                let lsn = match limit {
                    Some(limit) => limits.clear(&name, &limit),
                    None => limits.clear_all(&name),
                };
                self.broker.apply_queue_limits();
                self.stored(lsn)
            }
            Operation::ListLimits { owner, name } => self.list_limits(owner, name.as_deref()),
            Operation::SetPolicy {
                policies,
                vhost,
                name,
                pattern,
                definition,
                priority,
                apply_to,
            } => {
                let spec = PolicySpec {
                    name,
                    pattern: pattern.into(),
                    definition,
                    priority: Some(priority.into()),
                    apply_to: Some(apply_to.into()),
                };
                self.set_policy(policies.into(), &vhost, spec)
            }
            Operation::ClearPolicy {
                policies,
                vhost,
                name,
            } => self.clear_policy(policies.into(), &vhost, &name),
            Operation::ListPolicies { policies, vhost } => {
                self.list_policies(policies.into(), &vhost)
            }
            Operation::SetGlobalParameter { name, value } => {
                self.stored(self.broker.parameters().set(&name, value))
            }
            Operation::ClearGlobalParameter { name } => {
                let cleared = self.broker.parameters().clear(&name);
                let lsn =
                    cleared.ok_or_else(|| Failed::new(UNAVAILABLE, "Parameter does not exist"))?;
                self.stored(lsn)
            }
            Operation::ListGlobalParameters => {
                let all = self.broker.parameters().all().into_iter();
                let rows =
                    all.map(|(name, value)| json!({"name": name, "value": value.to_string()}));
                Ok(rows.collect())
            }
            _ => Ok(self.list_vhosts()),
        }
    }

    fn list_vhosts(&self) -> Value {
        let vhosts = self.broker.vhosts().into_iter();
        let rows = vhosts.map(|vhost| {
            let metadata = vhost.metadata();
            let queue_type = metadata.default_queue_type.map(QueueType::name);
            json!({
                "name": vhost.name().as_str(),
                "description": metadata.description,
                "tags": metadata.tags,
                "default_queue_type": queue_type.unwrap_or("undefined"),
                "tracing": vhost.tracing(),
                "cluster_state": {&self.node.name: "running"},
                "protected_from_deletion": metadata.protected_from_deletion,
                "metadata": {
                    "description": metadata.description, "tags": metadata.tags, "default_queue_type": queue_type,
                },
            })
        });
        rows.collect()
    }

    fn check_owner(&self, owner: Owner, name: &str) -> Result<(), Failed> {
        match owner {
            Owner::Vhost => self.vhost(name).map(|_| ()),
            Owner::User => self.check_user(name),
        }
    }

    /// Sets what the definition names, beside what is in `set`.
    pub(super) fn set_limits(
        &self,
        owner: Owner,
        name: &str,
        definition: &Value,
        mut set: LimitSet,
    ) -> Done {
        self.check_owner(owner, name)?;
        let limits = self.broker.limits(owner.into());
        // Those of virtual hosts are a parameter in RabbitMQ, and refused as such.
        let invalid = |text: String| match owner {
            Owner::Vhost => Failed::new(UNAVAILABLE, format!("Validation failed\n\n{text}\n")),
            Owner::User => Failed::new(UNAVAILABLE, text),
        };
        let Value::Object(entries) = definition else {
            return Err(invalid(format!("{definition} is no object")));
        };
        for (limit, value) in entries {
            let judged = limits.judge(limit, value);
            let number = judged.map_err(|error| invalid(error.to_string()))?;
            set.insert(limit.clone(), number);
        }
        let lsn = limits.replace(name, set);
        self.broker.apply_queue_limits();
        self.stored(lsn)
    }

    fn list_limits(&self, owner: Owner, name: Option<&str>) -> Done {
        let key = match owner {
            Owner::Vhost => "vhost",
            Owner::User => "user",
        };
        let limits = self.broker.limits(owner.into());
        let row = |name: &str, set: &LimitSet| json!({key: name, "limits": json!(set).to_string()});
        let rows = match name {
            None => limits
                .all()
                .iter()
                .map(|(name, set)| row(name, set))
                .collect(),
            Some(name) => {
                self.check_owner(owner, name)?;
                let set = limits.of(name);
                match set.is_empty() {
                    true => Vec::new(),
                    false => vec![row(name, &set)],
                }
            }
        };
        Ok(rows.into())
    }

    pub(super) fn set_policy(&self, kind: PolicyKind, vhost: &str, spec: PolicySpec) -> Done {
        let vhost = self.vhost(vhost)?;
        let permitted = self.broker.options().permitted;
        let policy = Policy::judge(kind, spec, permitted)
            .map_err(|invalid| Failed::new(UNAVAILABLE, invalid.to_string()))?;
        let name = policy.name.clone();
        let lsn = vhost.set_policy(kind, policy, self.now());
        if let Some(policy) = vhost.policy(kind, &name) {
            self.tell(&Administered::PolicySet(vhost.name(), &policy));
        }
        self.stored(lsn)
    }

    pub(super) fn clear_policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Done {
        let vhost = self.vhost(vhost)?;
        if vhost.policy(kind, name).is_none() {
            return Err(Failed::new(UNAVAILABLE, "Parameter does not exist"));
        }
        let lsn = vhost.clear_policy(kind, name, self.now());
        self.tell(&match kind {
            PolicyKind::Ordinary => Administered::PolicyCleared(vhost.name(), name),
            PolicyKind::Operator => Administered::OperatorPolicyCleared(vhost.name(), name),
        });
        self.stored(lsn)
    }

    fn list_policies(&self, kind: PolicyKind, vhost: &str) -> Done {
        let vhost = self.vhost(vhost)?;
        let mut policies: Vec<Arc<Policy>> = vhost.policies(kind);
        policies.sort_by(|left, right| left.name.cmp(&right.name));
        let rows = policies.iter().map(|policy| {
            json!({
                "vhost": vhost.name().as_str(),
                "name": policy.name,
                "pattern": policy.pattern.source(),
                "apply-to": policy.apply_to.name(),
                "definition": json!(policy.definition).to_string(),
                "priority": policy.priority,
            })
        });
        Ok(rows.collect())
    }
}
