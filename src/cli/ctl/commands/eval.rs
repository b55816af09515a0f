//! `eval`: the few expressions of Erlang that deployment scripts ask.

use clap::Args;
use fancy_regex::Regex;

use crate::admin::Operation;
use crate::admin::Resource;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output::items;
use crate::cli::ctl::output::plain;
use crate::cli::ctl::terms::atom;
use crate::cli::ctl::tool::Tool;

/// How Puppet finds out whether a password is the one it was told: two texts, each a binary or a list made into one.
const LOGIN: &str = concat!(
    r#"^rabbit_access_control:check_user_pass_login\("#,
    r#"(?:list_to_binary\("((?:[^"\\]|\\.)*)"\)|<<"((?:[^"\\]|\\.)*)">>),\s*"#,
    r#"(?:list_to_binary\("((?:[^"\\]|\\.)*)"\)|<<"((?:[^"\\]|\\.)*)">>)\)$"#,
);

/// Answer one of the few expressions that scripts ask: eval 'node().'.
#[derive(Args)]
pub(super) struct Eval {
    /// rabbit_nodes:reached_target_cluster_size(), rabbit_nodes:cluster_name(), rabbit_misc:version(), node(),
    /// rabbit_access_control:check_user_pass_login(list_to_binary("user"), list_to_binary("password")),
    /// rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}), rabbit_alarm:clear_alarm({resource_limit, memory, node()})
    expression: String,
}

impl Run for Eval {
    fn run(self, tool: &Tool) -> Outcome {
        let expression = self.expression.trim().trim_end_matches('.').trim_end();
        if let Some((name, password)) = login(expression) {
            return check_login(tool, name, password);
        }
        let asked: String = expression.split_whitespace().collect();
        if let Some(hold) = alarm(&asked) {
            tool.call(hold)?;
            tool.print("ok\n");
            return Ok(());
        }
        let state = tool.call(Operation::Status)?;
        let answer = match &*asked {
            "rabbit_nodes:reached_target_cluster_size()" => "true".to_owned(),
            "rabbit_nodes:cluster_name()" => format!("<<\"{}\">>", plain(&state["cluster_name"])),
            "rabbit_misc:version()" => format!("\"{}\"", plain(&state["rabbitmq_version"])),
            "node()" => atom(&plain(&state["node"])),
            _ => {
                let text = "there is no Erlang runtime in Leveret; `eval` knows node(), rabbit_nodes:cluster_name(), \
                            rabbit_nodes:reached_target_cluster_size(), rabbit_misc:version(), \
                            rabbit_access_control:check_user_pass_login, rabbit_alarm:set_alarm and \
                            rabbit_alarm:clear_alarm";
                return Err(Failure::new(UNAVAILABLE, text));
            }
        };
        tool.print(&format!("{answer}\n"));
        Ok(())
    }
}

/// How the tests of clients try out blocked connections. `asked` is without white space.
fn alarm(asked: &str) -> Option<Operation> {
    let set = asked.strip_prefix("rabbit_alarm:set_alarm({{resource_limit,");
    let set = set.and_then(|rest| rest.strip_suffix(",node()},[]})"));
    let cleared = asked.strip_prefix("rabbit_alarm:clear_alarm({resource_limit,");
    let cleared = cleared.and_then(|rest| rest.strip_suffix(",node()})"));
    let resource = match set.or(cleared)? {
        "memory" => Resource::Memory,
        "disk" => Resource::Disk,
        _ => return None,
    };
    let up = set.is_some();
    Some(Operation::HoldAlarm { resource, up })
}

/// The user and the password of a login that is asked for.
fn login(expression: &str) -> Option<(String, String)> {
    let found = Regex::new(LOGIN).ok()?.captures(expression).ok()??;
    let text = |first: usize| {
        let written = found.get(first).or_else(|| found.get(first + 1))?.as_str();
        Some(written.replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    Some((text(1)?, text(3)?))
}

fn check_login(tool: &Tool, name: String, password: String) -> Outcome {
    let shown = format!("<<\"{name}\">>");
    let user = name.clone();
    let answer = match tool.call(Operation::AuthenticateUser { name, password }) {
        Ok(_) => {
            let users = tool.call(Operation::ListUsers)?;
            let user = items(&users).iter().find(|row| row["user"] == *user);
            let tags = user.map_or(&[][..], |user| items(&user["tags"])).iter();
            let tags: Vec<String> = tags.map(|tag| atom(&plain(tag))).collect();
            let tags = tags.join(",");
            format!("{{ok,{{user,{shown},[{tags}],[{{rabbit_auth_backend_internal,none}}]}}}}")
        }
        Err(failure) if failure.exit == DATA => {
            format!("{{refused,{shown},\"user '~ts' - invalid credentials\",[{shown}]}}")
        }
        Err(failure) => return Err(failure),
    };
    tool.print(&format!("{answer}\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_in_the_words_of_puppet() {
        let found = |text: &str| login(text).map(|(name, password)| format!("{name} {password}"));
        let puppet = r#"rabbit_access_control:check_user_pass_login(list_to_binary("u"), list_to_binary("p\"q"))"#;
        assert_eq!(found(puppet).as_deref(), Some("u p\"q"));
        let binaries = r#"rabbit_access_control:check_user_pass_login(<<"u">>,<<"p">>)"#;
        assert_eq!(found(binaries).as_deref(), Some("u p"));
        assert_eq!(
            found("rabbit_access_control:check_user_pass_login(a, b)"),
            None
        );
    }
}
