//! What is to be known of a node and of the machine that it runs on.

use std::net::ToSocketAddrs;

use serde_json::Value;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::Tool;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Command;
use crate::cli::ctl::keep::bad_argument;
use crate::cli::ctl::upkeep::Upkeep;

impl Tool {
    pub(super) fn memory_breakdown(&self, unit: &str) -> Outcome {
        let divisor = match unit.to_ascii_lowercase().as_str() {
            "b" | "bytes" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            _ => return Err(bad_argument(&format!("Invalid unit {unit}"))),
        };
        self.banner(&format!(
            "Reporting memory breakdown on node {}...",
            self.node()
        ));
        let state = self.call(Operation::Status)?;
        let total = state["memory"]["total"]["rss"].as_f64().unwrap_or(0.0);
        let queues = state["memory"]["queue_messages"].as_f64().unwrap_or(0.0);
        let mut parts = [("messages", queues), ("other", (total - queues).max(0.0))];
        parts.sort_by(|left, right| right.1.total_cmp(&left.1));
        if self.options.formatter.is_for_machines() {
            let parts = parts.map(|(name, octets)| {
                let part = serde_json::json!({"bytes": octets, "percentage": 100.0 * octets / total.max(1.0)});
                (name.to_owned(), part)
            });
            let parts = Value::Object(parts.into_iter().collect());
            self.print(&format!("{parts}\n"));
            return Ok(());
        }
        for (name, octets) in parts {
            let amount = octets / divisor;
            let percentage = 100.0 * octets / total.max(1.0);
            self.print(&format!("{name}: {amount:.4} {unit} ({percentage:.2}%)\n"));
        }
        Ok(())
    }

    pub(super) fn resolve(&self, host: &str, family: &str) -> Outcome {
        let (shown, v6) = match family.to_ascii_lowercase().as_str() {
            "ipv4" | "inet" => ("IPv4", false),
            "ipv6" | "inet6" => ("IPv6", true),
            _ => {
                return Err(bad_argument(&format!(
                    "unsupported IP address family {family}"
                )));
            }
        };
        self.banner(&format!(
            "Asking node {} to resolve hostname {host} to {shown} addresses...",
            self.node()
        ));
        let failed = |why: &str| {
            let text = format!("Failed to resolve host '{host}' to {shown} addresses: {why}");
            Failure::new(UNAVAILABLE, text)
        };
        let found = (host, 0).to_socket_addrs();
        let found = found.map_err(|error| failed(&error.to_string()))?;
        let mut found: Vec<_> = found.map(|address| address.ip()).collect();
        found.retain(|address| address.is_ipv6() == v6);
        found.dedup();
        if found.is_empty() {
            return Err(failed("there is none"));
        }
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        self.done(&lines.join("\n"));
        Ok(())
    }

    /// The few expressions that deployment scripts ask.
    pub(super) fn eval(&self, expression: &str) -> Outcome {
        let state = self.call(Operation::Status)?;
        let asked: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        let answer = match asked.trim_end_matches('.') {
            "rabbit_nodes:reached_target_cluster_size()" => "true".to_owned(),
            "rabbit_nodes:cluster_name()" => format!("<<\"{}\">>", text("cluster_name")),
            "rabbit_misc:version()" => format!("\"{}\"", text("rabbitmq_version")),
            "node()" => format!("'{}'", text("node")),
            _ => {
                let text = "there is no Erlang runtime in Leveret; `eval` knows node(), rabbit_nodes:cluster_name(), \
                            rabbit_nodes:reached_target_cluster_size() and rabbit_misc:version()";
                return Err(Failure::new(UNAVAILABLE, text));
            }
        };
        self.print(&format!("{answer}\n"));
        Ok(())
    }

    /// What RabbitMQ's report has, one after the other.
    pub(super) fn report(&self) -> Outcome {
        self.print(&format!(
            "Reporting server status of node {} ...\n\n",
            self.node()
        ));
        let none = Vec::new;
        let node = [
            Command::Status,
            Command::ClusterStatus,
            Command::Environment,
            Command::ListConnections { columns: none() },
            Command::ListChannels { columns: none() },
            Command::ListGlobalParameters,
        ];
        for command in node {
            self.run(command)?;
            self.print("\n");
        }
        for vhost in self.names(Operation::ListVhosts)? {
            let within = [
                Command::ListQueues {
                    online: false,
                    offline: false,
                    local: false,
                    columns: none(),
                },
                Command::ListExchanges { columns: none() },
                Command::ListBindings { columns: none() },
                Command::ListPermissions,
                Command::ListPolicies,
                Command::Upkeep(Upkeep::ListParameters),
            ];
            let tool = self.within(&vhost);
            for command in within {
                tool.run(command)?;
                tool.print("\n");
            }
        }
        Ok(())
    }
}
