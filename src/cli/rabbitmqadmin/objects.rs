//! What `rabbitmqadmin` knows: objects, their keys and where they live in the management API.

/// A value that a key has when it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usual {
    /// None: the key is left out.
    Nothing,
    /// A text.
    Text(&'static str),
    /// A number.
    Number(i64),
    /// An empty table.
    Table,
}

/// Something that can be declared, deleted, closed, purged, published or got.
pub(super) struct Object {
    pub(super) name: &'static str,
    /// With the keys that it is made of in braces.
    pub(super) path: &'static str,
    /// Keys that must be given; of several with a bar between, one.
    pub(super) mandatory: &'static [&'static str],
    pub(super) optional: &'static [(&'static str, Usual)],
    /// Keys whose values are JSON.
    pub(super) json: &'static [&'static str],
}

/// Something that can be listed.
pub(super) struct Listing {
    pub(super) name: &'static str,
    /// It can be asked for one virtual host alone.
    pub(super) by_vhost: bool,
    /// Columns when none are asked for; without any all are shown.
    pub(super) columns: &'static [&'static str],
    /// Columns whose tables are shown as JSON.
    pub(super) json: &'static [&'static str],
}

const fn listing(
    name: &'static str,
    by_vhost: bool,
    columns: &'static [&'static str],
    json: &'static [&'static str],
) -> Listing {
    Listing {
        name,
        by_vhost,
        columns,
        json,
    }
}

pub(super) const LISTINGS: &[Listing] = &[
    listing("connections", false, &["name", "user", "channels"], &[]),
    listing("channels", false, &["name", "user"], &[]),
    listing("consumers", true, &[], &[]),
    listing("exchanges", true, &["name", "type"], &[]),
    listing("queues", true, &["name", "messages"], &[]),
    listing(
        "bindings",
        true,
        &["source", "destination", "routing_key"],
        &[],
    ),
    listing("users", false, &[], &[]),
    listing("vhosts", false, &["name", "messages"], &[]),
    listing("permissions", false, &[], &[]),
    listing("topic_permissions", false, &[], &[]),
    listing("nodes", false, &["name", "type", "mem_used"], &[]),
    listing("parameters", false, &[], &["value"]),
    listing("global_parameters", false, &[], &["value"]),
    listing("policies", false, &[], &["definition"]),
    listing("operator_policies", false, &[], &["definition"]),
    listing("vhost_limits", false, &[], &["value"]),
    listing("user_limits", false, &[], &["value"]),
    listing("feature_flags", false, &["name", "state"], &[]),
    listing(
        "deprecated_features",
        false,
        &["name", "deprecation_phase"],
        &[],
    ),
];

pub(super) const OVERVIEW: Listing = listing(
    "overview",
    false,
    &[
        "rabbitmq_version",
        "cluster_name",
        "queue_totals.messages",
        "object_totals.queues",
    ],
    &[],
);

const fn object(
    name: &'static str,
    path: &'static str,
    mandatory: &'static [&'static str],
    optional: &'static [(&'static str, Usual)],
    json: &'static [&'static str],
) -> Object {
    Object {
        name,
        path,
        mandatory,
        optional,
        json,
    }
}

const FALSE: Usual = Usual::Text("false");
const TRUE: Usual = Usual::Text("true");
const NOTHING: Usual = Usual::Nothing;

pub(super) const DECLARABLE: &[Object] = &[
    object(
        "exchange",
        "/exchanges/{vhost}/{name}",
        &["name", "type"],
        &[
            ("auto_delete", FALSE),
            ("durable", TRUE),
            ("internal", FALSE),
            ("arguments", Usual::Table),
        ],
        &["arguments"],
    ),
    object(
        "queue",
        "/queues/{vhost}/{name}",
        &["name"],
        &[
            ("auto_delete", FALSE),
            ("durable", TRUE),
            ("arguments", Usual::Table),
            ("node", NOTHING),
            ("queue_type", NOTHING),
        ],
        &["arguments"],
    ),
    object(
        "binding",
        "/bindings/{vhost}/e/{source}/{destination_char}/{destination}",
        &["source", "destination"],
        &[
            ("destination_type", Usual::Text("queue")),
            ("routing_key", Usual::Text("")),
            ("arguments", Usual::Table),
        ],
        &["arguments"],
    ),
    object(
        "vhost",
        "/vhosts/{name}",
        &["name"],
        &[
            ("tracing", NOTHING),
            ("description", NOTHING),
            ("tags", NOTHING),
            ("default_queue_type", NOTHING),
        ],
        &[],
    ),
    object(
        "user",
        "/users/{name}",
        &["name", "password|password_hash", "tags"],
        &[("hashing_algorithm", NOTHING)],
        &[],
    ),
    object(
        "permission",
        "/permissions/{vhost}/{user}",
        &["vhost", "user", "configure", "write", "read"],
        &[],
        &[],
    ),
    object(
        "topic_permission",
        "/topic-permissions/{vhost}/{user}",
        &["vhost", "user", "exchange", "write", "read"],
        &[],
        &[],
    ),
    object(
        "parameter",
        "/parameters/{component}/{vhost}/{name}",
        &["component", "name", "value"],
        &[],
        &["value"],
    ),
    object(
        "global_parameter",
        "/global-parameters/{name}",
        &["name", "value"],
        &[],
        &["value"],
    ),
    object(
        "policy",
        "/policies/{vhost}/{name}",
        &["name", "pattern", "definition"],
        &[("priority", Usual::Number(0)), ("apply-to", NOTHING)],
        &["definition", "priority"],
    ),
    object(
        "operator_policy",
        "/operator-policies/{vhost}/{name}",
        &["name", "pattern", "definition"],
        &[("priority", Usual::Number(0)), ("apply-to", NOTHING)],
        &["definition", "priority"],
    ),
    object(
        "vhost_limit",
        "/vhost-limits/{vhost}/{name}",
        &["vhost", "name", "value"],
        &[],
        &["value"],
    ),
    object(
        "user_limit",
        "/user-limits/{user}/{name}",
        &["user", "name", "value"],
        &[],
        &["value"],
    ),
];

