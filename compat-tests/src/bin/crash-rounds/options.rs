//! What the command line and the environment ask for.

use leveret_compat_tests::assertions::Checked;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

pub(crate) const USAGE: &str = "\
usage: crash-rounds [--rounds N] [--seed N] [--binary PATH]
  --rounds N     crashes (CRASH_ROUNDS; default 50)
  --seed N       what is random follows from it, but for the machine's own timing
                 (CRASH_SEED; default: the time)
  --binary PATH  the broker (LEVERET_BIN; default target/release/leveret, else target/debug/leveret)";

const ROUNDS_DEFAULT: u32 = 50;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
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
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut options = Self {
            rounds: from_environment("CRASH_ROUNDS", ROUNDS_DEFAULT)?,
            seed: from_environment("CRASH_SEED", now.as_secs())?,
            binary: default_binary(),
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            if name == "--help" || name == "-h" {
                return Ok(None);
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name}: no value"))?;
            match name.as_str() {
                "--rounds" => options.rounds = parsed(&name, &value)?,
                "--seed" => options.seed = parsed(&name, &value)?,
                "--binary" => options.binary = PathBuf::from(value),
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(Some(options))
    }
}
