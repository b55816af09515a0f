//! Feature flags, and what RabbitMQ is about to drop.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::tool::Tool;

/// List feature flags, all of which are enabled.
#[derive(Args)]
pub(super) struct ListFeatureFlags {
    /// name, state, stability, provided_by, desc, doc_url [default: name state]
    columns: Vec<String>,
}

impl Run for ListFeatureFlags {
    fn run(self, tool: &Tool) -> Outcome {
        let known = [
            "name",
            "state",
            "stability",
            "provided_by",
            "desc",
            "doc_url",
        ];
        let (banner, operation) = (["Listing feature flags ..."], Operation::ListFeatures);
        tool.list(&banner, operation, &self.columns, &known[..2], &known)
    }
}

/// Enable a feature flag, or all: they are.
#[derive(Args)]
pub(super) struct EnableFeatureFlag {
    /// Name, or all
    feature: String,
    /// Also experimental ones
    #[arg(long = "opt-in", alias = "experimental")]
    opt_in: bool,
}

impl Run for EnableFeatureFlag {
    fn run(self, tool: &Tool) -> Outcome {
        if self.feature.is_empty() {
            return Err(bad_argument("feature_flag cannot be an empty string."));
        }
        let name = Some(self.feature).filter(|name| name != "all");
        let banner = match &name {
            None => "Enabling all feature flags ...".to_owned(),
            Some(name) => format!("Enabling feature flag \"{name}\" ..."),
        };
        tool.act(&banner, Operation::EnableFeature { name })
    }
}

/// List what RabbitMQ is about to drop.
#[derive(Args)]
pub(super) struct ListDeprecatedFeatures {
    /// Only what is used
    #[arg(long)]
    used: bool,
    /// name, deprecation_phase, state, desc, doc_url, provided_by [default: name deprecation_phase state]
    columns: Vec<String>,
}

impl Run for ListDeprecatedFeatures {
    fn run(self, tool: &Tool) -> Outcome {
        let known = [
            "name",
            "deprecation_phase",
            "state",
            "desc",
            "doc_url",
            "provided_by",
        ];
        let banner = match self.used {
            true => "Listing deprecated features in use ...",
            false => "Listing deprecated features ...",
        };
        let operation = Operation::ListDeprecated { used: self.used };
        tool.list(&[banner], operation, &self.columns, &known[..3], &known)
    }
}

/// Fail when something deprecated is used.
#[derive(Args)]
pub(super) struct CheckIfAnyDeprecatedFeaturesAreUsed;

impl Run for CheckIfAnyDeprecatedFeaturesAreUsed {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner("Checking if any deprecated features are used ...");
        let used = tool.names(Operation::ListDeprecated { used: true })?;
        if used.is_empty() {
            tool.done("Cluster reported no deprecated features in use");
            return Ok(());
        }
        Err(Failure::new(UNAVAILABLE, used.join("\n")))
    }
}

/// Fail when a policy mirrors classic queues.
#[derive(Args)]
pub(super) struct CheckIfClusterHasClassicQueueMirroringPolicy;

impl Run for CheckIfClusterHasClassicQueueMirroringPolicy {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner("Checking if cluster has any classic queue mirroring policy ...");
        let used = tool.names(Operation::ListDeprecated { used: true })?;
        if used.iter().all(|name| name != "classic_queue_mirroring") {
            tool.done("Cluster reported no policies that enable classic queue mirroring");
            return Ok(());
        }
        let text = "Cluster reported policies enabling classic queue mirroring";
        Err(Failure::new(UNAVAILABLE, text))
    }
}
