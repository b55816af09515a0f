//! Options of `rabbitmqadmin`, from the command line and from its configuration file. They stand anywhere on the line.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use clap::Parser;

use crate::cli::rabbitmqadmin::Failure;

/// Where `rabbitmqadmin` talks to, and how it prints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(
    name = "rabbitmqadmin",
    no_binary_name = true,
    disable_version_flag = true,
    override_usage = "rabbitmqadmin [options] subcommand",
    after_help = super::MORE_HELP
)]
pub(super) struct Given {
    /// Configuration file [default: ~/.rabbitmqadmin.conf]
    #[arg(short, long, value_name = "CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Section of the configuration file [default: default]
    #[arg(short = 'N', long, value_name = "NODE")]
    node: Option<String>,
    /// Connect to this host [default: localhost]
    #[arg(short = 'H', long, value_name = "HOST")]
    host: Option<String>,
    /// Connect to this port [default: 15672]
    #[arg(short = 'P', long, value_name = "PORT")]
    port: Option<String>,
    /// Path that all paths of the API begin with
    #[arg(long)]
    path_prefix: Option<String>,
    /// Virtual host [default: all for list, / for declare]
    #[arg(short = 'V', long, value_name = "VHOST")]
    vhost: Option<String>,
    /// User [default: guest]
    #[arg(short, long, value_name = "USERNAME")]
    username: Option<String>,
    /// Password [default: guest]
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Host, port, user and password in one: http://user:password@host:15672
    #[arg(short = 'U', long, value_name = "URI")]
    base_uri: Option<String>,
    /// Print no status messages
    #[arg(short, long)]
    quiet: bool,
    /// Connect with TLS, which this version does not have
    #[arg(short = 's', long = "ssl", visible_alias = "use-tls")]
    tls: bool,
    /// Seconds to wait for an answer [default: 120]
    #[arg(short = 't', long = "request-timeout", visible_alias = "timeout")]
    request_timeout: Option<u64>,
    /// table, tsv, long, kvp, bash, raw_json or pretty_json [default: table]
    #[arg(short, long)]
    format: Option<String>,
    /// Key to sort lists by
    #[arg(short = 'S', long)]
    sort: Option<String>,
    /// Sort in reverse
    #[arg(short = 'R', long)]
    sort_reverse: bool,
    /// How deep tables within tables are shown [default: 1]
    #[arg(short, long)]
    depth: Option<usize>,
    /// Print a completion script for bash
    #[arg(long)]
    pub(super) bash_completion: bool,
    /// Print the version
    #[arg(long)]
    pub(super) version: bool,
}

/// Options with everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path_prefix: String,
    pub(super) vhost: Option<String>,
    pub(super) declare_vhost: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) quiet: bool,
    pub(super) timeout_seconds: u64,
    pub(super) format: String,
    pub(super) sort: Option<String>,
    pub(super) sort_reverse: bool,
    pub(super) depth: usize,
}

/// Long options, their letters, and whether a value follows.
const NAMES: &[(&str, Option<char>, bool)] = &[
    ("config", Some('c'), true),
    ("node", Some('N'), true),
    ("host", Some('H'), true),
    ("port", Some('P'), true),
    ("path-prefix", None, true),
    ("vhost", Some('V'), true),
    ("username", Some('u'), true),
    ("password", Some('p'), true),
    ("base-uri", Some('U'), true),
    ("quiet", Some('q'), false),
    ("ssl", Some('s'), false),
    ("use-tls", None, false),
    ("request-timeout", Some('t'), true),
    ("timeout", None, true),
    ("format", Some('f'), true),
    ("sort", Some('S'), true),
    ("sort-reverse", Some('R'), false),
    ("depth", Some('d'), true),
    ("bash-completion", None, false),
    ("version", None, false),
    ("help", Some('h'), false),
];

/// A command line in two: options of the tool, and the words of the command. `is_key` tells which long options the command
/// has for itself once its words so far are known: `declare user --password x` sets no password for the connection.
pub(super) fn divide(
    line: &[String],
    is_key: impl Fn(&[String], &str) -> bool,
) -> (Vec<String>, Vec<String>) {
    let (mut options, mut words) = (Vec::new(), Vec::new());
    let mut rest = line.iter();
    while let Some(part) = rest.next() {
        let known = if let Some(long) = part.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or_default().replace('_', "-");
            if is_key(&words, &name) {
                words.push(part.clone());
                if !long.contains('=') {
                    // Whatever it looks like.
                    words.extend(rest.next().cloned());
                }
                continue;
            }
            NAMES.iter().find(|(known, ..)| *known == name)
        } else {
            let letter = part.strip_prefix('-').and_then(|rest| rest.chars().next());
            NAMES
                .iter()
                .find(|(_, short, _)| letter.is_some() && *short == letter)
        };
        match known {
            Some((_, _, takes_value)) => {
                options.push(part.clone());
                let short_alone = !part.starts_with("--") && part.len() == 2;
                let long_alone = part.starts_with("--") && !part.contains('=');
                if *takes_value && (short_alone || long_alone) {
                    options.extend(rest.next().cloned());
                }
            }
            None => words.push(part.clone()),
        }
    }
    (options, words)
}

