//! What the command line and the environment ask for.

use crate::brokers::Addresses;
use leveret_compat_tests::assertions::Checked;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) const USAGE: &str = "\
usage: oracle [OPTIONS] [NAME...]
  NAME                    scripts whose name contains one of these; default: all
  --scripts DIR           default compat-tests/oracle/scripts; a single file with `--script FILE`
  --script FILE           this script alone
  --transcript            print what both said, also where they agree
  --walks N               random walks after the scripts (ORACLE_WALKS; default 300, with names 0;
                          with `-` as name alone)
  --quorum-walks N        the same over quorum queues (ORACLE_QUORUM_WALKS; default 40)
  --seed N                of the first walk (ORACLE_SEED; default: 1)
  --serve                 start RabbitMQ, print its addresses, wait for the end of the input
  --jobs N                scripts at a time (ORACLE_JOBS; default 8)
  --rabbitmq AMQP,HTTP    addresses of a running RabbitMQ instead of one of our own
  --leveret AMQP,HTTP     addresses of a running Leveret
  --profile NAME          Leveret's compatibility.profile (default: by RabbitMQ's version)
  --binary PATH           Leveret (LEVERET_BIN; default target/release/leveret, else target/debug)
  --list                  print the scripts' names and stop";

const WALKS: u64 = 300;
const QUORUM_WALKS: u64 = 40;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) names: Vec<String>,
    pub(crate) scripts: PathBuf,
    pub(crate) differences: PathBuf,
    pub(crate) script: Option<PathBuf>,
    pub(crate) shows_transcript: bool,
    pub(crate) only_lists: bool,
    pub(crate) only_serves: bool,
    pub(crate) jobs: usize,
    pub(crate) walks: u64,
    pub(crate) quorum_walks: u64,
    pub(crate) seed: u64,
    pub(crate) rabbitmq: Option<Addresses>,
    pub(crate) leveret: Option<Addresses>,
    pub(crate) profile: Option<String>,
    pub(crate) binary: PathBuf,
}

fn parsed<T: FromStr>(name: &str, value: &str) -> Checked<T> {
    value
        .parse()
        .map_err(|_| format!("{name}: not a number: {value}").into())
}

fn from_environment<T: FromStr>(name: &str, fallback: T) -> Checked<T> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => parsed(name, &value),
        Ok(_) | Err(_) => Ok(fallback),
    }
}

fn addresses(name: &str, value: &str) -> Checked<Addresses> {
    let resolve = |text: &str| -> Checked<SocketAddr> {
        let mut found = text.to_socket_addrs()?;
        found
            .next()
            .ok_or_else(|| format!("{name}: no address {text}").into())
    };
    let (amqp, http) = value
        .split_once(',')
        .ok_or_else(|| format!("{name}: want HOST:PORT,HOST:PORT"))?;
    Ok(Addresses {
        amqp: resolve(amqp)?,
        http: resolve(http)?,
    })
}

fn default_binary() -> PathBuf {
    if let Some(named) = std::env::var_os("LEVERET_BIN") {
        return PathBuf::from(named);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let release = target.join("release/leveret");
    if release.exists() {
        release
    } else {
        target.join("debug/leveret")
    }
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Checked<Option<Self>> {
        let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle"));
        let mut options = Self {
            names: Vec::new(),
            scripts: own.join("scripts"),
            differences: own.join("differences.txt"),
            script: None,
            shows_transcript: false,
            only_lists: false,
            only_serves: false,
            walks: 0,
            quorum_walks: 0,
            seed: from_environment("ORACLE_SEED", 1)?,
            jobs: from_environment("ORACLE_JOBS", 8)?,
            rabbitmq: None,
            leveret: None,
            profile: None,
            binary: default_binary(),
        };
        let mut walks = [None; 2];
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--transcript" => options.shows_transcript = true,
                "--serve" => options.only_serves = true,
                "--list" => options.only_lists = true,
                option if option.starts_with("--") => {
                    let value = arguments
                        .next()
                        .ok_or_else(|| format!("{name}: no value"))?;
                    match name.as_str() {
                        "--walks" => walks[0] = Some(parsed(&name, &value)?),
                        "--quorum-walks" => walks[1] = Some(parsed(&name, &value)?),
                        _ => options.take(&name, &value)?,
                    }
                }
                _ => options.names.push(name),
            }
        }
        let number = |wanted, variable, fallback| match wanted {
            Some(walks) => Ok(walks),
            None if options.is_partial() => Ok(0),
            None => from_environment(variable, fallback),
        };
        let [wanted, quorum] = walks;
        let walks = number(wanted, "ORACLE_WALKS", WALKS)?;
        let quorum_walks = number(quorum, "ORACLE_QUORUM_WALKS", QUORUM_WALKS)?;
        options.walks = walks;
        options.quorum_walks = quorum_walks;
        Ok(Some(options))
    }

    /// Whether not all scripts are meant.
    pub(crate) fn is_partial(&self) -> bool {
        !self.names.is_empty() || self.script.is_some()
    }

    fn take(&mut self, name: &str, value: &str) -> Checked {
        match name {
            "--scripts" => self.scripts = PathBuf::from(value),
            "--script" => self.script = Some(PathBuf::from(value)),
            "--seed" => self.seed = parsed(name, value)?,
            "--jobs" => self.jobs = parsed(name, value)?,
            "--rabbitmq" => self.rabbitmq = Some(addresses(name, value)?),
            "--leveret" => self.leveret = Some(addresses(name, value)?),
            "--profile" => self.profile = Some(value.to_owned()),
            "--binary" => self.binary = PathBuf::from(value),
            _ => return Err(format!("unknown option {name}").into()),
        }
        Ok(())
    }
}
