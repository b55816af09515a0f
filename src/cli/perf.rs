//! `leveret perf`: the load driver's options, and what it prints.

use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use clap::Args;

use crate::perf;
use crate::perf::Interval;
use crate::perf::Options;
use crate::perf::Percentiles;
use crate::perf::Polling;
use crate::perf::RateStep;
use crate::perf::Report;

/// Options of PerfTest whose short form has more than one letter, which this parser does not know.
const TWO_LETTERS: &[(&str, &str)] = &[
    ("-ad", "--auto-delete"),
    ("-ca", "--consumer-args"),
    ("-pi", "--polling-interval"),
    ("-po", "--polling"),
    ("-qa", "--queue-args"),
    ("-qp", "--queue-pattern"),
    ("-qpf", "--queue-pattern-from"),
    ("-qpt", "--queue-pattern-to"),
    ("-vr", "--variable-rate"),
];

/// The command line of `perf` with long options for those of [`TWO_LETTERS`]; any other as it is.
pub(super) fn with_long_options(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    if args.get(1).is_some_and(|command| command == "perf") {
        for arg in args.iter_mut().skip(2) {
            if let Some((_, long)) = TWO_LETTERS.iter().find(|(short, _)| arg == *short) {
                *arg = (*long).into();
            }
        }
    }
    args
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct PerfArgs {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The broker
    #[arg(
        short = 'h',
        long,
        default_value = "amqp://guest:guest@localhost:5672/%2f"
    )]
    uri: String,
    /// Name of the run, in queues' names and routing keys
    #[arg(short = 'd', long, default_value = "perf-test")]
    id: String,
    /// Connections that publish
    #[arg(short = 'x', long, default_value_t = 1)]
    producers: usize,
    /// Connections that consume
    #[arg(short = 'y', long, default_value_t = 1)]
    consumers: usize,
    /// Queue; without one each consumer has a queue of its own
    #[arg(short = 'u', long)]
    queue: Option<String>,
    /// Several queues, by a pattern with %d, in which producers and consumers take turns (-qp)
    #[arg(long, requires = "queue_pattern_to")]
    queue_pattern: Option<String>,
    /// First number of the pattern (-qpf)
    #[arg(long, default_value_t = 1)]
    queue_pattern_from: u32,
    /// Last number of the pattern (-qpt)
    #[arg(long)]
    queue_pattern_to: Option<u32>,
    /// Arguments of queues, such as x-queue-type=quorum,x-max-length=10 (-qa)
    #[arg(long, value_delimiter = ',')]
    queue_args: Vec<String>,
    /// Arguments of consumers, such as x-stream-offset=first (-ca)
    #[arg(long, value_delimiter = ',')]
    consumer_args: Vec<String>,
    /// Queues and exchange are there already
    #[arg(short = 'p', long)]
    predeclared: bool,
    /// Queues go with their last consumer (-ad)
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    auto_delete: bool,
    /// Exchange; an empty one is the default exchange
    #[arg(short = 'e', long, default_value = "direct")]
    exchange: String,
    /// Type of the exchange
    #[arg(short = 't', long = "type", default_value = "direct")]
    exchange_type: String,
    /// Routing key [default: the run's id, or the queue's name with several]
    #[arg(short = 'k', long)]
    routing_key: Option<String>,
    /// Octets of a message; from 8 on latencies are measured
    #[arg(short = 's', long, default_value_t = 12)]
    size: usize,
    /// persistent or mandatory; may be given several times
    #[arg(short = 'f', long = "flag", value_parser = ["persistent", "mandatory"])]
    flags: Vec<String>,
    /// Messages that may be unconfirmed; without it nothing is confirmed
    #[arg(short = 'c', long)]
    confirm: Option<usize>,
    /// Messages a consumer may hold unacknowledged; 0 is without limit
    #[arg(short = 'q', long, default_value_t = 0)]
    qos: u16,
    /// Acknowledge so many messages at once
    #[arg(short = 'A', long, default_value_t = 1)]
    multi_ack_every: u64,
    /// Consumers do not acknowledge
    #[arg(short = 'a', long)]
    autoack: bool,
    /// Consumers ask for each message, with basic.get (-po)
    #[arg(long)]
    polling: bool,
    /// Milliseconds to wait when there was no message (-pi)
    #[arg(long, default_value_t = 0, requires = "polling")]
    polling_interval: u64,
    /// Requests that a polling consumer sends before it waits for the answers
    #[arg(
        long,
        default_value_t = 1,
        requires = "polling",
        value_name = "REQUESTS"
    )]
    polling_in_flight: u64,
    /// Messages a second of each producer
    #[arg(short = 'r', long)]
    rate: Option<f64>,
    /// Rates one after the other, as RATE:SECONDS; may be given several times (-vr)
    #[arg(long, conflicts_with = "rate")]
    variable_rate: Vec<String>,
    /// Messages a second of each consumer
    #[arg(short = 'R', long)]
    consumer_rate: Option<f64>,
    /// Each producer ends after so many messages
    #[arg(short = 'C', long)]
    pmessages: Option<u64>,
    /// Each consumer ends after so many messages
    #[arg(short = 'D', long)]
    cmessages: Option<u64>,
    /// Seconds that it runs [default: until it is interrupted]
    #[arg(short = 'z', long)]
    time: Option<f64>,
    /// Seconds between two lines of progress
    #[arg(short = 'i', long, default_value_t = 1.0)]
    interval: f64,
    /// Each message is written by itself, as most clients do
    #[arg(long)]
    write_each: bool,
    /// Producers open and close connections instead of publishing
    #[arg(long)]
    churn: bool,
    /// Process of the broker on this machine, whose CPU time and memory to report
    #[arg(long, value_name = "PID")]
    broker_pid: Option<u32>,
    /// Print only the result, as JSON
    #[arg(long)]
    json: bool,
}

