//! Policies, and those of operators, which go before arguments and policies.

use clap::Args;

use crate::admin::Operation;
use crate::admin::Policies;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::json;
use crate::cli::ctl::tool::Tool;

/// A policy of either kind.
#[derive(Args)]
struct Policy {
    /// Name
    name: String,
    /// Regular expression of names that it applies to
    #[arg(allow_hyphen_values = true)]
    pattern: String,
    /// JSON
    definition: String,
    /// Of those that match the one with the highest applies
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    priority: i64,
    /// all, queues, classic_queues, quorum_queues or streams; one that is not an operator's also to exchanges
    #[arg(long = "apply-to", default_value = "all")]
    apply_to: String,
}

impl Policy {
    fn set(self, tool: &Tool, policies: Policies) -> Outcome {
        let noun = match policies {
            Policies::Ordinary => "policy",
            Policies::Operator => "operator policy override",
        };
        let vhost = tool.vhost();
        tool.banner(&format!(
            "Setting {noun} \"{}\" for pattern \"{}\" to \"{}\" with priority \"{}\" for vhost \"{vhost}\" ...",
            self.name, self.pattern, self.definition, self.priority
        ));
        let operation = Operation::SetPolicy {
            policies,
            vhost,
            name: self.name,
            pattern: self.pattern,
            definition: json(&self.definition)?,
            priority: self.priority,
            apply_to: self.apply_to,
        };
        tool.answer(operation, "")
    }
}

fn clear(tool: &Tool, policies: Policies, name: String) -> Outcome {
    let noun = match policies {
        Policies::Ordinary => "policy",
        Policies::Operator => "operator policy",
    };
    let vhost = tool.vhost();
    let banner = format!("Clearing {noun} \"{name}\" on vhost \"{vhost}\" ...");
    let operation = Operation::ClearPolicy {
        policies,
        vhost,
        name,
    };
    tool.act(&banner, operation)
}

fn list(tool: &Tool, policies: Policies) -> Outcome {
    let noun = match policies {
        Policies::Ordinary => "policies",
        Policies::Operator => "operator policy overrides",
    };
    let vhost = tool.vhost();
    let banner = format!("Listing {noun} for vhost \"{vhost}\" ...");
    let columns = [
        "vhost",
        "name",
        "pattern",
        "apply-to",
        "definition",
        "priority",
    ];
    tool.table(
        &banner,
        Operation::ListPolicies { policies, vhost },
        &columns,
    )
}

/// Set a policy: set_policy ttl '^q' '{"message-ttl": 1000}' --apply-to queues.
#[derive(Args)]
pub(super) struct SetPolicy {
    #[command(flatten)]
    policy: Policy,
}

impl Run for SetPolicy {
    fn run(self, tool: &Tool) -> Outcome {
        self.policy.set(tool, Policies::Ordinary)
    }
}

/// Delete a policy.
#[derive(Args)]
pub(super) struct ClearPolicy {
    /// Name
    name: String,
}

impl Run for ClearPolicy {
    fn run(self, tool: &Tool) -> Outcome {
        clear(tool, Policies::Ordinary, self.name)
    }
}

/// List policies in a virtual host.
#[derive(Args)]
pub(super) struct ListPolicies;

impl Run for ListPolicies {
    fn run(self, tool: &Tool) -> Outcome {
        list(tool, Policies::Ordinary)
    }
}

/// Set an operator policy, which goes before arguments and policies.
#[derive(Args)]
pub(super) struct SetOperatorPolicy {
    #[command(flatten)]
    policy: Policy,
}

impl Run for SetOperatorPolicy {
    fn run(self, tool: &Tool) -> Outcome {
        self.policy.set(tool, Policies::Operator)
    }
}

/// Delete an operator policy.
#[derive(Args)]
pub(super) struct ClearOperatorPolicy {
    /// Name
    name: String,
}

impl Run for ClearOperatorPolicy {
    fn run(self, tool: &Tool) -> Outcome {
        clear(tool, Policies::Operator, self.name)
    }
}

/// List operator policies in a virtual host.
#[derive(Args)]
pub(super) struct ListOperatorPolicies;

impl Run for ListOperatorPolicies {
    fn run(self, tool: &Tool) -> Outcome {
        list(tool, Policies::Operator)
    }
}
