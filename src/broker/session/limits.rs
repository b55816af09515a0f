//! What limits of virtual hosts and users keep a connection from.

use crate::auth::User;
use crate::broker::LimitKind;
use crate::broker::Session;
use crate::broker::limits::MAX_CHANNELS;
use crate::broker::limits::MAX_CONNECTIONS;
use crate::model::AmqpError;
use crate::vhost::Vhost;

impl Session {
    pub(super) fn check_connection_limits(
        &self,
        user: &User,
        vhost: &Vhost,
    ) -> Result<(), AmqpError> {
        let (user, vhost) = (user.name(), vhost.name());
        let connections = &self.broker.connections;
        let limits = self.broker.limits(LimitKind::Vhost);
        if let Some(max) = limits.max(vhost, MAX_CONNECTIONS)
            && connections.count(|open| open.vhost == *vhost) >= max
        {
            return Err(AmqpError::not_allowed(format!(
                "access to vhost '{vhost}' refused for user '{user}': connection limit ({max}) is reached"
            )));
        }
        let limits = self.broker.limits(LimitKind::User);
        if let Some(max) = limits.max(user, MAX_CONNECTIONS)
            && connections.count(|open| open.user == *user) >= max
        {
            return Err(AmqpError::not_allowed(format!(
                "connection refused for user '{user}': user connection limit ({max}) is reached"
            )));
        }
        Ok(())
    }

    pub(super) fn check_channel_limits(&self) -> Result<(), AmqpError> {
        let user = self.user_name();
        let limits = self.broker.limits(LimitKind::User);
        let Some(max) = limits.max(user, MAX_CHANNELS) else {
            return Ok(());
        };
        let all = self.broker.connections.list();
        let of_user = all.iter().filter(|open| *open.user == *user);
        let count: usize = of_user.map(|open| open.channel_count()).sum();
        if (count as u64) < max {
            return Ok(());
        }
        Err(AmqpError::not_allowed(format!(
            "number of channels opened for user '{user}' has reached the maximum allowed user limit of {max}"
        )))
    }
}
