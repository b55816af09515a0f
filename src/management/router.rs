//! Which path leads where.

use axum::Router;
use axum::middleware;
use axum::routing::delete;
use axum::routing::get;
use axum::routing::post;
use axum::routing::put;

use crate::management::Api;
use crate::management::bindings;
use crate::management::bindings::Bindings;
use crate::management::browse;
use crate::management::by_vhost;
use crate::management::connections;
use crate::management::consumers::Consumers;
use crate::management::definitions;
use crate::management::error;
use crate::management::exchanges;
use crate::management::exchanges::Exchanges;
use crate::management::headers;
use crate::management::health;
use crate::management::limits;
use crate::management::login;
use crate::management::messages;
use crate::management::nodes;
use crate::management::overview;
use crate::management::parameters;
use crate::management::permissions;
use crate::management::policies;
use crate::management::queues;
use crate::management::queues::Queues;
use crate::management::topic_permissions;
use crate::management::users;
use crate::management::vhosts;

/// All of the API, below the prefix that operators want.
pub(super) fn router(api: Api) -> Router {
    let prefix = api.options.path_prefix.clone();
    let paths = Router::new()
        .merge(of_node())
        .merge(of_health())
        .merge(of_connections())
        .merge(of_exchanges())
        .merge(of_queues())
        .merge(of_vhosts())
        .merge(of_users())
        .merge(of_policies());
    let paths = match prefix.as_str() {
        "" => paths,
        prefix => Router::new().nest(prefix, paths),
    };
    let around = middleware::from_fn_with_state(api.clone(), headers::around);
    let paths = paths
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(api);
    // Around the whole: which methods a path has is told outside of its handlers.
    Router::new().fallback_service(paths).layer(around)
}

fn of_node() -> Router<Api> {
    Router::new()
        .route("/api/overview", get(overview::overview))
        .route("/api/whoami", get(overview::whoami))
        .route("/api/version", get(overview::version))
        .route("/api/extensions", get(overview::extensions))
        .route("/api/auth", get(overview::auth))
        .route("/api/login", post(login::log_in))
        .route("/api/config/effective", get(overview::settings))
        .route("/api/nodes", get(nodes::nodes))
        .route("/api/nodes/{node}", get(nodes::node))
        .route("/api/nodes/{node}/memory", get(nodes::memory))
        .route(
            "/api/nodes/{node}/memory/relative",
            get(nodes::memory_relative),
        )
        .route(
            "/api/cluster-name",
            get(nodes::cluster_name).put(nodes::put_cluster_name),
        )
        .route(
            "/api/auth/attempts/{node}",
            get(nodes::attempts).delete(nodes::forget_attempts),
        )
        .route(
            "/api/auth/attempts/{node}/source",
            get(nodes::attempts_by_source).delete(nodes::forget_attempts),
        )
        .route(
            "/api/auth/hash_password/{password}",
            get(nodes::hash_password),
        )
        .route(
            "/api/definitions",
            get(definitions::export).post(definitions::import_all),
        )
        .route(
            "/api/definitions/{vhost}",
            get(definitions::export_vhost).post(definitions::import_into),
        )
        .route(
            "/api/all-configuration",
            get(definitions::export).post(definitions::import_all),
        )
        .route("/api/rebalance/queues", post(nodes::rebalance))
        .route("/api/reset", delete(nodes::reset))
        .route("/api/reset/{node}", delete(nodes::reset_node))
        .route("/api/feature-flags", get(nodes::feature_flags))
        .route(
            "/api/feature-flags/{name}/enable",
            put(nodes::enable_feature_flag),
        )
        .route("/api/deprecated-features", get(nodes::deprecated_features))
        .route(
            "/api/deprecated-features/used",
            get(nodes::deprecated_features_used),
        )
}

