//! A whole run: brokers up, scripts in parallel, differences judged and printed, counts.

use crate::brokers::Leveret;
use crate::brokers::RabbitMq;
use crate::known::Known;
use crate::options::Options;
use crate::play::Tempo;
use crate::play::play;
use crate::script::Script;
use crate::side::Endpoint;
use crate::transcript::Difference;
use crate::transcript::Record;
use crate::transcript::compare;
use crate::walk::Kind;
use crate::walks;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::naming::unique_prefix;
use parking_lot::Mutex;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// A difference must persist while we listen ever longer: machines stall, brokers do not.
pub(crate) const TEMPOS: [Tempo; 3] = [
    Tempo {
        grace: Duration::from_millis(10),
        patience: Duration::from_millis(2500),
    },
    Tempo {
        grace: Duration::from_millis(60),
        patience: Duration::from_millis(5000),
    },
    Tempo {
        grace: Duration::from_millis(250),
        patience: Duration::from_millis(8000),
    },
];

/// Another process may have taken a port that was free: then once more, with others.
fn retried<T>(start: impl Fn() -> Result<T, String>) -> Result<T, String> {
    start().or_else(|_| start())
}

/// Leveret's `compatibility.profile` that is nearest to this version of RabbitMQ.
fn profile_of(version: &str) -> &'static str {
    match version.split('.').next() {
        Some("3") => "3.13",
        _ => "4",
    }
}

/// The two brokers of a run.
pub(crate) struct Brokers {
    pub(crate) rabbitmq: RabbitMq,
    pub(crate) leveret: Leveret,
    names: AtomicUsize,
}

/// A virtual host of its own on both brokers.
pub(crate) struct Ground {
    /// The virtual host's name.
    pub(crate) id: String,
    pub(crate) endpoints: [Endpoint; 2],
}

impl Brokers {
    fn start(options: &Options, directory: &Path) -> Checked<Self> {
        let rabbitmq = match options.rabbitmq {
            Some(addresses) => RabbitMq::running_at(addresses),
            None => retried(|| RabbitMq::start(directory))?,
        };
        let version = rabbitmq.version();
        let profile = options.profile.as_deref().unwrap_or(profile_of(&version));
        let leveret = match options.leveret {
            Some(addresses) => Leveret::running_at(addresses),
            None => retried(|| Leveret::start(&options.binary, profile, directory))?,
        };
        Ok(Self {
            rabbitmq,
            leveret,
            names: AtomicUsize::new(0),
        })
    }

    pub(crate) fn ground(&self) -> Result<Ground, String> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        // Not a part of anything else that the brokers say.
        let id = format!("orc-{}-{number}-", std::process::id());
        Ok(Ground {
            endpoints: [self.rabbitmq.endpoint(&id)?, self.leveret.endpoint(&id)?],
            id,
        })
    }
}

enum Verdict {
    Equal,
    Known,
    Differs(Vec<Difference>),
}

struct Outcome {
    verdict: Verdict,
    records: [Vec<Record>; 2],
}

/// Plays a script until both agree, or differ as the list says, or keep differing.
fn judge(brokers: &Brokers, script: &Script, known: &Known) -> Result<Outcome, String> {
    let mut last = None;
    for tempo in TEMPOS {
        let ground = brokers.ground()?;
        let mut records = play(script, &ground.id, &ground.endpoints, tempo)?;
        known.replace(&mut records);
        let differences = compare(&records[0], &records[1]);
        let verdict = if differences.is_empty() {
            Verdict::Equal
        } else if known.has(&script.name, &differences) {
            Verdict::Known
        } else {
            last = Some(Outcome {
                verdict: Verdict::Differs(differences),
                records,
            });
            continue;
        };
        return Ok(Outcome { verdict, records });
    }
    last.ok_or_else(|| "no tempo to play at".to_owned())
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Checked {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "txt") {
            found.push(path);
        }
    }
    Ok(())
}

fn scripts(options: &Options) -> Checked<Vec<Script>> {
    if let Some(path) = &options.script {
        return Ok(vec![Script::read(&options.scripts, path)?]);
    }
    let mut paths = Vec::new();
    files(&options.scripts, &mut paths)?;
    paths.sort();
    let mut scripts = Vec::new();
    for path in paths {
        scripts.push(Script::read(&options.scripts, &path)?);
    }
    scripts.retain(|script| {
        let is_named = |name: &String| name != "-" && script.name.contains(name.as_str());
        options.names.is_empty() || options.names.iter().any(is_named)
    });
    if scripts.is_empty() && options.walks + options.quorum_walks == 0 {
        return Err("no such script".into());
    }
    Ok(scripts)
}

