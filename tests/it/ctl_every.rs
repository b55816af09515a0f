//! Every command that RabbitMQ's tools have, one after the other on one node: how it ends, and the shape of what it prints.
//! What they do is tested beside, group by group.

use crate::ctl::Rig;

/// What a command prints on standard output, without its banner.
enum Shape {
    /// Exactly this.
    Is(&'static str),
    /// This is in it.
    Has(&'static str),
    /// A table with these columns, or nothing.
    Table(&'static str),
    /// A JSON object or list.
    Json,
    /// Nothing; this is how it starts on standard error.
    Fails(i32, &'static str),
}

use Shape::Fails;
use Shape::Has;
use Shape::Is;
use Shape::Json;
use Shape::Table;

const NOTHING: Shape = Is("");

/// Words with spaces between.
const COMMANDS: &[(&str, Shape)] = &[
    // rabbitmq-diagnostics
    ("rabbitmq-diagnostics ping", Is("Ping succeeded\n")),
    (
        "rabbitmq-diagnostics check_running",
        Has("fully booted and running"),
    ),
    (
        "rabbitmq-diagnostics is_running",
        Has("fully booted and running"),
    ),
    (
        "rabbitmq-diagnostics is_booting",
        Has("RabbitMQ on node rabbit@h "),
    ),
    (
        "rabbitmq-diagnostics check_local_alarms",
        Has("reported no local alarms"),
    ),
    (
        "rabbitmq-diagnostics check_alarms",
        Has("reported no alarms"),
    ),
    (
        "rabbitmq-diagnostics check_port_connectivity",
        Has("Successfully connected to ports "),
    ),
    (
        "rabbitmq-diagnostics check_port_listener 1",
        Fails(69, "No listener for port 1 is active"),
    ),
    (
        "rabbitmq-diagnostics check_protocol_listener amqp",
        Has("A listener for protocol amqp is running"),
    ),
    (
        "rabbitmq-diagnostics check_protocol_listener mqtt",
        Fails(69, "Error:\nNo listener for protocol mqtt"),
    ),
    (
        "rabbitmq-diagnostics check_virtual_hosts",
        Has("reported all vhosts as running"),
    ),
    (
        "rabbitmq-diagnostics check_certificate_expiration --within 1 --unit months",
        Is("No certificates are expiring within 1 month.\n"),
    ),
    (
        "rabbitmq-diagnostics check_if_node_is_quorum_critical",
        Has("the check does not apply"),
    ),
    (
        "rabbitmq-diagnostics check_if_node_is_mirror_sync_critical",
        Has("the check does not apply"),
    ),
    (
        "rabbitmq-diagnostics check_if_cluster_has_classic_queue_mirroring_policy",
        Has("reported no policies"),
    ),
    (
        "rabbitmq-diagnostics check_if_any_deprecated_features_are_used",
        Has("no deprecated features"),
    ),
    (
        "rabbitmq-diagnostics check_for_quorum_queues_without_an_elected_leader",
        Has("reported no quorum queues"),
    ),
    (
        "rabbitmq-diagnostics metadata_store_status",
        Has("│ redb           │"),
    ),
    ("rabbitmq-diagnostics os_env --formatter json", Json),
    (
        "rabbitmq-diagnostics log_tail_stream -d 1",
        Fails(69, "Error:\nNo log files configured on the node"),
    ),
    ("rabbitmq-diagnostics node_health_check", NOTHING),
    ("rabbitmq-diagnostics status", Has("Runtime\n\nOS PID: ")),
    ("rabbitmq-diagnostics status --formatter json", Json),
    (
        "rabbitmq-diagnostics cluster_status",
        Has("Running Nodes\n\nrabbit@h\n"),
    ),
    ("rabbitmq-diagnostics cluster_status --formatter json", Json),
    ("rabbitmq-diagnostics alarms", Has("reported no alarms")),
    (
        "rabbitmq-diagnostics listeners",
        Has("protocol: amqp, purpose: AMQP 0-9-1"),
    ),
    ("rabbitmq-diagnostics listeners --formatter json", Json),
    (
        "rabbitmq-diagnostics memory_breakdown --unit mb",
        Has(" mb ("),
    ),
    (
        "rabbitmq-diagnostics memory_breakdown --formatter json",
        Json,
    ),
    (
        "rabbitmq-diagnostics memory_breakdown --unit stones",
        Fails(64, "Error (argument validation)"),
    ),
    ("rabbitmq-diagnostics environment", Has("cluster_name = ")),
    ("rabbitmq-diagnostics server_version", Is("3.13.7\n")),
    ("rabbitmq-diagnostics log_location", Is("<stderr>\n")),
    ("rabbitmq-diagnostics certificates", Is("#{}\n")),
    (
        "rabbitmq-diagnostics resolve_hostname localhost",
        Is("127.0.0.1\n"),
    ),
    (
        "rabbitmq-diagnostics resolve_hostname localhost --address-family ipv5",
        Fails(65, "Error (argument"),
    ),
    (
        "rabbitmq-diagnostics discover_peers",
        Is("No peers discovered\n"),
    ),
    (
        "rabbitmq-diagnostics list_node_auth_attempt_stats",
        Table("protocol\tauth_attempts\tauth_attempts_failed\tauth_attempts_succeeded"),
    ),
    (
        "rabbitmq-diagnostics reset_node_auth_attempt_metrics",
        NOTHING,
    ),
    // The node
    ("await_startup", NOTHING),
    ("await_online_nodes 1", NOTHING),
    (
        "await_online_nodes 2 -t 0",
        Fails(
            70,
            "Error:\nError: timed out while waiting. Not enough nodes joined rabbit@h's cluster.",
        ),
    ),
    (
        "wait --pid 1",
        Has("Applications 'rabbit_and_plugins' are running"),
    ),
    (
        "wait --pid 999999999",
        Fails(69, "Error:\nprocess_not_running"),
    ),
    (
        "rotate_logs",
        Fails(69, "Error:\nThis command does not rotate logs anymore"),
    ),
    ("enable_vhost_deletion_protection /", NOTHING),
    (
        "delete_vhost /",
        Fails(
            65,
            "Error:\nCannot delete this virtual host: it is protected",
        ),
    ),
    ("disable_vhost_deletion_protection /", NOTHING),
    ("set_log_level info", NOTHING),
    ("set_vm_memory_high_watermark 0.5", NOTHING),
    ("set_vm_memory_high_watermark absolute 8GB", NOTHING),
    (
        "set_vm_memory_high_watermark 7",
        Fails(
            65,
            "Error (argument validation): Bad argument: The threshold",
        ),
    ),
    ("set_disk_free_limit 1MB", NOTHING),
    ("set_disk_free_limit mem_relative 0", NOTHING),
    ("set_cluster_name c", NOTHING),
    ("list_feature_flags", Table("name\tstate")),
    ("enable_feature_flag all --opt-in", NOTHING),
    (
        "list_deprecated_features",
        Table("name\tdeprecation_phase\tstate"),
    ),
    (
        "report",
        Has("Reporting server status of node rabbit@h ...\n\nRuntime\n"),
    ),
    ("version", Is("3.13.7\n")),
    (
        "eval rabbit_nodes:reached_target_cluster_size().",
        Is("true\n"),
    ),
    ("eval node().", Is("rabbit@h\n")),
    (
        "eval rabbit_alarm:set_alarm({{resource_limit,disk,node()},[]}).",
        Is("ok\n"),
    ),
    ("check_local_alarms", Fails(69, "Error:\n")),
    (
        "eval rabbit_alarm:clear_alarm({resource_limit,disk,node()}).",
        Is("ok\n"),
    ),
    ("eval 1+1.", Fails(69, "Error:\nthere is no Erlang runtime")),
    ("hash_password secret", Has("\n")),
    ("suspend_listeners", NOTHING),
    ("resume_listeners", NOTHING),
    (
        "force_boot",
        Fails(
            64,
            "Error: this command requires the 'rabbit' app to be stopped",
        ),
    ),
    (
        "reset",
        Fails(
            64,
            "Error: this command requires the 'rabbit' app to be stopped",
        ),
    ),
    ("close_connection <1> why", Fails(69, "Error:\nnot_found")),
    (
        "close_all_connections --global why",
        Is("Closed 0 connections\n"),
    ),
    ("close_all_user_connections guest why", NOTHING),
    ("export_definitions -", Json),
    (
        "import_definitions",
        Fails(65, "Error:\nFailed to deserialise input (format: JSON)"),
    ),
    ("trace_on", Has("Trace enabled")),
    ("trace_off", Has("Trace disabled")),
    ("restart_vhost", Has("is already running")),
    (
        "restart_vhost -p nowhere",
        Fails(70, "Error:\nFailed to start vhost 'nowhere'"),
    ),
    ("reconcile_vhosts", Has("Will reconcile all virtual hosts")),
    ("autocomplete list_top", Is("list_topic_permissions\n")),
    // Users and permissions
    ("add_user u p", NOTHING),
    (
        "add_user u p",
        Fails(70, "Error:\nUser \"u\" already exists"),
    ),
    ("change_password u q", NOTHING),
    ("authenticate_user u q", Is("Success\n")),
    (
        "authenticate_user u p",
        Fails(65, "Error:\nError: failed to authenticate user \"u\""),
    ),
    ("clear_password u", NOTHING),
    ("set_user_tags u monitoring", NOTHING),
    (
        "set_user_tags nobody monitoring",
        Fails(67, "Error:\nUser \"nobody\" does not exist"),
    ),
    ("list_users", Table("user\ttags")),
    ("list_users --formatter json", Json),
    ("set_permissions u .* .* .*", NOTHING),
    ("set_permissions_globally u .* .* .*", NOTHING),
    ("list_permissions", Table("user\tconfigure\twrite\tread")),
    (
        "list_permissions -p nowhere",
        Fails(65, "Virtual host 'nowhere' does not exist"),
    ),
    (
        "list_user_permissions u",
        Table("vhost\tconfigure\twrite\tread"),
    ),
    ("clear_permissions u", NOTHING),
    ("set_topic_permissions u amq.topic .* .*", NOTHING),
    (
        "list_topic_permissions",
        Table("user\texchange\twrite\tread"),
    ),
    (
        "list_user_topic_permissions u",
        Table("vhost\texchange\twrite\tread"),
    ),
    ("clear_topic_permissions u", NOTHING),
    ("set_user_limits u {\"max-channels\":3}", NOTHING),
    ("list_user_limits --user u", Is("{\"max-channels\":3}\n")),
    ("list_user_limits --global", Table("user\tlimits")),
    ("clear_user_limits u all", NOTHING),
    ("delete_user u", NOTHING),
    (
        "delete_user u",
        Fails(67, "Error:\nUser \"u\" does not exist"),
    ),
    // Virtual hosts
    (
        "add_vhost v --description d --tags a,b --default-queue-type quorum",
        NOTHING,
    ),
    ("add_vhost v", NOTHING),
    ("list_vhosts", Table("name")),
    (
        "list_vhosts name tags cluster_state metadata",
        Table("name\ttags\tcluster_state\tmetadata"),
    ),
    ("update_vhost_metadata v --description e", NOTHING),
    ("set_vhost_tags v c", NOTHING),
    ("set_vhost_limits -p v {\"max-queues\":3}", NOTHING),
    ("list_vhost_limits -p v", Is("{\"max-queues\":3}\n")),
    ("list_vhost_limits --global", Table("vhost\tlimits")),
    ("clear_vhost_limits -p v", NOTHING),
    ("delete_vhost v", NOTHING),
    (
        "delete_vhost v",
        Fails(65, "Virtual host 'v' does not exist"),
    ),
    // Policies and parameters
    (
        "set_policy p ^q {\"max-length\":1} --priority 3 --apply-to queues",
        NOTHING,
    ),
    (
        "set_policy p ^q {\"max-lengt\":1}",
        Fails(69, "Error:\nValidation failed\n\n"),
    ),
    (
        "list_policies",
        Table("vhost\tname\tpattern\tapply-to\tdefinition\tpriority"),
    ),
    ("clear_policy p", NOTHING),
    ("set_operator_policy o ^q {\"max-length\":1}", NOTHING),
    (
        "list_operator_policies",
        Table("vhost\tname\tpattern\tapply-to\tdefinition\tpriority"),
    ),
    ("clear_operator_policy o", NOTHING),
    (
        "set_parameter vhost-limits limits {\"max-queues\":9}",
        NOTHING,
    ),
    ("list_parameters", Table("component\tname\tvalue")),
    ("clear_parameter vhost-limits limits", NOTHING),
    (
        "set_parameter shovel s {}",
        Fails(
            69,
            "Error:\nValidation failed\n\ncomponent shovel not found",
        ),
    ),
    ("set_global_parameter g 1", NOTHING),
    ("list_global_parameters", Table("name\tvalue")),
    ("clear_global_parameter g", NOTHING),
    (
        "clear_global_parameter g",
        Fails(69, "Error:\nParameter does not exist"),
    ),
    // Objects
    ("list_queues", Table("name\tmessages")),
    (
        "list_queues --online --local name policy",
        Table("name\tpolicy"),
    ),
    (
        "list_queues nonsense",
        Fails(
            64,
            "Error (argument validation): Info key(s) nonsense are not supported",
        ),
    ),
    ("list_exchanges", Table("name\ttype")),
    (
        "list_bindings",
        Table(
            "source_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments",
        ),
    ),
    (
        "list_connections",
        Table("user\tpeer_host\tpeer_port\tstate"),
    ),
    (
        "list_channels",
        Table("pid\tuser\tconsumer_count\tmessages_unacknowledged"),
    ),
    (
        "list_consumers",
        Table(
            "queue_name\tchannel_pid\tconsumer_tag\tack_required\tprefetch_count\tactive\targuments",
        ),
    ),
    ("list_unresponsive_queues", Table("name")),
    ("purge_queue q", Fails(69, "Error:\nnot_found")),
    ("browse q", Fails(69, "Error:\nnot_found")),
    (
        "delete_queue q",
        Fails(64, "Error:\nNo such queue was found"),
    ),
    // Plugins
    ("rabbitmq-plugins list", Has("[e*] rabbitmq_management")),
    ("rabbitmq-plugins list -m", Has("rabbitmq_management\n")),
    (
        "rabbitmq-plugins enable rabbitmq_management",
        Has("Plugin configuration unchanged."),
    ),
    (
        "rabbitmq-plugins enable nonsense",
        Fails(70, "Error:\n{:plugins_not_found, [:nonsense]}"),
    ),
    (
        "rabbitmq-plugins set rabbitmq_management",
        Has("nothing to do."),
    ),
    (
        "rabbitmq-plugins disable rabbitmq_mqtt",
        Has("Plugin configuration unchanged."),
    ),
    (
        "rabbitmq-plugins is_enabled rabbitmq_management",
        Has("Plugin rabbitmq_management is enabled"),
    ),
    (
        "rabbitmq-plugins is_enabled rabbitmq_mqtt",
        Fails(69, "Error:\nPlugin rabbitmq_mqtt is not enabled"),
    ),
    // Clusters of one
    ("rabbitmq-queues rebalance all", NOTHING),
    (
        "rabbitmq-queues check_if_new_quorum_queue_replicas_have_finished_initial_sync",
        Has("no queues with promotable replicas"),
    ),
    (
        "rabbitmq-upgrade await_online_quorum_plus_one -t 5",
        Has("the command does not apply"),
    ),
    (
        "rabbitmq-upgrade await_online_synchronized_mirror -t 5",
        Has("the command does not apply"),
    ),
    ("rabbitmq-upgrade drain", NOTHING),
    ("rabbitmq-upgrade revive", NOTHING),
    ("rabbitmq-upgrade post_upgrade", NOTHING),
    (
        "rabbitmq-upgrade has_reached_target_cluster_size",
        Is("true\n"),
    ),
    // Wrong usage
    (
        "add_user",
        Fails(
            64,
            "Error (argument validation): not enough arguments.\nArguments given:\n\t",
        ),
    ),
    (
        "list_users extra",
        Fails(64, "Error (argument validation): too many arguments.\n"),
    ),
    (
        "list_users --bogus",
        Fails(
            64,
            "Error (argument validation): Invalid options for this command:\n--bogus : \n",
        ),
    ),
    (
        "list_queue",
        Fails(
            64,
            "\nCommand 'list_queue' not found. \nDid you mean 'list_queues'?\n",
        ),
    ),
    (
        "nonsense",
        Fails(64, "\nCommand 'nonsense' not found. \n\nUsage"),
    ),
    // At the end, for others need the application.
    ("stop_app", NOTHING),
    (
        "list_queues",
        Fails(
            64,
            "Error: this command requires the 'rabbit' app to be running",
        ),
    ),
    ("force_boot", NOTHING),
    ("reset", NOTHING),
    ("force_reset", NOTHING),
    ("start_app", NOTHING),
];

/// Those that are not there: each says why.
const ABSENT: &[&str] = &[
    "rabbitmqctl join_cluster rabbit@other",
    "rabbitmqctl forget_cluster_node rabbit@other --offline",
    "rabbitmqctl change_cluster_node_type disc",
    "rabbitmqctl rename_cluster_node a b",
    "rabbitmqctl update_cluster_nodes a",
    "rabbitmqctl sync_queue q",
    "rabbitmqctl cancel_sync_queue q",
    "rabbitmqctl eval_file x",
    "rabbitmqctl exec x",
    "rabbitmqctl encode x y",
    "rabbitmqctl decode x y",
    "rabbitmqctl force_gc",
    "rabbitmqctl list_ciphers",
    "rabbitmqctl list_hashes",
    "rabbitmqctl activate_free_disk_space_monitoring",
    "rabbitmqctl deactivate_free_disk_space_monitoring",
    "rabbitmqctl shovel_status",
    "rabbitmqctl restart_shovel s",
    "rabbitmqctl delete_shovel s",
    "rabbitmqctl federation_status --only-down",
    "rabbitmqctl restart_federation_link l",
    "rabbitmq-diagnostics erlang_version",
    "rabbitmq-diagnostics cipher_suites",
    "rabbitmq-diagnostics tls_versions",
    "rabbitmq-diagnostics command_line_arguments",
    "rabbitmq-diagnostics observer",
    "rabbitmq-diagnostics remote_shell",
    "rabbitmq-diagnostics maybe_stuck",
    "rabbitmq-diagnostics runtime_thread_stats",
    "rabbitmq-diagnostics list_network_interfaces",
    "rabbitmq-diagnostics list_policies_that_match q",
    "rabbitmq-diagnostics message_size_stats",
    "rabbitmq-diagnostics schema_info",
    "rabbitmq-plugins directories",
    "rabbitmq-queues add_member q n",
    "rabbitmq-queues delete_member q n",
    "rabbitmq-queues grow rabbit@h all",
    "rabbitmq-queues shrink rabbit@h",
    "rabbitmq-queues transfer_leadership q n",
    "rabbitmq-queues peek q 1",
    "rabbitmq-queues force_checkpoint",
    "rabbitmq-queues reclaim_quorum_memory q",
    "rabbitmq-streams add_replica q n",
    "rabbitmq-streams delete_replica q n",
    "rabbitmq-streams list_stream_consumers",
    "rabbitmq-streams stream_status q",
];

impl Shape {
    fn check(&self, line: &str, exit: i32, out: &str, err: &str) {
        let expected = if let Fails(exit, _) = self { *exit } else { 0 };
        assert_eq!(exit, expected, "{line}: {out}{err}");
        let fits = match self {
            Is(text) => out == *text,
            Has(text) => out.contains(text),
            Table(columns) => {
                let width = columns.split('\t').count();
                let mut lines = out.lines();
                lines.next().is_none_or(|head| head == *columns)
                    && lines.all(|row| row.split('\t').count() == width)
            }
            Json => serde_json::from_str::<serde_json::Value>(out)
                .is_ok_and(|document| document.is_object() || document.is_array()),
            Fails(_, start) => out.is_empty() && err.starts_with(start),
        };
        assert!(fits, "{line}\n--- out\n{out}\n--- err\n{err}");
    }
}

fn divided(line: &str) -> (&str, Vec<&str>) {
    let mut words: Vec<&str> = line.split(' ').collect();
    match words[0].starts_with("rabbitmq") {
        true => (words.remove(0), words),
        false => ("rabbitmqctl", words),
    }
}

#[test]
fn each_ends_as_it_should_and_has_its_shape() {
    let rig = Rig::start();
    for (line, shape) in COMMANDS {
        let (tool, words) = divided(line);
        let printed = rig.run(tool, &[&["-q"], &words[..]].concat());
        shape.check(line, printed.exit, &printed.out, &printed.err);
    }
    rig.broker.stop();
}

#[test]
fn what_is_not_there_says_why() {
    let home = tempfile::tempdir().unwrap();
    for line in ABSENT {
        let (tool, words) = divided(line);
        let printed = crate::ctl::run(home.path(), &home.path().join("none"), tool, &words);
        assert_eq!((printed.exit, printed.out.as_str()), (69, ""), "{line}");
        let start = format!("Error:\n{}: ", words[0]);
        assert!(printed.err.starts_with(&start), "{line}: {}", printed.err);
    }
}