fn of_health() -> Router<Api> {
    Router::new()
        .route("/api/health/checks/alarms", get(health::alarms))
        .route("/api/health/checks/local-alarms", get(health::local_alarms))
        .route(
            "/api/health/checks/virtual-hosts",
            get(health::virtual_hosts),
        )
        .route(
            "/api/health/checks/port-listener/{port}",
            get(health::port_listener),
        )
        .route(
            "/api/health/checks/protocol-listener/{protocol}",
            get(health::protocol_listener),
        )
        .route(
            "/api/health/checks/certificate-expiration/{within}/{unit}",
            get(health::certificates),
        )
        .route("/api/health/checks/is-in-service", get(health::in_service))
        .route(
            "/api/health/checks/below-node-connection-limit",
            get(health::below_connection_limit),
        )
        .route(
            "/api/health/checks/ready-to-serve-clients",
            get(health::ready_to_serve),
        )
        .route(
            "/api/health/checks/node-is-quorum-critical",
            get(health::alone),
        )
        .route(
            "/api/health/checks/node-is-mirror-sync-critical",
            get(health::alone),
        )
        .route(
            "/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
            get(health::complete),
        )
        .route(
            "/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
            get(health::complete),
        )
        .route(
            "/api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}",
            get(health::leaders_in),
        )
        .route(
            "/api/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
            get(health::leaders_in_matching),
        )
        .route(
            "/api/health/checks/reached-target-cluster-size",
            get(health::complete),
        )
        .route(
            "/api/health/checks/metadata-store/initialized",
            get(health::virtual_hosts),
        )
        .route(
            "/api/health/checks/metadata-store/initialized/with-data",
            get(health::with_data),
        )
        .route("/api/aliveness-test/{vhost}", get(health::aliveness))
        .route("/api/healthchecks/node", get(health::everything))
        .route("/api/healthchecks/node/{node}", get(health::everything_on))
}

fn of_connections() -> Router<Api> {
    Router::new()
        .route("/api/connections", get(connections::connections))
        .route(
            "/api/connections/username/{user}",
            get(connections::connections_of_user).delete(connections::close_those_of_user),
        )
        .route(
            "/api/connections/{name}",
            get(connections::connection).delete(connections::close),
        )
        .route(
            "/api/connections/{name}/channels",
            get(connections::channels_of),
        )
        .route(
            "/api/connections/{name}/sessions",
            get(connections::sessions_of),
        )
        .route(
            "/api/vhosts/{vhost}/connections",
            get(connections::connections_in),
        )
        .route(
            "/api/vhosts/{vhost}/channels",
            get(connections::channels_in),
        )
        .route("/api/channels", get(connections::channels))
        .route("/api/channels/{name}", get(connections::channel))
        .route("/api/consumers", get(by_vhost::of_all::<Consumers>))
        .route("/api/consumers/{vhost}", get(by_vhost::of_one::<Consumers>))
}

fn of_exchanges() -> Router<Api> {
    const BETWEEN: &str = "/api/bindings/{vhost}/e/{source}/{kind}/{destination}";
    const BINDING: &str = "/api/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}";
    Router::new()
        .route("/api/exchanges", get(by_vhost::of_all::<Exchanges>))
        .route("/api/exchanges/{vhost}", get(by_vhost::of_one::<Exchanges>))
        .route(
            "/api/exchanges/{vhost}/{name}",
            get(exchanges::exchange)
                .put(exchanges::put_exchange)
                .delete(exchanges::delete_exchange),
        )
        .route(
            "/api/exchanges/{vhost}/{name}/publish",
            post(messages::publish),
        )
        .route(
            "/api/exchanges/{vhost}/{name}/bindings/source",
            get(bindings::of_source),
        )
        .route(
            "/api/exchanges/{vhost}/{name}/bindings/destination",
            get(bindings::of_destination),
        )
        .route("/api/bindings", get(by_vhost::of_all::<Bindings>))
        .route("/api/bindings/{vhost}", get(by_vhost::of_one::<Bindings>))
        .route(BETWEEN, get(bindings::between).post(bindings::bind))
        .route(BINDING, get(bindings::binding).delete(bindings::unbind))
}

fn of_queues() -> Router<Api> {
    Router::new()
        .route("/api/queues", get(by_vhost::of_all::<Queues>))
        .route("/api/queues/detailed", get(by_vhost::of_all::<Queues>))
        .route("/api/queues/{vhost}", get(by_vhost::of_one::<Queues>))
        .route(
            "/api/queues/{vhost}/{name}",
            get(queues::queue)
                .put(queues::put_queue)
                .delete(queues::delete_queue),
        )
        .route(
            "/api/queues/{vhost}/{name}/bindings",
            get(bindings::of_queue),
        )
        .route("/api/queues/{vhost}/{name}/contents", delete(queues::purge))
        .route("/api/queues/{vhost}/{name}/messages", get(browse::messages))
        .route("/api/queues/{vhost}/{name}/get", post(messages::get))
        .route("/api/queues/{vhost}/{name}/actions", post(queues::act))
        .route(
            "/api/queues/quorum/{vhost}/{name}/status",
            get(queues::quorum_status),
        )
}

