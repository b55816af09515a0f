//! Drives a broker through lapin as a Rust service would, and prints a line per check.
//!
//! The contract is in compat-tests/README.md. lapin is used as it comes; it is part of this
//! package only, never of the broker.

mod broker;
mod connections;
mod consuming;
mod exchanges;
mod publishing;

use crate::broker::Broker;
use leveret_compat_tests::assertions::Checked;
use std::process::ExitCode;

/// Prints the outcome of one check.
fn report(name: &str, outcome: Checked) -> bool {
    match outcome {
        Ok(()) => {
            println!("ok {name}");
            true
        }
        Err(reason) => {
            println!("not ok {name}: {reason}");
            false
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let broker = match Broker::connect().await {
        Ok(broker) => broker,
        Err(reason) => {
            report("connect", Err(reason));
            return ExitCode::FAILURE;
        }
    };
    let mut passed = true;
    macro_rules! check {
        ($name:literal, $check:path) => {
            passed &= report($name, $check(&broker).await);
        };
    }
    check!("connect", connections::connect);
    check!("login-refused", connections::login_refused);
    check!("declare", connections::declare);
    check!("confirm-publish-10000", publishing::confirm_publish);
    check!("consume-prefetch-ack", consuming::consume_prefetch_ack);
    check!("exchange-types", exchanges::exchange_types);
    check!("channel-error", connections::channel_error);
    check!("mandatory-return", publishing::mandatory_return);
    check!("rpc-reply-queue", publishing::rpc_reply_queue);
    check!("requeue-redelivered", consuming::requeue_redelivered);
    check!("get", consuming::get);
    check!("tx", publishing::tx);
    check!("properties-round-trip", publishing::properties_round_trip);
    check!("consumer-cancel-notify", consuming::cancel_notify);
    check!("heartbeat-idle", connections::heartbeat_idle);
    check!("close", connections::close);
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