pub(super) const DELETABLE: &[Object] = &[
    object("exchange", "/exchanges/{vhost}/{name}", &["name"], &[], &[]),
    object("queue", "/queues/{vhost}/{name}", &["name"], &[], &[]),
    object(
        "binding",
        "/bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}",
        &["source", "destination_type", "destination"],
        &[("properties_key", Usual::Text("~"))],
        &[],
    ),
    object("vhost", "/vhosts/{name}", &["name"], &[], &[]),
    object("user", "/users/{name}", &["name"], &[], &[]),
    object(
        "permission",
        "/permissions/{vhost}/{user}",
        &["vhost", "user"],
        &[],
        &[],
    ),
    object(
        "topic_permission",
        "/topic-permissions/{vhost}/{user}",
        &["vhost", "user"],
        &[],
        &[],
    ),
    object(
        "parameter",
        "/parameters/{component}/{vhost}/{name}",
        &["component", "name"],
        &[],
        &[],
    ),
    object(
        "global_parameter",
        "/global-parameters/{name}",
        &["name"],
        &[],
        &[],
    ),
    object("policy", "/policies/{vhost}/{name}", &["name"], &[], &[]),
    object(
        "operator_policy",
        "/operator-policies/{vhost}/{name}",
        &["name"],
        &[],
        &[],
    ),
    object(
        "vhost_limit",
        "/vhost-limits/{vhost}/{name}",
        &["vhost", "name"],
        &[],
        &[],
    ),
    object(
        "user_limit",
        "/user-limits/{user}/{name}",
        &["user", "name"],
        &[],
        &[],
    ),
];

pub(super) const CLOSABLE: &[Object] = &[object(
    "connection",
    "/connections/{name}",
    &["name"],
    &[],
    &[],
)];

pub(super) const PURGABLE: &[Object] = &[object(
    "queue",
    "/queues/{vhost}/{name}/contents",
    &["name"],
    &[],
    &[],
)];

/// One thing by its name, as only the newer syntax asks for it.
pub(super) const SHOWABLE: &[Object] = &[
    object("queue", "/queues/{vhost}/{name}", &["name"], &[], &[]),
    object("exchange", "/exchanges/{vhost}/{name}", &["name"], &[], &[]),
    object("vhost", "/vhosts/{name}", &["name"], &[], &[]),
    object("user", "/users/{name}", &["name"], &[], &[]),
];

pub(super) const PUBLISH: Object = object(
    "publish",
    "/exchanges/{vhost}/{exchange}/publish",
    &["routing_key"],
    &[
        ("payload", NOTHING),
        ("properties", Usual::Table),
        ("exchange", Usual::Text("amq.default")),
        ("payload_encoding", Usual::Text("string")),
    ],
    &["properties"],
);

pub(super) const GET: Object = object(
    "get",
    "/queues/{vhost}/{queue}/get",
    &["queue"],
    &[
        ("count", Usual::Text("1")),
        ("ackmode", Usual::Text("ack_requeue_true")),
        ("payload_file", NOTHING),
        ("encoding", Usual::Text("auto")),
    ],
    &[],
);

/// Health checks of the newer syntax, with their paths and the keys in those.
pub(super) const HEALTH: &[Object] = &[
    object("local_alarms", "/health/checks/local-alarms", &[], &[], &[]),
    object(
        "cluster_wide_alarms",
        "/health/checks/alarms",
        &[],
        &[],
        &[],
    ),
    object(
        "node_is_quorum_critical",
        "/health/checks/node-is-quorum-critical",
        &[],
        &[],
        &[],
    ),
    object(
        "virtual_hosts",
        "/health/checks/virtual-hosts",
        &[],
        &[],
        &[],
    ),
    object(
        "port_listener",
        "/health/checks/port-listener/{port}",
        &["port"],
        &[],
        &[],
    ),
    object(
        "protocol_listener",
        "/health/checks/protocol-listener/{protocol}",
        &["protocol"],
        &[],
        &[],
    ),
];

/// The object of that name among some.
pub(super) fn find<'a>(objects: &'a [Object], name: &str) -> Option<&'a Object> {
    objects.iter().find(|object| object.name == name)
}