impl PerfArgs {
    fn options(self) -> Result<Options, Box<dyn Error>> {
        let queues = match (&self.queue, &self.queue_pattern, self.queue_pattern_to) {
            (Some(queue), ..) => vec![queue.clone()],
            (None, Some(pattern), Some(to)) => (self.queue_pattern_from..=to)
                .map(|number| pattern.replace("%d", &number.to_string()))
                .collect(),
            (None, ..) => Vec::new(),
        };
        let rates = match self.rate {
            Some(rate) => vec![RateStep {
                rate,
                time: Duration::MAX,
            }],
            None => steps(&self.variable_rate)?,
        };
        let flag = |name: &str| self.flags.iter().any(|flag| flag == name);
        Ok(Options {
            queues,
            rates,
            queue_arguments: table(&self.queue_args)?,
            consumer_arguments: table(&self.consumer_args)?,
            persistent: flag("persistent"),
            mandatory: flag("mandatory"),
            time: self.time.map(seconds).transpose()?,
            interval: seconds(self.interval)?,
            uri: self.uri,
            id: self.id,
            producers: self.producers,
            consumers: self.consumers,
            predeclared: self.predeclared,
            auto_delete: self.auto_delete,
            exchange: self.exchange,
            exchange_type: self.exchange_type,
            routing_key: self.routing_key,
            size: self.size,
            confirm: self.confirm,
            prefetch: self.qos,
            ack_every: self.multi_ack_every.max(1),
            auto_ack: self.autoack,
            polling: self.polling.then_some(Polling {
                interval: Duration::from_millis(self.polling_interval),
                in_flight: self.polling_in_flight,
            }),
            consumer_rate: self.consumer_rate,
            producer_messages: self.pmessages,
            consumer_messages: self.cmessages,
            write_each: self.write_each,
            churn: self.churn,
            broker_pid: self.broker_pid,
        })
    }
}

fn seconds(seconds: f64) -> Result<Duration, Box<dyn Error>> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| format!("{seconds} seconds: {error}").into())
}

fn steps(given: &[String]) -> Result<Vec<RateStep>, Box<dyn Error>> {
    let step = |text: &String| {
        let wrong = || format!("{text:?} is not RATE:SECONDS");
        let (rate, time) = text.split_once(':').ok_or_else(wrong)?;
        Ok(RateStep {
            rate: rate.parse().map_err(|_| wrong())?,
            time: seconds(time.parse().map_err(|_| wrong())?)?,
        })
    };
    given.iter().map(step).collect()
}

/// Numbers and truth values are what they look like; all else is text.
fn table(given: &[String]) -> Result<FieldTable, Box<dyn Error>> {
    let mut table = FieldTable::default();
    for entry in given {
        let (key, value) = entry
            .split_once('=')
            .ok_or_else(|| format!("{entry:?} is not KEY=VALUE"))?;
        let value = match (value.parse(), value.parse()) {
            (Ok(number), _) => AMQPValue::LongLongInt(number),
            (_, Ok(flag)) => AMQPValue::Boolean(flag),
            _ => AMQPValue::LongString(value.into()),
        };
        table.insert(key.into(), value);
    }
    Ok(table)
}