/// `key = value` of one section; the same for the older files and for TOML's simple ones.
fn section(text: &str, wanted: &str) -> Option<HashMap<String, String>> {
    let mut found: Option<HashMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = name.trim() == wanted;
            if inside {
                found.get_or_insert_default();
            }
        } else if inside && !line.starts_with(['#', ';']) {
            let Some((key, value)) = line.split_once(['=', ':']) else {
                continue;
            };
            let value = value.split(" #").next().unwrap_or_default().trim();
            let value = value.trim_matches('"').to_owned();
            let entries = found.get_or_insert_default();
            entries.insert(key.trim().to_ascii_lowercase(), value);
        }
    }
    found
}

fn read_section(given: &Given) -> Result<HashMap<String, String>, Failure> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let usual = home.map(|home| home.join(".rabbitmqadmin.conf"));
    let file: Option<&Path> = match (&given.config, &usual) {
        (Some(file), _) => Some(file),
        (None, Some(file)) if file.is_file() => Some(file),
        (None, _) => None,
    };
    let Some(file) = file else {
        return Ok(HashMap::new());
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|_| Failure::usage(format!("Could not read config file '{shown}'")))?;
    let name = given.node.as_deref().unwrap_or("default");
    match section(&text, name) {
        Some(entries) => Ok(entries),
        None if name == "default" => Ok(HashMap::new()),
        None => Err(Failure::usage(format!(
            "Could not read section '{name}' in config file '{shown}':\n   No section: '{name}'"
        ))),
    }
}

/// Host, port, user and password of a URI, as far as they are there.
fn base(uri: &str) -> Result<[Option<String>; 4], Failure> {
    let rest = match uri.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => return Err(no_tls()),
        _ => return Err(Failure::usage(format!("{uri} is no http URI"))),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, authority),
    };
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, password)) => (Some(user), Some(password).filter(|it| !it.is_empty())),
        None => (None, None),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (place, None),
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok([owned(Some(host)), owned(port), owned(user), owned(password)])
}

fn no_tls() -> Failure {
    Failure::usage("TLS is not supported by this version of Leveret".to_owned())
}

impl Options {
    /// What was given goes before what the file says, and that before what is usual.
    pub(super) fn decide(given: Given) -> Result<Self, Failure> {
        let file = read_section(&given)?;
        let [host, port, user, password] = match given.base_uri.as_deref() {
            Some(uri) => base(uri)?,
            None => [None, None, None, None],
        };
        let of_file = |key: &str| file.get(key).cloned();
        let is_on =
            |key: &str| of_file(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if given.tls || is_on("ssl") || is_on("tls") {
            return Err(no_tls());
        }
        let pick = |first: Option<String>, second: Option<String>, key: &str, usual: &str| {
            let found = first.or(second).or_else(|| of_file(key));
            found.unwrap_or_else(|| usual.to_owned())
        };
        let port = pick(port, given.port, "port", "15672");
        let port = port
            .parse()
            .map_err(|_| Failure::usage(format!("{port} is no port")))?;
        Ok(Self {
            host: pick(host, given.host, "hostname", "localhost"),
            port,
            path_prefix: pick(given.path_prefix, None, "path_prefix", ""),
            vhost: given.vhost.or_else(|| of_file("vhost")),
            declare_vhost: of_file("declare_vhost").unwrap_or_else(|| "/".to_owned()),
            username: pick(user, given.username, "username", "guest"),
            password: pick(password, given.password, "password", "guest"),
            quiet: given.quiet,
            timeout_seconds: given.request_timeout.unwrap_or(120),
            format: pick(given.format, None, "format", "table"),
            sort: given.sort,
            sort_reverse: given.sort_reverse,
            depth: given.depth.unwrap_or(1),
        })
    }

    /// Where things are declared.
    pub(super) fn vhost_or_default(&self) -> &str {
        self.vhost.as_deref().unwrap_or(&self.declare_vhost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_stand_anywhere_and_keys_are_not_options() {
        let line = words("-q list -P 1 queues --vhost=v name -fkvp");
        let (options, rest) = divide(&line, |_, _| false);
        assert_eq!(options, ["-q", "-P", "1", "--vhost=v", "-fkvp"]);
        assert_eq!(rest, ["list", "queues", "name"]);
        let line = words("--password a declare user --name u --password b");
        let is_key = |words: &[String], name: &str| words.len() >= 2 && name == "password";
        let (options, rest) = divide(&line, is_key);
        assert_eq!(options, ["--password", "a"]);
        assert_eq!(rest, ["declare", "user", "--name", "u", "--password", "b"]);
        let line = words("declare user --password -q -q");
        let (options, rest) = divide(&line, is_key);
        assert_eq!(options, ["-q"]);
        assert_eq!(rest, ["declare", "user", "--password", "-q"]);
    }

    #[test]
    fn a_section_is_read_in_both_notations() {
        let text =
            "[default]\nhostname = other\n# port = 1\n[x]\nport: 7 # why\nusername = \"u\"\n";
        let default = section(text, "default").unwrap();
        assert_eq!(default["hostname"], "other");
        assert_eq!(default.len(), 1);
        let x = section(text, "x").unwrap();
        assert_eq!((x["port"].as_str(), x["username"].as_str()), ("7", "u"));
        assert_eq!(section(text, "y"), None);
    }

    #[test]
    fn a_uri_has_all_in_one() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            base("http://u:p@h:1/ignored").unwrap(),
            [some("h"), some("1"), some("u"), some("p")]
        );
        assert_eq!(
            base("http://[::1]").unwrap(),
            [some("[::1]"), None, None, None]
        );
        assert!(base("https://h").is_err());
        assert!(base("h:1").is_err());
    }
}
