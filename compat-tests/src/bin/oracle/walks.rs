//! Plays random walks on both brokers, and shrinks one that shows a difference to a short script.

use crate::known::Known;
use crate::options::Options;
use crate::play::play;
use crate::probe::Probe;
use crate::run::Brokers;
use crate::run::Ground;
use crate::run::TEMPOS;
use crate::run::print_differences;
use crate::script::Script;
use crate::transcript::Difference;
use crate::transcript::compare;
use crate::walk;
use crate::walk::Kind;
use parking_lot::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Walks with a difference after which a run ends: one cause shows in many.
const FAILED_MAX: usize = 5;

/// The longest that a walk is shrunk.
const SHRINK: Duration = Duration::from_secs(120);

struct Worker<'a> {
    brokers: &'a Brokers,
    known: &'a Known,
    kind: Kind,
    ground: Option<Ground>,
}

impl Worker<'_> {
    /// The differences of these commands at this tempo, on clean ground.
    fn differences(
        &mut self,
        name: &str,
        commands: &[String],
        tempo: usize,
    ) -> Result<(Script, Vec<Difference>), String> {
        let ground = match self.ground.take() {
            Some(ground) => ground,
            None => self.brokers.ground()?,
        };
        let script = Script::parse(name, &walk::script(self.kind, commands))?;
        let mut records = play(&script, &ground.id, &ground.endpoints, TEMPOS[tempo])?;
        self.known.replace(&mut records);
        let differences = compare(&records[0], &records[1]);
        let is_clean = ground.endpoints.iter().all(|endpoint| {
            let mut probe = Probe::open(endpoint);
            probe
                .as_mut()
                .is_ok_and(|probe| probe.delete(walk::QUEUES, walk::EXCHANGES).is_ok())
        });
        // After a difference nothing is known about what is left.
        if is_clean && differences.is_empty() {
            self.ground = Some(ground);
        }
        Ok((script, differences))
    }

    /// Takes away what the difference does not need.
    fn shrink(&mut self, name: &str, mut commands: Vec<String>) -> Vec<String> {
        let until = Instant::now() + SHRINK;
        let mut size = commands.len().div_ceil(2);
        while size > 0 && Instant::now() < until {
            let mut at = 0;
            while at < commands.len() && Instant::now() < until {
                let end = (at + size).min(commands.len());
                let mut fewer = commands.clone();
                fewer.drain(at..end);
                match self.differences(name, &fewer, 1) {
                    Ok((_, differences)) if !differences.is_empty() => commands = fewer,
                    Ok(_) | Err(_) => at = end,
                }
            }
            size /= 2;
        }
        commands
    }

    /// Prints what is wrong with this seed's walk; whether it was equal.
    fn judge(&mut self, seed: u64, printing: &Mutex<()>) -> bool {
        let name = format!("{} {seed}", self.kind.name());
        let commands = walk::walk(self.kind, seed);
        for tempo in 0..TEMPOS.len() {
            match self.differences(&name, &commands, tempo) {
                Ok((_, differences)) if differences.is_empty() => return true,
                Ok(_) => {}
                Err(reason) => {
                    println!("not ok {name}: {reason}");
                    return false;
                }
            }
        }
        let commands = self.shrink(&name, commands);
        let outcome = self.differences(&name, &commands, 2);
        let _printing = printing.lock();
        println!("not ok {name}, as a script:");
        println!("{}", walk::script(self.kind, &commands));
        match outcome {
            Ok((script, differences)) => print_differences(&script, &differences),
            Err(reason) => println!("{reason}"),
        }
        false
    }
}

/// How many walks were equal, and how many not.
pub(crate) fn run(
    kind: Kind,
    count: u64,
    options: &Options,
    brokers: &Brokers,
    known: &Known,
) -> (usize, usize) {
    let seeds = options.seed..options.seed.saturating_add(count);
    if seeds.is_empty() {
        return (0, 0);
    }
    println!("{count} {}s from seed {}", kind.name(), options.seed);
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new((0, 0));
    let printing = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, 64) {
            scope.spawn(|| {
                let mut worker = Worker {
                    brokers,
                    known,
                    kind,
                    ground: None,
                };
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) || tally.lock().1 >= FAILED_MAX {
                        return;
                    }
                    let is_equal = worker.judge(seed, &printing);
                    let mut tally = tally.lock();
                    if is_equal {
                        tally.0 += 1;
                    } else {
                        tally.1 += 1;
                    }
                }
            });
        }
    });
    tally.into_inner()
}
