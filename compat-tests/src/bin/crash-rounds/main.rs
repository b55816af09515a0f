//! Kills the real broker with SIGKILL, again and again on one data directory, under confirmed
//! publishing, and checks after each restart what it kept.
//!
//! A round: publishers, consumers, owners of queues and definitions at work; SIGKILL at a random moment; restart
//! (sometimes killed while it recovers); some queues are emptied and judged message by message,
//! of the others the counts. The last round empties all. A confirmed message that was not acked
//! must be there, in its publisher's order, once; nothing may be there that was never published, or
//! that was settled, purged or deleted before something that was confirmed.

mod consumers;
mod definitions;
mod ledger;
mod message;
mod options;
mod process;
mod publishers;
mod rounds;
mod solo;
mod topology;

use crate::options::Options;
use crate::rounds::Rounds;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::naming::unique_prefix;
use std::process::ExitCode;
use std::time::Instant;

async fn run(options: &Options) -> Checked<u32> {
    let started = Instant::now();
    println!(
        "{} rounds, seed {}, broker {}",
        options.rounds,
        options.seed,
        options.binary.display()
    );
    let directory = std::env::temp_dir().join(unique_prefix("leveret-crash"));
    std::fs::create_dir(&directory)?;
    let mut rounds = Rounds::begin(options, &directory).await?;
    let mut failed = 0;
    for number in 1..=options.rounds {
        match rounds.play(number, number == options.rounds).await {
            Ok(outcome) => {
                println!("round {number}: {}", outcome.summary);
                for problem in outcome.problems.iter().take(20) {
                    println!("    {problem}");
                }
                failed += u32::from(!outcome.problems.is_empty());
            }
            Err(reason) => {
                // The broker cannot be used any more: the rounds left did not pass.
                println!("round {number}: {reason}");
                failed += options.rounds - number + 1;
                break;
            }
        }
    }
    println!("{}", rounds.totals());
    drop(rounds);
    if failed > 0 {
        println!("data and log are kept in {}", directory.display());
    } else {
        std::fs::remove_dir_all(&directory)?;
    }
    println!(
        "{} passed, {failed} failed in {:.0?}",
        options.rounds - failed,
        started.elapsed()
    );
    Ok(failed)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => run(&options).await,
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
            eprintln!("crash-rounds: {reason}");
            ExitCode::FAILURE
        }
    }
}
