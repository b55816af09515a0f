//! Users, their passwords and their tags.

use std::io::BufRead;

use clap::Args;

use crate::admin::Operation;
use crate::auth::PasswordHash;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::tool::Tool;

const PROMPT: &str = "Password: ";

/// A password from standard input, where none was given; asked for as RabbitMQ does it, which ends with one of two codes when
/// there is none.
fn password(
    tool: &Tool,
    given: Option<String>,
    prompt: &str,
    missing: u8,
) -> Result<String, Failure> {
    if let Some(password) = given {
        return Ok(password);
    }
    tool.banner(prompt);
    tool.flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    match read {
        Ok(octets) if octets > 0 && !password.is_empty() => Ok(password),
        _ => Err(Failure::new(
            missing,
            "Password is not provided via argument or stdin",
        )),
    }
}

/// Create a user; without a password it is read from standard input.
#[derive(Args)]
pub(super) struct AddUser {
    /// Name
    username: String,
    /// Password
    #[arg(allow_hyphen_values = true)]
    password: Option<String>,
    /// The password is the base64 of a salted SHA-256 hash
    #[arg(long = "pre-hashed-password")]
    pre_hashed_password: bool,
}

impl Run for AddUser {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.username;
        if name.is_empty() {
            return Err(bad_argument("user cannot be an empty string"));
        }
        tool.banner(&format!("Adding user \"{name}\" ..."));
        let prompt = match self.pre_hashed_password {
            true => "Hashed and salted password: ",
            false => PROMPT,
        };
        let password = password(tool, self.password, prompt, DATA)?;
        tool.call(Operation::AddUser {
            name,
            password,
            hashed: self.pre_hashed_password,
        })?;
        tool.banner(
            "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help \
             set_permissions' to learn more.",
        );
        if tool.is_for_machines() {
            tool.done("");
        }
        Ok(())
    }
}

/// Change a user's password; without one it is read from standard input.
#[derive(Args)]
pub(super) struct ChangePassword {
    /// Name
    username: String,
    /// Password
    #[arg(allow_hyphen_values = true)]
    password: Option<String>,
}

impl Run for ChangePassword {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.username;
        tool.banner(&format!("Changing password for user \"{name}\" ..."));
        let password = Some(password(tool, self.password, PROMPT, SOFTWARE)?);
        tool.answer(Operation::ChangePassword { name, password }, "")
    }
}

/// Take a user's password away: nobody can log in with one.
#[derive(Args)]
pub(super) struct ClearPassword {
    /// Name
    username: String,
}

impl Run for ClearPassword {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.username;
        let banner = format!("Clearing password for user \"{name}\" ...");
        let password = None;
        tool.act(&banner, Operation::ChangePassword { name, password })
    }
}

/// Try whether a user can log in with a password.
#[derive(Args)]
pub(super) struct AuthenticateUser {
    /// Name
    username: String,
    /// Password
    #[arg(allow_hyphen_values = true)]
    password: Option<String>,
}

impl Run for AuthenticateUser {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.username;
        tool.banner(&format!("Authenticating user \"{name}\" ..."));
        let password = password(tool, self.password, PROMPT, SOFTWARE)?;
        tool.answer(Operation::AuthenticateUser { name, password }, "Success")
    }
}

/// Delete a user and close its connections.
#[derive(Args)]
pub(super) struct DeleteUser {
    /// Name
    username: String,
}

impl Run for DeleteUser {
    fn run(self, tool: &Tool) -> Outcome {
        let name = self.username;
        let banner = format!("Deleting user \"{name}\" ...");
        tool.act(&banner, Operation::DeleteUser { name })
    }
}

/// Replace a user's tags, such as administrator, monitoring, policymaker, management; none clears them.
#[derive(Args)]
pub(super) struct SetUserTags {
    /// Name
    username: String,
    /// Tags
    tags: Vec<String>,
}

impl Run for SetUserTags {
    fn run(self, tool: &Tool) -> Outcome {
        let (name, tags) = (self.username, self.tags);
        let shown = tags.join(", ");
        let banner = format!("Setting tags for user \"{name}\" to [{shown}] ...");
        tool.act(&banner, Operation::SetUserTags { name, tags })
    }
}

/// List users with their tags.
#[derive(Args)]
pub(super) struct ListUsers;

impl Run for ListUsers {
    fn run(self, tool: &Tool) -> Outcome {
        tool.table("Listing users ...", Operation::ListUsers, &["user", "tags"])
    }
}

/// The base64 of a salted SHA-256 hash, as add_user --pre-hashed-password takes it.
#[derive(Args)]
pub(super) struct HashPassword {
    /// Password; without one it is read from standard input
    #[arg(allow_hyphen_values = true)]
    password: Option<String>,
}

impl Run for HashPassword {
    fn run(self, tool: &Tool) -> Outcome {
        tool.banner(match &self.password {
            Some(_) => "Will hash the given password",
            None => "Will hash provided password",
        });
        let password = password(tool, self.password, PROMPT, SOFTWARE)?;
        tool.done(&PasswordHash::new(&password).encode());
        Ok(())
    }
}

/// List logins that were tried, by protocol.
#[derive(Args)]
#[command(alias = "list_node_auth_attempts")]
pub(super) struct ListNodeAuthAttemptStats;

impl Run for ListNodeAuthAttemptStats {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let banner = format!("Listing authentication\n attempts for node \"{node}\" ...");
        tool.table(
            &banner,
            Operation::ListAuthAttempts,
            &[
                "protocol",
                "auth_attempts",
                "auth_attempts_failed",
                "auth_attempts_succeeded",
            ],
        )
    }
}

/// Forget the logins that were tried.
#[derive(Args)]
pub(super) struct ResetNodeAuthAttemptMetrics;

impl Run for ResetNodeAuthAttemptMetrics {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Reset auth attempt metrics on node {} ...", tool.node());
        tool.act(&banner, Operation::ForgetAuthAttempts)
    }
}
