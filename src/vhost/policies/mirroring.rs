//! The `ha-*` keys of policies, which depend on each other (RabbitMQ's `rabbit_mirror_queue_misc`).

use serde_json::Value;

use crate::vhost::policies::Definition;
use crate::vhost::policies::term::term;

/// Why those that are `known` cannot be taken together; the first thing that is wrong.
pub(super) fn judge(definition: &Definition, known: impl Fn(&str) -> bool) -> Result<(), String> {
    let value = |name| definition.get(name).filter(|_| known(name));
    let word =
        |value: &Value, allowed: &[&str]| value.as_str().is_some_and(|v| allowed.contains(&v));
    let Some(mode) = value("ha-mode") else {
        let mut names = definition.keys();
        let others = names.any(|name| name.starts_with("ha-") && known(name));
        return if others {
            Err(
                "ha-mode must be specified to specify ha-params, ha-sync-mode or \
                 ha-promote-on-shutdown"
                    .to_owned(),
            )
        } else {
            Ok(())
        };
    };
    params(mode, value("ha-params"))?;
    if let Some(sync) = value("ha-sync-mode")
        && !word(sync, &["automatic", "manual"])
    {
        return Err(format!(
            "ha-sync-mode must be \"manual\" or \"automatic\", got {}",
            term(sync)
        ));
    }
    if let Some(size) = value("ha-sync-batch-size")
        && size.as_u64().is_none_or(|size| size == 0)
    {
        return Err(format!(
            "ha-sync-batch-size takes an integer greater than 0, {} given",
            term(size)
        ));
    }
    for name in ["ha-promote-on-shutdown", "ha-promote-on-failure"] {
        if let Some(promote) = value(name)
            && !word(promote, &["always", "when-synced"])
        {
            return Err(format!(
                "{name} must be \"always\" or \"when-synced\", got {}",
                term(promote)
            ));
        }
    }
    Ok(())
}

fn params(mode: &Value, params: Option<&Value>) -> Result<(), String> {
    match (mode.as_str(), params) {
        (Some("all"), None) => Ok(()),
        (Some("all"), Some(_)) => Err("ha-mode=\"all\" does not take parameters".to_owned()),
        (Some("exactly"), Some(count)) if count.as_u64().is_some_and(|count| count > 0) => Ok(()),
        (Some("exactly"), other) => Err(format!(
            "ha-mode=\"exactly\" takes an integer, {} given",
            other.map_or_else(|| "none".to_owned(), term)
        )),
        (Some("nodes"), Some(Value::Array(nodes))) => {
            let wrong: Vec<Value> = nodes
                .iter()
                .filter(|node| !node.is_string())
                .cloned()
                .collect();
            if nodes.is_empty() {
                Err("ha-mode=\"nodes\" list must be non-empty".to_owned())
            } else if wrong.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "ha-mode=\"nodes\" takes a list of strings, {} was not a string",
                    term(&Value::Array(wrong))
                ))
            }
        }
        (Some("nodes"), other) => Err(format!(
            "ha-mode=\"nodes\" takes a list, {} given",
            other.map_or_else(|| "none".to_owned(), term)
        )),
        (_, _) => Err(format!("{} is not a valid ha-mode value", term(mode))),
    }
}
