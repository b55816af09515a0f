//! What each verb asks of the management API, and what it says afterwards.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::rabbitmqadmin::Failure;
use crate::cli::rabbitmqadmin::client::Client;
use crate::cli::rabbitmqadmin::client::quoted;
use crate::cli::rabbitmqadmin::objects;
use crate::cli::rabbitmqadmin::objects::CLOSABLE;
use crate::cli::rabbitmqadmin::objects::DECLARABLE;
use crate::cli::rabbitmqadmin::objects::DELETABLE;
use crate::cli::rabbitmqadmin::objects::GET;
use crate::cli::rabbitmqadmin::objects::HEALTH;
use crate::cli::rabbitmqadmin::objects::LISTINGS;
use crate::cli::rabbitmqadmin::objects::Listing;
use crate::cli::rabbitmqadmin::objects::OVERVIEW;
use crate::cli::rabbitmqadmin::objects::Object;
use crate::cli::rabbitmqadmin::objects::PUBLISH;
use crate::cli::rabbitmqadmin::objects::PURGABLE;
use crate::cli::rabbitmqadmin::objects::SHOWABLE;
use crate::cli::rabbitmqadmin::objects::Usual;
use crate::cli::rabbitmqadmin::options::Options;
use crate::cli::rabbitmqadmin::output;
use crate::cli::rabbitmqadmin::output::Layout;
use crate::cli::rabbitmqadmin::syntax;

/// Columns of a message whose payload went into a file.
const WITHOUT_PAYLOAD: [&str; 5] = [
    "routing_key",
    "exchange",
    "message_count",
    "payload_bytes",
    "redelivered",
];

/// What a command asks for: the path, and the keys with their values.
struct Asked {
    path: String,
    upload: Map<String, Value>,
    idempotently: bool,
}

/// Does it; what is to be printed.
pub(super) fn run(options: &Options, verb: &str, rest: &[String]) -> Result<String, Failure> {
    let client = Client::new(options)?;
    let tool = Tool { options, client };
    match verb {
        "list" => tool.list(rest),
        "show" => tool.show(rest),
        "declare" => tool.declare(rest),
        "delete" => tool.change(rest, DELETABLE, "deleted"),
        "close" => tool.change(rest, CLOSABLE, "closed"),
        "purge" => tool.change(rest, PURGABLE, "purged"),
        "publish" => tool.publish(rest),
        "get" => tool.get(rest),
        "export" => tool.export(rest),
        "import" => tool.import(rest),
        "health_check" => tool.health_check(rest),
        other => Err(Failure::usage(format!("Action {other} not understood"))),
    }
}

struct Tool<'a> {
    options: &'a Options,
    client: Client<'a>,
}