/// Runs it and prints what came of it.
pub(super) fn perf(args: PerfArgs) -> Result<(), Box<dyn Error>> {
    let json = args.json;
    let options = args.options()?;
    let id = options.id.clone();
    let report = perf::run(options, |interval| {
        if !json {
            println!("{}", line(&id, interval));
        }
    })?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", summary(&report));
    }
    Ok(())
}

fn line(id: &str, interval: &Interval) -> String {
    let mut line = format!(
        "id: {id}, time: {:.3} s, sent: {:.0} msg/s",
        interval.time, interval.sent
    );
    let others = [
        ("returned", interval.returned, false),
        ("confirmed", interval.confirmed, false),
        ("nacked", interval.refused, false),
        ("received", interval.received, true),
    ];
    for (what, rate, always) in others {
        if always || rate > 0.0 {
            line += &format!(", {what}: {rate:.0} msg/s");
        }
    }
    let latencies = [
        ("consumer latency", interval.latency),
        ("confirm latency", interval.confirm_latency),
    ];
    for (what, latency) in latencies {
        if let Some(latency) = latency {
            line += &format!(", {}", percentiles(what, latency));
        }
    }
    line + &broker(interval)
}

fn percentiles(what: &str, latency: Percentiles) -> String {
    let Percentiles {
        min,
        median,
        p75,
        p95,
        p99,
        ..
    } = latency;
    format!("min/median/75th/95th/99th {what}: {min}/{median}/{p75}/{p95}/{p99} µs")
}

fn broker(interval: &Interval) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut text = String::new();
    if let Some(cpu) = interval.broker_cpu_per_million {
        text += &format!(", broker: {cpu:.3} cpu-s/M");
    }
    if let Some(rss) = interval.broker_rss_bytes {
        text += &format!(", {:.1} MiB", rss as f64 / MIB);
    }
    text
}

fn summary(report: &Report) -> String {
    let Report {
        id,
        sent,
        received,
        confirmed,
        empty,
        received_by,
        driver_cpu_seconds,
        total,
        ..
    } = report;
    let mut text = format!("id: {id}, sending rate avg: {:.0} msg/s\n", total.sent);
    text += &format!(
        "id: {id}, receiving rate avg: {:.0} msg/s\n",
        total.received
    );
    text += &format!("id: {id}, sent: {sent}, confirmed: {confirmed}, received: {received}\n");
    if *empty > 0 {
        text += &format!("id: {id}, requests that found no message: {empty}\n");
    }
    if let [fewest, .., most] = received_by[..] {
        let median = received_by[received_by.len() / 2];
        text +=
            &format!("id: {id}, min/median/max received by a consumer: {fewest}/{median}/{most}\n");
    }
    for (what, latency) in [
        ("consumer latency", total.latency),
        ("confirm latency", total.confirm_latency),
    ] {
        if let Some(latency) = latency {
            text += &format!("id: {id}, {}\n", percentiles(what, latency));
        }
    }
    text += &format!(
        "id: {id}, driver: {driver_cpu_seconds:.2} cpu-s{}\n",
        broker(total)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(args: &[&str]) -> Vec<OsString> {
        with_long_options(args.iter().map(OsString::from))
    }

    #[test]
    fn options_of_several_letters_are_known_to_perf_alone() {
        assert_eq!(
            long(&["leveret", "perf", "-qp", "q-%d", "-x", "2"]),
            ["leveret", "perf", "--queue-pattern", "q-%d", "-x", "2"]
        );
        assert_eq!(
            long(&["leveret", "serve", "-qp"]),
            ["leveret", "serve", "-qp"]
        );
    }

    #[test]
    fn arguments_of_queues_have_types() {
        let given = [
            "x-max-length=10",
            "x-single-active-consumer=true",
            "x-queue-type=quorum",
        ];
        let table = table(&given.map(str::to_owned)).expect("well-formed");
        let value = |key: &str| table.inner().get(key).cloned();
        assert_eq!(value("x-max-length"), Some(AMQPValue::LongLongInt(10)));
        assert_eq!(
            value("x-single-active-consumer"),
            Some(AMQPValue::Boolean(true))
        );
        assert_eq!(
            value("x-queue-type"),
            Some(AMQPValue::LongString("quorum".into()))
        );
        assert!(super::table(&["x".to_owned()]).is_err());
    }
}
