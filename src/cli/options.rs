//! From settings to the options of each part.

use std::time::Duration;

use crate::auth::Credentials;
use crate::auth::Mechanism;
use crate::broker::AlarmOptions;
use crate::broker::BrokerOptions;
use crate::broker::Watermark;
use crate::connection::ConnectionOptions;
use crate::management::ManagementOptions;
use crate::settings::NO_ANONYMOUS_LOGIN;
use crate::settings::Settings;
use crate::store::StoreOptions;
use crate::vhost::QueueDefaults;

pub(super) fn broker_options(settings: &Settings) -> BrokerOptions {
    BrokerOptions {
        data_dir: settings.data_dir.clone(),
        store: StoreOptions {
            pending_bytes_max: settings.store.pending_bytes_max,
            cache_bytes: settings.store.cache_bytes,
            ring_segment_bytes: settings.store.ring_segment_bytes,
            ring_segments: settings.store.ring_segments,
        },
        product: settings.product.clone(),
        version: settings.version.clone(),
        cluster_name: settings.cluster_name.clone(),
        auth_mechanisms: auth_mechanisms(settings),
        anonymous: Credentials::new(
            &settings.anonymous_login_user,
            settings.anonymous_login_pass.reveal(),
        ),
        default_user: settings.default_user.clone(),
        default_pass: settings.default_pass.reveal().to_owned(),
        default_vhost: settings.default_vhost.clone(),
        seeded: settings.definitions_files().is_empty(),
        loopback_users: settings.loopback_users.clone(),
        connection_max: (settings.connection_max > 0).then(|| settings.connection_max.into()),
        log_exchange: settings.log.exchange,
        queue_memory_bytes: settings.queue_memory_bytes,
        outbox_bytes_max: settings.outbox_bytes_max,
        queue_defaults: queue_defaults(settings),
        release: settings.compatibility.profile.release(),
        permitted: settings.deprecated_features.permitted(),
        alarms: alarm_options(settings),
    }
}

fn alarm_options(settings: &Settings) -> AlarmOptions {
    let memory = settings.vm_memory_high_watermark;
    let disk = settings.disk_free_limit;
    AlarmOptions {
        memory: memory.absolute.map_or(
            Watermark::Relative(memory.relative.get()),
            Watermark::Absolute,
        ),
        disk: match (disk.absolute, disk.relative) {
            (Some(octets), _) => Watermark::Absolute(octets),
            (None, Some(part)) => Watermark::Relative(part.get()),
            (None, None) => Watermark::Absolute(0),
        },
        memory_total: settings.total_memory_available_override_value,
        ..AlarmOptions::default()
    }
}

pub(super) fn management_options(settings: &Settings) -> ManagementOptions {
    let management = &settings.management;
    ManagementOptions {
        path_prefix: management.prefix(),
        cors_allow_origins: management.cors_allow_origins.clone(),
        cors_max_age: management.cors_max_age,
        body_bytes_max: management.http_max_body_size,
        disable_stats: management.disable_stats,
        enable_queue_totals: management.enable_queue_totals,
        login_session_timeout: management.login_session_timeout,
        max_message_bytes: settings.max_message_size,
        global_qos: settings.deprecated_features.global_qos,
    }
}

/// Those that work: there is no ANONYMOUS without a user for it.
fn auth_mechanisms(settings: &Settings) -> Vec<String> {
    let has_anonymous = settings.anonymous_login_user != NO_ANONYMOUS_LOGIN;
    let mut mechanisms = settings.auth_mechanisms.clone();
    mechanisms.retain(|name| has_anonymous || name != Mechanism::Anonymous.name());
    mechanisms
}

fn queue_defaults(settings: &Settings) -> QueueDefaults {
    let unless_zero = |duration: Duration| {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        (millis > 0).then_some(millis)
    };
    QueueDefaults {
        delivery_limit: (settings.quorum_delivery_limit > 0)
            .then(|| settings.quorum_delivery_limit.into()),
        quorum_consumer_timeout: unless_zero(settings.consumer_timeout),
        classic_consumer_timeout: unless_zero(settings.classic_consumer_timeout),
    }
}

pub(super) fn connection_options(settings: &Settings) -> ConnectionOptions {
    ConnectionOptions {
        frame_max: settings.frame_max,
        initial_frame_max: settings.initial_frame_max,
        channel_max: settings.channel_max,
        heartbeat: settings.heartbeat,
        handshake_timeout: settings.handshake_timeout,
        max_message_bytes: settings.max_message_size,
        consumer_max_per_channel: (settings.consumer_max_per_channel > 0)
            .then_some(settings.consumer_max_per_channel),
        channel_tick_interval: settings.channel_tick_interval,
        global_qos: settings.deprecated_features.global_qos,
        ..ConnectionOptions::default()
    }
}
