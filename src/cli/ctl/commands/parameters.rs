//! Runtime parameters: of components in virtual hosts, and of the node.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::json;
use crate::cli::ctl::tool::Tool;

/// Set a runtime parameter: set_parameter vhost-limits limits '{"max-queues": 100}'.
#[derive(Args)]
pub(super) struct SetParameter {
    /// vhost-limits or operator_policy
    component: String,
    /// Name
    name: String,
    /// JSON
    #[arg(allow_hyphen_values = true)]
    value: String,
}

impl Run for SetParameter {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        tool.banner(&format!(
            "Setting runtime parameter \"{}\" for component \"{}\" to \"{}\" in vhost \"{vhost}\" ...",
            self.name, self.component, self.value
        ));
        let operation = Operation::SetParameter {
            vhost,
            component: self.component,
            name: self.name,
            value: json(&self.value)?,
        };
        tool.answer(operation, "")
    }
}

/// Clear a runtime parameter.
#[derive(Args)]
pub(super) struct ClearParameter {
    /// vhost-limits or operator_policy
    component: String,
    /// Name
    name: String,
}

impl Run for ClearParameter {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!(
            "Clearing runtime parameter \"{}\" for component \"{}\" on vhost \"{vhost}\" ...",
            self.name, self.component
        );
        let operation = Operation::ClearParameter {
            vhost,
            component: self.component,
            name: self.name,
        };
        tool.act(&banner, operation)
    }
}

/// List runtime parameters of a virtual host.
#[derive(Args)]
pub(super) struct ListParameters;

impl Run for ListParameters {
    fn run(self, tool: &Tool) -> Outcome {
        let vhost = tool.vhost();
        let banner = format!("Listing runtime parameters for vhost \"{vhost}\" ...");
        let columns = ["component", "name", "value"];
        tool.table(&banner, Operation::ListParameters { vhost }, &columns)
    }
}

/// Keep a value with the node.
#[derive(Args)]
pub(super) struct SetGlobalParameter {
    /// Name
    name: String,
    /// JSON
    #[arg(allow_hyphen_values = true)]
    value: String,
}

impl Run for SetGlobalParameter {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, text) = (self.name, self.value);
        tool.banner(&format!(
            "Setting global runtime parameter \"{name}\" to \"{text}\" ..."
        ));
        let value = json(&text)?;
        tool.answer(Operation::SetGlobalParameter { name, value }, "")
    }
}

/// Forget such a value.
#[derive(Args)]
pub(super) struct ClearGlobalParameter {
    /// Name
    name: String,
}

impl Run for ClearGlobalParameter {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.name;
        let banner = format!("Clearing global runtime parameter \"{name}\" ...");
        tool.act(&banner, Operation::ClearGlobalParameter { name })
    }
}

/// List such values.
#[derive(Args)]
pub(super) struct ListGlobalParameters;

impl Run for ListGlobalParameters {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = "Listing global runtime parameters ...";
        tool.table(banner, Operation::ListGlobalParameters, &["name", "value"])
    }
}

/// Name the cluster that this node is.
#[derive(Args)]
pub(super) struct SetClusterName {
    /// Name
    name: String,
}

impl Run for SetClusterName {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Setting cluster name to {} ...", self.name);
        let operation = Operation::SetGlobalParameter {
            name: "cluster_name".to_owned(),
            value: self.name.into(),
        };
        tool.act(&banner, operation)
    }
}