fn of_vhosts() -> Router<Api> {
    Router::new()
        .route("/api/vhosts", get(vhosts::vhosts))
        .route(
            "/api/vhosts/{vhost}",
            get(vhosts::vhost)
                .put(vhosts::put_vhost)
                .delete(vhosts::delete_vhost),
        )
        .route(
            "/api/vhosts/{vhost}/deletion/protection",
            post(vhosts::protect).delete(vhosts::unprotect),
        )
        .route("/api/vhosts/{vhost}/start/{node}", post(vhosts::start))
        .route(
            "/api/vhosts/{vhost}/permissions",
            get(permissions::of_vhost),
        )
        .route(
            "/api/vhosts/{vhost}/topic-permissions",
            get(topic_permissions::of_vhost),
        )
        .route("/api/vhost-limits", get(limits::vhost_limits))
        .route("/api/vhost-limits/{vhost}", get(limits::limits_of_vhost))
        .route(
            "/api/vhost-limits/{vhost}/{name}",
            put(limits::put_vhost_limit).delete(limits::delete_vhost_limit),
        )
}

fn of_users() -> Router<Api> {
    Router::new()
        .route("/api/users", get(users::users))
        .route("/api/users/bulk-delete", post(users::delete_users))
        .route(
            "/api/users/without-permissions",
            get(users::without_permissions),
        )
        .route(
            "/api/users/{user}",
            get(users::user)
                .put(users::put_user)
                .delete(users::delete_user),
        )
        .route("/api/users/{user}/permissions", get(permissions::of_user))
        .route("/api/users/{user}/queues", get(queues::of_user))
        .route(
            "/api/users/{user}/topic-permissions",
            get(topic_permissions::of_user),
        )
        .route("/api/user-limits", get(limits::user_limits))
        .route("/api/user-limits/{user}", get(limits::limits_of_user))
        .route(
            "/api/user-limits/{user}/{name}",
            put(limits::put_user_limit).delete(limits::delete_user_limit),
        )
        .route("/api/permissions", get(permissions::permissions))
        .route(
            "/api/permissions/{vhost}/{user}",
            get(permissions::permission)
                .put(permissions::put_permission)
                .delete(permissions::delete_permission),
        )
        .route(
            "/api/topic-permissions",
            get(topic_permissions::topic_permissions),
        )
        .route(
            "/api/topic-permissions/{vhost}/{user}",
            get(topic_permissions::of_both)
                .put(topic_permissions::put_topic_permission)
                .delete(topic_permissions::delete_topic_permissions),
        )
        .route(
            "/api/topic-permissions/{vhost}/{user}/{exchange}",
            get(topic_permissions::of_exchange)
                .put(topic_permissions::put_topic_permission_of_exchange)
                .delete(topic_permissions::delete_topic_permission),
        )
}

fn of_policies() -> Router<Api> {
    Router::new()
        .route("/api/policies", get(policies::policies))
        .route("/api/policies/{vhost}", get(policies::policies_in))
        .route(
            "/api/policies/{vhost}/{name}",
            get(policies::policy)
                .put(policies::put_policy)
                .delete(policies::delete_policy),
        )
        .route("/api/operator-policies", get(policies::operator_policies))
        .route(
            "/api/operator-policies/{vhost}",
            get(policies::operator_policies_in),
        )
        .route(
            "/api/operator-policies/{vhost}/{name}",
            get(policies::operator_policy)
                .put(policies::put_operator_policy)
                .delete(policies::delete_operator_policy),
        )
        .route("/api/parameters", get(parameters::parameters))
        .route("/api/parameters/{component}", get(parameters::of_component))
        .route(
            "/api/parameters/{component}/{vhost}",
            get(parameters::of_component_in),
        )
        .route(
            "/api/parameters/{component}/{vhost}/{name}",
            get(parameters::parameter)
                .put(parameters::put_parameter)
                .delete(parameters::delete_parameter),
        )
        .route("/api/global-parameters", get(parameters::global_parameters))
        .route(
            "/api/global-parameters/{name}",
            get(parameters::global_parameter)
                .put(parameters::put_global_parameter)
                .delete(parameters::delete_global_parameter),
        )
}