/// The script's line before the differences that it led to.
pub(crate) fn print_differences(script: &Script, differences: &[Difference]) {
    use crate::script::Item;
    let lines = script.items.iter().flat_map(|item| match item {
        Item::One(line) => std::slice::from_ref(line),
        Item::Together(lines) => lines.as_slice(),
    });
    let mut lines = lines.peekable();
    for difference in differences {
        while let Some(line) = lines.next_if(|line| line.number <= difference.line) {
            if line.number == difference.line {
                println!("    {:3}: {}", line.number, line.text);
            }
        }
        println!("  {difference}");
    }
}

fn print_transcript(records: &[Vec<Record>; 2]) {
    for (name, records) in ["RabbitMQ", "Leveret"].iter().zip(records) {
        println!("  {name}:");
        for record in records {
            println!("    {:3} {}: {}", record.line, record.stream, record.text);
        }
    }
}

/// How many scripts failed.
pub(crate) fn run(options: &Options) -> Checked<usize> {
    let started = Instant::now();
    let scripts = scripts(options)?;
    if options.only_lists {
        scripts
            .iter()
            .for_each(|script| println!("{}", script.name));
        return Ok(0);
    }
    let directory = std::env::temp_dir().join(unique_prefix("leveret-oracle"));
    std::fs::create_dir(&directory)?;
    if options.only_serves {
        let outcome = serve(&directory);
        std::fs::remove_dir_all(&directory)?;
        return outcome;
    }
    let outcome = with_brokers(options, &scripts, &directory, started);
    std::fs::remove_dir_all(&directory)?;
    outcome
}

fn serve(directory: &Path) -> Checked<usize> {
    let rabbitmq = retried(|| RabbitMq::start(directory))?;
    let addresses = rabbitmq.addresses;
    println!("--rabbitmq {},{}", addresses.amqp, addresses.http);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(0)
}

fn with_brokers(
    options: &Options,
    scripts: &[Script],
    directory: &Path,
    started: Instant,
) -> Checked<usize> {
    let mut brokers = Brokers::start(options, directory)?;
    let version = brokers.rabbitmq.version();
    println!(
        "{} scripts, RabbitMQ {version}, started in {:.0?}",
        scripts.len(),
        started.elapsed()
    );
    let known = Known::parse(&std::fs::read_to_string(&options.differences)?, &version)?;
    let next = AtomicUsize::new(0);
    let tally = Mutex::new((0, 0, 0));
    let printing = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, 64) {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = judge(&brokers, script, &known);
                    let _printing = printing.lock();
                    match outcome {
                        Ok(outcome) => {
                            let mut tally = tally.lock();
                            match &outcome.verdict {
                                Verdict::Equal => tally.0 += 1,
                                Verdict::Known => tally.1 += 1,
                                Verdict::Differs(differences) => {
                                    tally.2 += 1;
                                    println!("not ok {}", script.name);
                                    print_differences(script, differences);
                                }
                            }
                            if options.shows_transcript {
                                println!("{}", script.name);
                                print_transcript(&outcome.records);
                            }
                        }
                        Err(reason) => {
                            tally.lock().2 += 1;
                            println!("not ok {}: {reason}", script.name);
                        }
                    }
                }
            });
        }
    });
    let (equal, listed, mut failed) = *tally.lock();
    let mut walked = 0;
    for (kind, count) in [
        (Kind::Classic, options.walks),
        (Kind::Quorum, options.quorum_walks),
    ] {
        let walks = walks::run(kind, count, options, &brokers, &known);
        walked += walks.0;
        failed += walks.1;
    }
    let ended = [brokers.rabbitmq.has_ended(), brokers.leveret.has_ended()];
    for status in ended.into_iter().flatten() {
        println!("not ok: a broker ended: {status}");
        failed += 1;
    }
    if !options.is_partial() {
        for entry in known.unused() {
            println!("not ok: this known difference is none any more: {entry}");
            failed += 1;
        }
    }
    println!(
        "{equal} scripts and {walked} walks equal, {listed} scripts with a known difference, {:.0?}",
        started.elapsed()
    );
    println!("{} passed, {failed} failed", equal + listed + walked);
    Ok(failed)
}
