//! `leveret store dump`: messages as they are stored, one block in memory at a time.

use std::io::BufWriter;
use std::io::Write;
use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::DumpArgs;
use super::Failure;
use super::time::utc;
use crate::broker;
use crate::definitions::arguments_json;
use crate::model::Arguments;
use crate::model::MessageRef;
use crate::model::QueueId;
use crate::protocol::properties::Fields;
use crate::protocol::table;
use crate::store::StoredRun;
use crate::store::offline::Offline;
use crate::store::offline::Piece;
use crate::vhost::inventory::Owner;
use crate::vhost::inventory::Owners;

/// Shows messages; whether all could be read.
pub(super) fn dump(args: &DumpArgs) -> Result<bool, Failure> {
    let store = Offline::open(&args.dir)?;
    let (owners, _) = broker::inventory(store.definitions());
    let queues = chosen(args, &store, &owners)?;
    let mut dump = Dump {
        args,
        out: BufWriter::new(std::io::stdout().lock()),
        left: args.limit.unwrap_or(u64::MAX),
        damaged: false,
    };
    for (id, owner) in queues {
        if dump.left == 0 {
            break;
        }
        let mut failure = None;
        let mut begun = false;
        store.visit(id, |piece| {
            let shown = if begun {
                Ok(())
            } else {
                dump.heading(id, owner)
            };
            begun = true;
            match shown.and_then(|()| dump.piece(id, owner, &piece)) {
                Ok(()) if dump.left > 0 => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
    }
    dump.out.flush()?;
    Ok(!dump.damaged)
}

/// The queues that are asked for, by virtual host and name; what nobody owns comes first.
fn chosen<'a>(
    args: &DumpArgs,
    store: &Offline,
    owners: &'a Owners,
) -> Result<Vec<(QueueId, Option<&'a Owner>)>, Failure> {
    let is_wanted = |wanted: &Option<String>, is: Option<&String>| {
        wanted.as_ref().is_none_or(|wanted| Some(wanted) == is)
    };
    let fits = |owner: Option<&Owner>| {
        is_wanted(&args.queue, owner.map(|owner| &owner.name))
            && is_wanted(&args.vhost, owner.map(|owner| &owner.vhost))
    };
    let asked = args.queue.is_some() || args.vhost.is_some();
    if asked && !owners.values().any(|owner| fits(Some(owner))) {
        return Err(Failure::NotFound(format!(
            "no queue{}{} is stored in {}",
            named(" ", args.queue.as_ref()),
            named(" in vhost ", args.vhost.as_ref()),
            args.dir.display()
        )));
    }
    let mut chosen: Vec<_> = store
        .queues()
        .iter()
        .filter(|queue| queue.messages > 0)
        .map(|queue| (queue.queue, owners.get(&queue.queue)))
        .filter(|(_, owner)| fits(*owner))
        .collect();
    chosen.sort_by_key(|(_, owner)| owner.map(|owner| (&owner.vhost, &owner.name)));
    Ok(chosen)
}

fn named(before: &str, name: Option<&String>) -> String {
    name.map(|name| format!("{before}'{name}'"))
        .unwrap_or_default()
}

struct Dump<'a, W> {
    args: &'a DumpArgs,
    out: W,
    /// Messages that may still be shown.
    left: u64,
    damaged: bool,
}

impl<W: Write> Dump<'_, W> {
    fn heading(&mut self, id: QueueId, owner: Option<&Owner>) -> Result<(), Failure> {
        if self.args.json {
            return Ok(());
        }
        match owner {
            Some(owner) if owner.delayed => writeln!(
                self.out,
                "delayed messages of exchange '{}' in vhost '{}'",
                owner.name, owner.vhost
            )?,
            Some(owner) => writeln!(
                self.out,
                "queue '{}' in vhost '{}'",
                owner.name, owner.vhost
            )?,
            None => writeln!(self.out, "queue id {} without a definition", id.0)?,
        }
        Ok(())
    }

    fn piece(&mut self, id: QueueId, owner: Option<&Owner>, piece: &Piece) -> Result<(), Failure> {
        match piece {
            Piece::Damaged {
                first,
                messages,
                why,
            } => {
                self.damaged = true;
                // Beside what was asked for, so that what is shown stays what it says it is.
                eprintln!(
                    "leveret: queue id {}, position {}: {messages} messages are damaged and left out: {why}",
                    id.0, first.0
                );
            }
            Piece::Messages(StoredRun {
                first,
                run,
                enqueued_at,
            }) => {
                for (position, message) in (first.0..).zip(run.iter()) {
                    if self.left == 0 {
                        break;
                    }
                    self.left -= 1;
                    if self.args.json {
                        let line = self.json(id, owner, position, *enqueued_at, message);
                        writeln!(self.out, "{line}")?;
                    } else {
                        self.text(position, *enqueued_at, message)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn text(
        &mut self,
        position: u64,
        enqueued_at: Option<u64>,
        message: MessageRef<'_>,
    ) -> Result<(), Failure> {
        let at = enqueued_at.map_or_else(|| "time not known".to_owned(), utc);
        writeln!(
            self.out,
            "  position {position}, {at}, exchange {:?}, routing key {:?}, {} bytes",
            message.exchange(),
            message.routing_key(),
            message.body().len()
        )?;
        writeln!(self.out, "    properties {}", properties(message))?;
        if self.args.bodies {
            match std::str::from_utf8(message.body()) {
                Ok(text) => writeln!(self.out, "    body {}", json!(text))?,
                Err(_) => {
                    writeln!(
                        self.out,
                        "    body base64 {}",
                        STANDARD.encode(message.body())
                    )?;
                }
            }
        }
        Ok(())
    }

    fn json(
        &self,
        id: QueueId,
        owner: Option<&Owner>,
        position: u64,
        enqueued_at: Option<u64>,
        message: MessageRef<'_>,
    ) -> Value {
        let mut value = json!({
            "vhost": owner.map(|owner| &owner.vhost),
            "queue": owner.filter(|owner| !owner.delayed).map(|owner| &owner.name),
            "delayed_of": owner.filter(|owner| owner.delayed).map(|owner| &owner.name),
            "id": id.0,
            "position": position,
            "enqueued_at": enqueued_at.map(utc),
            "exchange": message.exchange(),
            "routing_key": message.routing_key(),
            "properties": properties(message),
            "body_bytes": message.body().len(),
        });
        if self.args.bodies {
            match std::str::from_utf8(message.body()) {
                Ok(text) => value["body"] = json!(text),
                Err(_) => value["body_base64"] = json!(STANDARD.encode(message.body())),
            }
        }
        value
    }
}

/// Under the names they have in RabbitMQ's tables.
fn properties(message: MessageRef<'_>) -> Value {
    let fields = Fields(message.header());
    let headers = fields.headers_bytes().map(|bytes| {
        table::decode_headers(bytes).map_or_else(
            |error| json!(format!("malformed: {error}")),
            |table| arguments_json(&Arguments::from(table)),
        )
    });
    let named = [
        ("content_type", fields.content_type().map(Value::from)),
        (
            "content_encoding",
            fields.content_encoding().map(Value::from),
        ),
        ("headers", headers),
        ("delivery_mode", fields.delivery_mode().map(Value::from)),
        ("priority", fields.priority().map(Value::from)),
        ("correlation_id", fields.correlation_id().map(Value::from)),
        ("reply_to", fields.reply_to().map(Value::from)),
        ("expiration", fields.expiration().map(Value::from)),
        ("message_id", fields.message_id().map(Value::from)),
        ("timestamp", fields.timestamp().map(Value::from)),
        ("type", fields.kind().map(Value::from)),
        ("user_id", fields.user_id().map(Value::from)),
        ("app_id", fields.app_id().map(Value::from)),
        ("cluster_id", fields.cluster_id().map(Value::from)),
    ];
    let present: Map<String, Value> = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Value::Object(present)
}
