//! What can be asked at the local door, and the answers.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::admin::operate;
use crate::admin::operate::NodeFacts;
use crate::admin::operate::Operation;
use crate::broker::Broker;

/// A request as it stands on its line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Make a backup. Answers the number of messages and the size of its file.
    Backup {
        /// The directory for it, absolute; empty or missing.
        target: PathBuf,
    },
    /// What RabbitMQ's command line does.
    Operate(Operation),
}

/// How many octets follow a line.
pub(super) fn body_bytes(line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Announced {
        #[serde(default)]
        body_bytes: u64,
    }
    let announced = serde_json::from_slice::<Announced>(line);
    announced.map_or(0, |announced| announced.body_bytes)
}

/// The answer to a body that is too long.
pub(super) fn too_long(most: u64) -> String {
    let text = format!("no more than {most} octets can be taken at once: see import_bytes_max");
    format!("{}\n", json!({ "error": text, "exit": operate::DATA }))
}

/// Does what a line and its body ask; the answer's line. May take long, and ends soon after `go_on` answers `false`.
pub(super) fn answer(
    node: &NodeFacts,
    line: &[u8],
    body: &[u8],
    go_on: &dyn Fn() -> bool,
) -> String {
    let answer = match serde_json::from_slice(line) {
        Ok(Request::Operate(operation)) => {
            return match operate::run(node, operation, body) {
                Ok(value) => json!({ "ok": value }).to_string(),
                Err(failed) => json!({ "error": failed.text, "exit": failed.exit }).to_string(),
            };
        }
        Ok(request) => match node.application.running() {
            Some(running) => run(&running.broker, request, go_on),
            None => {
                Err("the application is stopped: start it with rabbitmqctl start_app".to_owned())
            }
        },
        Err(error) => Err(format!("not understood: {error}")),
    };
    match answer {
        Ok(value) => json!({ "ok": value }).to_string(),
        Err(error) => json!({ "error": error }).to_string(),
    }
}

fn run(broker: &Broker, request: Request, go_on: &dyn Fn() -> bool) -> Result<Value, String> {
    match request {
        // Answered above, for it has exit codes of its own.
        Request::Operate(_) => Err("not understood".to_owned()),
        Request::Backup { target } => {
            if !target.is_absolute() {
                return Err(format!("{} is not an absolute path", target.display()));
            }
            let made = broker.store().backup(&target, go_on);
            let made = made.inspect_err(|error| {
                tracing::warn!(target_dir = %target.display(), %error, "no backup was made; the directory must be empty or missing, and writable for the node");
            });
            let summary = made.map_err(|error| error.to_string())?;
            tracing::info!(
                target_dir = %target.display(),
                messages = summary.messages,
                file_bytes = summary.file_bytes,
                "a backup was made"
            );
            Ok(json!({ "messages": summary.messages, "file_bytes": summary.file_bytes }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_of_json() {
        let request = Request::Backup {
            target: "/b".into(),
        };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(line, r#"{"command":"backup","target":"/b"}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        assert!(serde_json::from_str::<Request>(r#"{"command":"other"}"#).is_err());
    }
}
