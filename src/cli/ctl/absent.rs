//! RabbitMQ's commands that this node does not have, with the reason. They end with the exit code of what is not available.

const CLUSTER: &str = "the node is a cluster by itself: this version of Leveret joins no others";
const ONE_COPY: &str =
    "queues have one copy, on this node: this version of Leveret has no replicas";
const STREAMS: &str = "streams have one copy, on this node, and there is no stream protocol";
const ERLANG: &str = "there is no Erlang runtime in Leveret";
const TLS: &str = "this version of Leveret has no TLS";
const SHOVEL: &str = "this version of Leveret has no shovels";
const FEDERATION: &str = "this version of Leveret has no federation";
const ENCRYPTED: &str = "values in Leveret's settings are not encrypted; protect the file instead";

const COMMANDS: &[(&str, &str)] = &[
    ("join_cluster", CLUSTER),
    ("forget_cluster_node", CLUSTER),
    ("rename_cluster_node", CLUSTER),
    ("update_cluster_nodes", CLUSTER),
    ("change_cluster_node_type", CLUSTER),
    ("force_standalone_boot", CLUSTER),
    ("force_standalone_khepri_boot", CLUSTER),
    ("sync_queue", ONE_COPY),
    ("cancel_sync_queue", ONE_COPY),
    ("add_member", ONE_COPY),
    ("delete_member", ONE_COPY),
    ("grow", ONE_COPY),
    ("shrink", ONE_COPY),
    ("transfer_leadership", ONE_COPY),
    ("force_checkpoint", ONE_COPY),
    ("reclaim_quorum_memory", ONE_COPY),
    (
        "peek",
        "leveret ctl browse shows messages of any queue without touching them",
    ),
    ("add_replica", STREAMS),
    ("delete_replica", STREAMS),
    (
        "set_stream_retention_policy",
        "the policy keys max-age and max-length-bytes bound streams",
    ),
    ("stream_status", STREAMS),
    ("restart_stream", STREAMS),
    ("coordinator_status", STREAMS),
    ("list_stream_connections", STREAMS),
    ("list_stream_consumers", STREAMS),
    ("list_stream_consumer_groups", STREAMS),
    ("list_stream_group_consumers", STREAMS),
    ("list_stream_publishers", STREAMS),
    ("list_stream_tracking", STREAMS),
    ("activate_stream_consumer", STREAMS),
    ("reset_offset", STREAMS),
    ("add_super_stream", STREAMS),
    ("delete_super_stream", STREAMS),
    ("eval_file", ERLANG),
    ("exec", ERLANG),
    ("force_gc", ERLANG),
    ("hipe_compile", ERLANG),
    ("erlang_version", ERLANG),
    ("erlang_cookie_hash", ERLANG),
    ("erlang_cookie_sources", ERLANG),
    ("command_line_arguments", ERLANG),
    ("maybe_stuck", ERLANG),
    ("observer", ERLANG),
    ("remote_shell", ERLANG),
    ("runtime_thread_stats", ERLANG),
    ("resolver_info", ERLANG),
    (
        "schema_info",
        "there are no tables of Mnesia; leveret store check tells of the store",
    ),
    (
        "list_network_interfaces",
        "listeners shows where the node listens",
    ),
    ("cipher_suites", TLS),
    ("tls_versions", TLS),
    ("list_ciphers", ENCRYPTED),
    ("list_hashes", ENCRYPTED),
    ("encode", ENCRYPTED),
    ("decode", ENCRYPTED),
    ("encrypt_conf_value", ENCRYPTED),
    ("decrypt_conf_value", ENCRYPTED),
    (
        "enable_auth_attempt_source_tracking",
        "logins are not counted by where they come from",
    ),
    (
        "disable_auth_attempt_source_tracking",
        "logins are not counted by where they come from",
    ),
    (
        "list_policies_that_match",
        "list_queues name policy operator_policy shows what applies to each queue",
    ),
    (
        "message_size_stats",
        "sizes of messages are not counted in this version of Leveret",
    ),
    (
        "remove_classic_queue_mirroring_from_policies",
        "clear_policy and set_policy change policies",
    ),
    (
        "list_policies_with_classic_queue_mirroring",
        "list_policies shows all",
    ),
    (
        "list_operator_policies_with_classic_queue_mirroring",
        "list_operator_policies shows all",
    ),
    (
        "activate_free_disk_space_monitoring",
        "free disk space is always watched",
    ),
    (
        "deactivate_free_disk_space_monitoring",
        "free disk space is always watched; set_disk_free_limit 0 raises no alarm",
    ),
    ("shovel_status", SHOVEL),
    ("restart_shovel", SHOVEL),
    ("delete_shovel", SHOVEL),
    ("federation_status", FEDERATION),
    ("restart_federation_link", FEDERATION),
    (
        "directories",
        "plugins are built in: there are no directories of them",
    ),
];

/// Why there is no such command, if RabbitMQ has it.
pub(super) fn why(command: &str) -> Option<&'static str> {
    let found = COMMANDS.iter().find(|(name, _)| *name == command);
    found.map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn what_is_absent_is_documented() {
        let documented = include_str!("../../../docs/compatibility.md");
        for (name, why) in COMMANDS {
            assert!(documented.contains(&format!("`{name}`")), "{name}");
            assert!(documented.contains(&format!("({why})")), "{why}");
        }
    }

    #[test]
    fn what_is_there_is_not_absent() {
        for command in crate::cli::ctl::Cli::command().get_subcommands() {
            assert_eq!(why(command.get_name()), None, "{}", command.get_name());
        }
        assert_eq!(why("nonsense"), None);
        assert!(why("join_cluster").is_some());
    }
}