impl Tool<'_> {
    /// A status message.
    fn status(&self, text: &str) -> String {
        match self.options.quiet {
            true => String::new(),
            false => format!("{text}\n"),
        }
    }

    fn layout<'l>(&'l self, columns: &'l [String], json: &'l [&'l str]) -> Layout<'l> {
        Layout {
            format: &self.options.format,
            columns,
            json,
            depth: self.options.depth,
            quiet: self.options.quiet,
        }
    }

    /// The columns asked for, or the usual ones, which are not for JSON and not for who looks deeper.
    fn columns(&self, listing: &Listing, asked: &[String]) -> Vec<String> {
        let usual = self.options.depth == 1 && !self.options.format.contains("json");
        match asked.is_empty() && usual {
            true => listing.columns.iter().map(|it| (*it).to_owned()).collect(),
            false => asked.to_vec(),
        }
    }

    fn query(&self, columns: &[String]) -> String {
        let mut query = Vec::new();
        if !columns.is_empty() {
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            query.push(format!("columns={}", columns.join(",")));
        }
        if let Some(sort) = &self.options.sort {
            query.push(format!("sort={}", quoted(sort)));
        }
        if self.options.sort_reverse {
            query.push("sort_reverse=true".to_owned());
        }
        match query.is_empty() {
            true => String::new(),
            false => format!("?{}", query.join("&")),
        }
    }

    fn list(&self, rest: &[String]) -> Result<String, Failure> {
        let (name, asked) = split(rest, "list")?;
        let listing = LISTINGS.iter().find(|listing| listing.name == name);
        let listing =
            listing.ok_or_else(|| Failure::usage(format!("Don't know how to list {name}")))?;
        let mut path = format!("/{}", name.replace('_', "-"));
        if let Some(vhost) = self.options.vhost.as_ref().filter(|_| listing.by_vhost) {
            path += &format!("/{}", quoted(vhost));
        }
        let columns = self.columns(listing, asked);
        let answer = self.client.get(&(path + &self.query(&columns)))?;
        output::list(&self.layout(&columns, listing.json), &answer)
    }

    fn show(&self, rest: &[String]) -> Result<String, Failure> {
        let (name, asked) = split(rest, "show")?;
        if name == OVERVIEW.name {
            let columns = self.columns(&OVERVIEW, asked);
            let answer = self
                .client
                .get(&format!("/overview{}", self.query(&columns)))?;
            return output::list(&self.layout(&columns, &[]), &format!("[{answer}]"));
        }
        let object = objects::find(SHOWABLE, name)
            .ok_or_else(|| Failure::usage(format!("Don't know how to show {name}")))?;
        let asked = self.asked(object, asked)?;
        let answer = self.client.get(&asked.path)?;
        output::list(&self.layout(&[], &["arguments"]), &format!("[{answer}]"))
    }

    fn declare(&self, rest: &[String]) -> Result<String, Failure> {
        let (object, words) = object(rest, DECLARABLE)?;
        let asked = self.asked(object, words)?;
        let mut upload = asked.upload;
        // A queue's type is an argument of it.
        if let Some(queue_type) = upload.get("queue_type").cloned() {
            upload["arguments"]["x-queue-type"] = queue_type;
        }
        let method = match object.name {
            "binding" => Method::POST,
            _ => Method::PUT,
        };
        let body = Value::Object(upload).to_string();
        self.client.request(method, &asked.path, body)?;
        Ok(self.status(&format!("{} declared", object.name)))
    }

    /// Deletes something, as far as HTTP says.
    fn change(
        &self,
        rest: &[String],
        objects: &'static [Object],
        done: &str,
    ) -> Result<String, Failure> {
        let (object, words) = object(rest, objects)?;
        let asked = self.asked(object, words)?;
        let answer = self
            .client
            .request(Method::DELETE, &asked.path, String::new());
        match answer {
            Err(failure) if !(asked.idempotently && failure.text.starts_with("*** Not found")) => {
                Err(failure)
            }
            _ => Ok(self.status(&format!("{} {done}", object.name))),
        }
    }

    fn publish(&self, words: &[String]) -> Result<String, Failure> {
        let mut asked = self.asked(&PUBLISH, words)?;
        if !asked.upload.contains_key("payload") {
            let mut payload = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut payload);
            read.map_err(|error| Failure::told(error.to_string()))?;
            let payload = STANDARD.encode(payload);
            asked.upload.insert("payload".to_owned(), payload.into());
            asked
                .upload
                .insert("payload_encoding".to_owned(), "base64".into());
        }
        let body = Value::Object(asked.upload).to_string();
        let answer = self.client.request(Method::POST, &asked.path, body)?;
        let routed = serde_json::from_str::<Value>(&answer).is_ok_and(|it| it["routed"] == true);
        Ok(self.status(match routed {
            true => "Message published",
            false => "Message published but NOT routed",
        }))
    }

    fn get(&self, words: &[String]) -> Result<String, Failure> {
        let asked = self.asked(&GET, words)?;
        let file = asked.upload.get("payload_file").and_then(Value::as_str);
        let file = file.map(str::to_owned);
        if file.is_some() && asked.upload["count"] != "1" {
            return Err(Failure::usage(
                "Cannot get multiple messages using payload_file",
            ));
        }
        let body = Value::Object(asked.upload).to_string();
        let answer = self.client.request(Method::POST, &asked.path, body)?;
        let Some(file) = file else {
            return output::list(&self.layout(&[], &[]), &answer);
        };
        write_payload(&file, &answer)?;
        let columns = WITHOUT_PAYLOAD.map(str::to_owned);
        output::list(&self.layout(&columns, &[]), &answer)
    }

    fn definitions_path(&self) -> String {
        match &self.options.vhost {
            Some(vhost) => format!("/definitions/{}", quoted(vhost)),
            None => "/definitions".to_owned(),
        }
    }

    fn export(&self, words: &[String]) -> Result<String, Failure> {
        let file = file(words)?;
        let definitions = self.client.get(&self.definitions_path())?;
        std::fs::write(&file, definitions)
            .map_err(|error| Failure::told(format!("{file}: {error}")))?;
        let host = &self.options.host;
        Ok(self.status(&format!("Exported definitions for {host} to \"{file}\"")))
    }

    fn import(&self, words: &[String]) -> Result<String, Failure> {
        let file = file(words)?;
        let definitions = std::fs::read_to_string(&file)
            .map_err(|error| Failure::told(format!("{file}: {error}")))?;
        self.client
            .request(Method::POST, &self.definitions_path(), definitions)?;
        let host = &self.options.host;
        Ok(self.status(&format!(
            "Uploaded definitions from \"{host}\" to {file}. The import process may take some time. Consult server logs to track progress."
        )))
    }

    fn health_check(&self, rest: &[String]) -> Result<String, Failure> {
        let (object, words) = object(rest, HEALTH)?;
        let asked = self.asked(object, words)?;
        self.client.get(&asked.path)?;
        Ok(self.status("health check passed"))
    }

    /// Path and keys of what the words name.
    fn asked(&self, object: &Object, words: &[String]) -> Result<Asked, Failure> {
        let pairs = syntax::pairs(object, words)?;
        let mut upload = Map::new();
        for (key, usual) in object.optional {
            let value = match usual {
                Usual::Nothing => continue,
                Usual::Text(text) => json!(text),
                Usual::Number(number) => json!(number),
                Usual::Table => json!({}),
            };
            upload.insert((*key).to_owned(), value);
        }
        let vhost = self.options.vhost_or_default();
        if pairs.by_options {
            // Where the older tool wants to be told, the newer one has something usual.
            for (key, usual) in [
                ("vhost", vhost),
                ("tags", ""),
                ("destination_type", "queue"),
            ] {
                if object.mandatory.contains(&key) {
                    upload.insert(key.to_owned(), usual.into());
                }
            }
        }
        for (key, text) in pairs.given {
            let value = match object.json.contains(&key.as_str()) {
                true => serde_json::from_str(&text).map_err(|_| Failure {
                    exit: super::FAILED,
                    text: format!("ERROR: Could not parse JSON:\n  {text}"),
                })?,
                false => Value::String(text),
            };
            upload.insert(key, value);
        }
        for key in object.mandatory {
            if key.split('|').any(|key| upload.contains_key(key)) {
                continue;
            }
            let text = match key.contains('|') {
                true => {
                    let keys: Vec<String> = key.split('|').map(|key| format!("'{key}'")).collect();
                    format!(
                        "one of mandatory arguments \"[{}]\" is required",
                        keys.join(", ")
                    )
                }
                false => format!("mandatory argument \"{key}\" is required"),
            };
            return Err(Failure::usage(text));
        }
        if !object.mandatory.contains(&"vhost") {
            upload.insert("vhost".to_owned(), vhost.into());
        }
        Ok(Asked {
            path: filled(object.path, &upload),
            upload,
            idempotently: pairs.idempotently,
        })
    }
}

