//! How much memory may be used and how much of the disk must stay free, until the node stops.

use clap::Args;

use crate::admin::Bound;
use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::tool::Tool;
use crate::settings::bytes_of;

/// A part from 0 to `max`.
fn part(text: &str, max: f64, wrong: &str) -> Result<Bound, Failure> {
    match text.parse::<f64>() {
        Ok(part) if (0.0..=max).contains(&part) => Ok(Bound::Relative(part)),
        _ => Err(bad_argument(wrong)),
    }
}

fn size(text: &str) -> Result<Bound, Failure> {
    let octets = bytes_of(text)
        .ok_or_else(|| Failure::new(DATA, format!("{text} is no size such as 512MiB or 2GB")))?;
    Ok(Bound::Absolute(octets))
}

/// Change how much memory the node may use, until it stops: a part, or `absolute 2GB`.
#[derive(Args)]
pub(super) struct SetVmMemoryHighWatermark {
    /// 0.4, or `absolute` and a size
    #[arg(num_args = 1..=2, required = true)]
    bound: Vec<String>,
}

impl Run for SetVmMemoryHighWatermark {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let (banner, bound) = match &self.bound[..] {
            [word, text] if word == "absolute" => (
                format!("Setting memory threshold on {node} to {text} bytes ..."),
                size(text)?,
            ),
            [text] => (
                format!("Setting memory threshold on {node} to {text} ..."),
                part(
                    text,
                    1.0,
                    "The threshold should be a fraction between 0.0 and 1.0",
                )?,
            ),
            _ => return Err(Failure::new(DATA, "either a part, or absolute and a size")),
        };
        tool.act(&banner, Operation::SetMemoryWatermark(bound))
    }
}

/// Change how much of the disk must stay free, until it stops: `1GB`, or `mem_relative 1.0`.
#[derive(Args)]
pub(super) struct SetDiskFreeLimit {
    /// A size, or `mem_relative` and a part of the memory
    #[arg(num_args = 1..=2, required = true)]
    bound: Vec<String>,
}

impl Run for SetDiskFreeLimit {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let (banner, bound) = match &self.bound[..] {
            [word, text] if word == "mem_relative" => (
                format!("Setting disk free limit on {node} to {text} times the total RAM ..."),
                part(
                    text,
                    1000.0,
                    "The relative limit should be a number from 0 to 1000",
                )?,
            ),
            [text] => (
                format!("Setting disk free limit on {node} to {text} bytes ..."),
                size(text)?,
            ),
            _ => {
                let text = "either a size, or mem_relative and a part";
                return Err(Failure::new(DATA, text));
            }
        };
        tool.act(&banner, Operation::SetDiskLimit(bound))
    }
}
