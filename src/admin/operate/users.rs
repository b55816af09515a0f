//! Users and what they may do.

use serde_json::Value;
use serde_json::json;

use crate::admin::operate::DATA;
use crate::admin::operate::Done;
use crate::admin::operate::Failed;
use crate::admin::operate::Operation;
use crate::admin::operate::Operator;
use crate::admin::operate::SOFTWARE;
use crate::auth::Credentials;
use crate::auth::HashingAlgorithm;
use crate::auth::PasswordHash;
use crate::auth::PermissionRecord;
use crate::auth::TopicPermissionRecord;
use crate::broker::Administered;
use crate::model::Lsn;
use crate::model::UserName;

const BLANK_PASSWORD: &str = "attempted to log in with a blank password, which is prohibited by the internal authN backend. \
    To use TLS/x509 certificate-based authentication, see the rabbitmq_auth_mechanism_ssl plugin and configure the client to use the \
    EXTERNAL authentication mechanism. Alternatively change the password for the user to be non-blank.";

impl Operator<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what comes here was picked by `run`, arm by arm"
    )]
    pub(super) fn users(&self, operation: Operation) -> Done {
        let access = self.broker.access();
        match operation {
            Operation::AddUser {
                name,
                password,
                hashed,
            } => self.add_user(&name, &password, hashed),
            Operation::ChangePassword { name, password } => {
                let hash = match password {
                    Some(password) => PasswordHash::new(&password),
                    None => PasswordHash::none(),
                };
                let lsn = access.set_password(&name, hash)?;
                self.tell(&Administered::PasswordChanged(&name));
                self.stored(lsn)
            }
            Operation::AuthenticateUser { name, password } => {
                let credentials = Credentials::new(&name, &password);
                access
                    .snapshot()
                    .authenticate(&credentials)
                    .map(|_| Value::Null)
                    .map_err(|_| {
                        let why = match password.is_empty() {
                            true => BLANK_PASSWORD,
                            false => "- invalid credentials",
                        };
                        let text = format!(
                            "Error: failed to authenticate user \"{name}\"\nuser '{name}' {why}"
                        );
                        Failed::new(DATA, text)
                    })
            }
            Operation::DeleteUser { name } => {
                let lsn = self.broker.delete_user(&name)?;
                self.tell(&Administered::UserDeleted(&name));
                self.stored(lsn)
            }
            Operation::SetUserTags { name, tags } => {
                let lsn = access.set_tags(&name, tags.clone())?;
                self.tell(&Administered::TagsSet(&name, &tags));
                self.stored(lsn)
            }
            Operation::SetPermissions {
                vhost,
                user,
                configure,
                write,
                read,
            } => {
                let record = |vhost: &str| PermissionRecord {
                    user: user.clone(),
                    vhost: vhost.to_owned(),
                    configure: configure.clone(),
                    write: write.clone(),
                    read: read.clone(),
                };
                self.set_permissions(vhost.as_deref(), &user, record)
            }
            Operation::ClearPermissions { vhost, user } => {
                self.vhost(&vhost)?;
                self.check_user(&user)?;
                let lsn = access.clear_permission(&user, &vhost)?;
                self.tell(&Administered::PermissionDeleted(&vhost, &user));
                self.stored(lsn)
            }
            Operation::SetTopicPermissions {
                vhost,
                user,
                exchange,
                write,
                read,
            } => {
                self.vhost(&vhost)?;
                let record = TopicPermissionRecord {
                    user,
                    vhost,
                    exchange,
                    write,
                    read,
                };
                let lsn = access.set_topic_permission(record.clone())?;
                self.tell(&Administered::TopicPermissionSet(&record));
                self.stored(lsn)
            }
            Operation::ClearTopicPermissions {
                vhost,
                user,
                exchange,
            } => {
                self.vhost(&vhost)?;
                self.check_user(&user)?;
                let lsn = access.clear_topic_permissions(&user, &vhost, exchange.as_deref());
                self.tell(&Administered::TopicPermissionDeleted(&vhost, &user));
                self.stored(lsn)
            }
            other => self.list_users(&other),
        }
    }

    fn add_user(&self, name: &str, password: &str, hashed: bool) -> Done {
        let access = self.broker.access();
        if access.snapshot().user(name).is_some() {
            let text = format!("User \"{name}\" already exists");
            return Err(Failed::new(SOFTWARE, text));
        }
        let user = UserName::new(name).map_err(|error| Failed::new(DATA, error.to_string()))?;
        let password = if hashed {
            PasswordHash::decode(name, HashingAlgorithm::default().name(), password)?
        } else {
            PasswordHash::new(password)
        };
        let lsn = access.put_user(&user, password, Vec::new());
        self.tell(&Administered::UserCreated(name));
        self.stored(lsn)
    }

    fn set_permissions(
        &self,
        vhost: Option<&str>,
        user: &str,
        record: impl Fn(&str) -> PermissionRecord,
    ) -> Done {
        self.check_user(user)?;
        let vhosts = match vhost {
            Some(name) => vec![self.vhost(name)?],
            None => self.broker.vhosts(),
        };
        let mut lsn = Lsn::NONE;
        for vhost in vhosts {
            let record = record(vhost.name());
            lsn = lsn.max(self.broker.access().set_permission(&record)?);
            self.tell(&Administered::PermissionSet(&record));
        }
        self.stored(lsn)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what comes here was picked by `run`, arm by arm"
    )]
    fn list_users(&self, operation: &Operation) -> Done {
        let directory = self.broker.access().snapshot();
        let permission = |record: PermissionRecord| {
            json!({
                "user": record.user, "vhost": record.vhost, "configure": record.configure,
                "write": record.write, "read": record.read,
            })
        };
        let topic = |record: &TopicPermissionRecord| {
            json!({
                "user": record.user, "vhost": record.vhost, "exchange": record.exchange,
                "write": record.write, "read": record.read,
            })
        };
        let mut rows: Vec<Value> = match operation {
            Operation::ListPermissions { vhost } => {
                self.vhost(vhost)?;
                let all = directory.permissions();
                all.filter(|record| record.vhost == *vhost)
                    .map(permission)
                    .collect()
            }
            Operation::ListUserPermissions { user } => {
                self.check_user(user)?;
                let all = directory.permissions_of(user).into_iter();
                all.map(permission).collect()
            }
            Operation::ListTopicPermissions { vhost } => {
                self.vhost(vhost)?;
                let all = directory.topic_permissions();
                all.filter(|record| record.vhost == *vhost)
                    .map(topic)
                    .collect()
            }
            Operation::ListUserTopicPermissions { user } => {
                self.check_user(user)?;
                let all = directory.topic_permissions();
                all.filter(|record| record.user == *user)
                    .map(topic)
                    .collect()
            }
            _ => {
                let users = directory.users();
                users
                    .map(|user| json!({"user": user.name().as_str(), "tags": user.tags()}))
                    .collect()
            }
        };
        rows.sort_by_cached_key(|row| {
            ["user", "vhost", "exchange"].map(|key| row[key].as_str().map(str::to_owned))
        });
        Ok(rows.into())
    }
}