/// A path with its keys in place.
fn filled(path: &str, upload: &Map<String, Value>) -> String {
    let text = |key: &str| upload.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}').unwrap_or((after, ""));
        filled += before;
        filled += &match key {
            "destination_char" => text("destination_type").chars().take(1).collect(),
            key => quoted(text(key)),
        };
        rest = after;
    }
    filled + rest
}

fn split<'r>(rest: &'r [String], verb: &str) -> Result<(&'r str, &'r [String]), Failure> {
    match rest.split_first() {
        Some((name, rest)) => Ok((name, rest)),
        None => Err(Failure::usage(format!("Don't know how to {verb} nothing"))),
    }
}

fn object<'r>(
    rest: &'r [String],
    objects: &'static [Object],
) -> Result<(&'static Object, &'r [String]), Failure> {
    let Some((name, words)) = rest.split_first() else {
        return Err(Failure::usage("Type not specified"));
    };
    match objects::find(objects, name) {
        Some(object) => Ok((object, words)),
        None => Err(Failure::usage(format!("Type {name} not recognised"))),
    }
}

/// `FILE` or `--file FILE`.
fn file(words: &[String]) -> Result<String, Failure> {
    match words {
        [option, file] if option == "--file" => Ok(file.clone()),
        [file] => Ok(file.strip_prefix("--file=").unwrap_or(file).to_owned()),
        _ => Err(Failure::usage("Exactly one argument required")),
    }
}

fn write_payload(file: &str, answer: &str) -> Result<(), Failure> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let Some(message) = answer.get(0) else {
        return Ok(());
    };
    let payload = message["payload"].as_str().unwrap_or_default();
    let payload = match message["payload_encoding"] == "base64" {
        true => STANDARD.decode(payload).unwrap_or_default(),
        false => payload.as_bytes().to_vec(),
    };
    std::fs::write(file, payload).map_err(|error| Failure::told(format!("{file}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_keys_quoted() {
        let upload = json!({"vhost": "/", "source": "", "destination_type": "queue", "destination": "a b/\u{e9}"});
        let Value::Object(upload) = upload else {
            panic!("an object")
        };
        let path = "/bindings/{vhost}/e/{source}/{destination_char}/{destination}";
        assert_eq!(filled(path, &upload), "/bindings/%2F/e//q/a%20b%2F%C3%A9");
    }
}
