//! From the words of both tools to one form: a verb, what it is done to, and `key=value`.

use std::fmt::Write;

use crate::cli::rabbitmqadmin::Failure;
use crate::cli::rabbitmqadmin::objects;
use crate::cli::rabbitmqadmin::objects::CLOSABLE;
use crate::cli::rabbitmqadmin::objects::DECLARABLE;
use crate::cli::rabbitmqadmin::objects::DELETABLE;
use crate::cli::rabbitmqadmin::objects::GET;
use crate::cli::rabbitmqadmin::objects::HEALTH;
use crate::cli::rabbitmqadmin::objects::LISTINGS;
use crate::cli::rabbitmqadmin::objects::Object;
use crate::cli::rabbitmqadmin::objects::PUBLISH;
use crate::cli::rabbitmqadmin::objects::PURGABLE;
use crate::cli::rabbitmqadmin::objects::SHOWABLE;

/// Groups of the newer tool, and what one of them is called.
const GROUPS: &[(&str, &str)] = &[
    ("queues", "queue"),
    ("exchanges", "exchange"),
    ("bindings", "binding"),
    ("vhosts", "vhost"),
    ("users", "user"),
    ("permissions", "permission"),
    ("topic_permissions", "topic_permission"),
    ("parameters", "parameter"),
    ("global_parameters", "global_parameter"),
    ("policies", "policy"),
    ("operator_policies", "operator_policy"),
    ("vhost_limits", "vhost_limit"),
    ("user_limits", "user_limit"),
    ("connections", "connection"),
    ("channels", "channel"),
    ("consumers", "consumer"),
    ("nodes", "node"),
    ("feature_flags", "feature_flag"),
    ("deprecated_features", "deprecated_feature"),
];

fn one_of(group: &str) -> Option<&'static str> {
    let found = GROUPS.iter().find(|(name, _)| *name == group);
    found.map(|(_, one)| *one)
}

/// The words with the verb first and, where there is one, the object second.
pub(super) fn normal(words: &[String]) -> Vec<String> {
    let join = |head: &[&str], rest: &[String]| {
        let head = head.iter().map(|word| (*word).to_owned());
        head.chain(rest.iter().cloned()).collect()
    };
    let (first, second) = match words {
        [first, second, ..] => (first.as_str(), second.as_str()),
        _ => return words.to_vec(),
    };
    let rest = &words[2..];
    match (first, second) {
        ("messages", "publish") | ("publish", "message") => join(&["publish"], rest),
        ("messages", "get") | ("get", "messages") => join(&["get"], rest),
        ("definitions", verb @ ("export" | "import")) => join(&[verb], rest),
        ("exchanges", "bind") => join(&["declare", "binding"], rest),
        ("exchanges", "unbind") => join(&["delete", "binding"], rest),
        (group, "list") if one_of(group).is_some() => join(&["list", group], rest),
        (group, verb) if one_of(group).is_some() => {
            let one = one_of(group).unwrap_or_default();
            let verb = match verb {
                "set" => "declare",
                "clear" => "delete",
                verb => verb,
            };
            join(&[verb, one], rest)
        }
        (verb @ ("declare" | "delete"), group) => {
            join(&[verb, one_of(group).unwrap_or(group)], rest)
        }
        _ => words.to_vec(),
    }
}

/// What the words are about, once they say so.
fn object(words: &[String]) -> Option<&'static Object> {
    let words = normal(words);
    let verb = words.first()?.as_str();
    match verb {
        "publish" => return Some(&PUBLISH),
        "get" => return Some(&GET),
        _ => {}
    }
    let all = match verb {
        "declare" => DECLARABLE,
        "delete" => DELETABLE,
        "close" => CLOSABLE,
        "purge" => PURGABLE,
        "show" => SHOWABLE,
        "health_check" => HEALTH,
        _ => return None,
    };
    objects::find(all, words.get(1)?)
}

/// Whether the command has a key of that name, which then is no option of the tool.
pub(super) fn is_key(words: &[String], option: &str) -> bool {
    object(words).is_some_and(|object| key(object, option).is_some())
}

/// The key that the newer tool's option stands for.
fn key(object: &Object, option: &str) -> Option<&'static str> {
    let option = match (object.name, option) {
        ("queue", "type") => "queue_type".to_owned(),
        ("get", "ack-mode") => "ackmode".to_owned(),
        (_, option) => option.replace('-', "_"),
    };
    let mandatory = object.mandatory.iter().flat_map(|key| key.split('|'));
    let optional = object.optional.iter().map(|(key, _)| *key);
    let mut keys = mandatory.chain(optional);
    keys.find(|key| key.replace('-', "_") == option)
}

/// What was given for an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pairs {
    pub(super) given: Vec<(String, String)>,
    /// It was said in the newer tool's way.
    pub(super) by_options: bool,
    /// What is gone already may be deleted.
    pub(super) idempotently: bool,
}

