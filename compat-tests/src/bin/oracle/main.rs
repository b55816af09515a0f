//! Plays scripts on RabbitMQ and on Leveret and compares what the two say, frame by frame.
//!
//! `compat-tests/oracle/README.md` has the scripts' language. This binary knows both brokers only
//! from outside and decodes with tables of its own.

mod brokers;
mod http;
mod known;
mod layout;
mod options;
mod play;
mod probe;
mod run;
mod script;
mod side;
mod transcript;
mod value;
mod walk;
mod walks;
mod wire;

use crate::options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => run::run(&options),
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(reason) => Err(format!("{reason}\n{}", options::USAGE).into()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("oracle: {reason}");
            ExitCode::FAILURE
        }
    }
}