/// `key=value` and `--key value`.
pub(super) fn pairs(object: &Object, words: &[String]) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let unknown = |name: &str| Failure::usage(format!("Argument \"{name}\" is not recognised"));
        if let Some(option) = word.strip_prefix("--") {
            pairs.by_options = true;
            if option == "idempotently" {
                pairs.idempotently = true;
                continue;
            }
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => {
                    let value = rest.next().cloned();
                    let value = value.ok_or_else(|| {
                        Failure::usage(format!("Argument \"{word}\" needs a value"))
                    })?;
                    (option, value)
                }
            };
            let name = key(object, name).ok_or_else(|| unknown(word))?;
            pairs.given.push((name.to_owned(), value));
            continue;
        }
        let Some((name, value)) = word.split_once('=') else {
            let text = format!("Argument \"{word}\" not in the name=value format");
            return Err(Failure::usage(text));
        };
        let mandatory = object.mandatory.iter().flat_map(|key| key.split('|'));
        let mut known = mandatory.chain(object.optional.iter().map(|(key, _)| *key));
        if !known.any(|key| key == name) {
            return Err(unknown(name));
        }
        pairs.given.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// `help subcommands`
pub(super) fn subcommands() -> String {
    let mut text =
        "Usage\n=====\n  rabbitmqadmin [options] subcommand\n\n  where subcommand is one of:\n"
            .to_owned();
    let title = |text: &mut String, name: &str| {
        let _ = write!(text, "\n{name}\n{}\n\n", "=".repeat(name.len()));
    };
    let stanza = |text: &mut String, verb: &str, objects: &[&Object]| {
        for object in objects {
            let mandatory = object.mandatory.iter();
            let mandatory = mandatory.map(|key| format!("{}=...", key.replace('|', "=... OR ")));
            let mandatory = mandatory.collect::<Vec<_>>().join(" ");
            let optional = object.optional.iter();
            let optional: Vec<String> = optional.map(|(key, _)| format!("{key}=...")).collect();
            let optional = match optional.is_empty() {
                true => String::new(),
                false => format!(" [{}]", optional.join(" ")),
            };
            let verb = match verb {
                "" => String::new(),
                verb => format!("{verb} "),
            };
            let _ = writeln!(text, "  {verb}{} {mandatory}{optional}", object.name);
        }
    };
    let all = |objects: &'static [Object]| objects.iter().collect::<Vec<_>>();
    title(&mut text, "Display");
    for listing in LISTINGS {
        let _ = writeln!(text, "  list {} [<column>...]", listing.name);
    }
    text += "  show overview [<column>...]\n";
    stanza(&mut text, "show", &all(SHOWABLE));
    title(&mut text, "Object Manipulation");
    stanza(&mut text, "declare", &all(DECLARABLE));
    stanza(&mut text, "delete", &all(DELETABLE));
    stanza(&mut text, "close", &all(CLOSABLE));
    stanza(&mut text, "purge", &all(PURGABLE));
    title(&mut text, "Broker Definitions");
    text += "  export <file>\n  import <file>\n";
    title(&mut text, "Publishing and Consuming");
    stanza(&mut text, "", &[&PUBLISH, &GET]);
    title(&mut text, "Health Checks");
    stanza(&mut text, "health_check", &all(HEALTH));
    text += "
  * If payload is not specified on publish, standard input is used

  * If payload_file is not specified on get, the payload will be shown on
    standard output along with the message metadata

  * If payload_file is specified on get, count must not be set

  * What begins with a group works too: queues declare --name q --type quorum
";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn both_ways_say_the_same() {
        for (newer, older) in [
            ("queues list", "list queues"),
            ("queues declare --name q", "declare queue --name q"),
            ("queues purge --name q", "purge queue --name q"),
            ("queues show --name q", "show queue --name q"),
            ("exchanges bind --source s", "declare binding --source s"),
            ("permissions list", "list permissions"),
            (
                "declare permissions --user u",
                "declare permission --user u",
            ),
            (
                "global_parameters set --name n",
                "declare global_parameter --name n",
            ),
            ("messages get --queue q", "get --queue q"),
            ("publish message --routing-key k", "publish --routing-key k"),
            ("definitions export --file f", "export --file f"),
            ("connections close --name c", "close connection --name c"),
            ("list queues name messages", "list queues name messages"),
            ("get queue=q", "get queue=q"),
            ("list", "list"),
        ] {
            assert_eq!(normal(&words(newer)), words(older), "{newer}");
        }
    }

    #[test]
    fn pairs_and_options_are_keys_of_the_object() {
        let queue = objects::find(DECLARABLE, "queue").unwrap();
        let given = pairs(queue, &words("--name q --type=quorum durable=false")).unwrap();
        let expected = [
            ("name", "q"),
            ("queue_type", "quorum"),
            ("durable", "false"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(given.given, expected);
        assert!(given.by_options);
        let wrong = |line: &str| pairs(queue, &words(line)).unwrap_err().text;
        assert!(wrong("bogus=1").contains("Argument \"bogus\" is not recognised"));
        assert!(wrong("--bogus 1").contains("Argument \"--bogus\" is not recognised"));
        assert!(wrong("name").contains("Argument \"name\" not in the name=value format"));
        assert!(wrong("--name").contains("needs a value"));
        assert!(is_key(&words("declare user"), "password"));
        assert!(is_key(&words("health_check port_listener"), "port"));
        assert!(is_key(&words("declare policy"), "apply-to"));
        assert!(!is_key(&words("declare queue"), "vhost"));
        assert!(!is_key(&words("list"), "password"));
    }
}
