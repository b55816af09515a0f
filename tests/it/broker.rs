//! Runs the real binary: starts it on ports of its own and a directory of its own, waits for its line, ends it.
//!
//! A broker that panicked anywhere fails the test that used it, whatever else that test looked at.

use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::web;

/// Longest wait for anything that must happen; generous, for machines that build something else meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A command line of `leveret`, apart from the settings of whoever runs the tests.
pub(crate) struct Launch {
    command: Command,
    /// Where the log goes, if not into its file.
    stderr: Option<Stdio>,
    /// Working directory, log, settings file and, unless told otherwise, data.
    home: TempDir,
}

impl Launch {
    /// With these arguments and no others.
    pub(crate) fn bare(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        for (name, _) in std::env::vars_os() {
            if ["LEVERET_", "RABBITMQ_"]
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        // Keeps a file of the machine's out, in /etc.
        let settings = home.path().join("leveret.toml");
        fs::write(&settings, "").unwrap();
        command
            .env("LEVERET_CONFIG", &settings)
            .current_dir(home.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Self {
            command,
            stderr: None,
            home,
        }
    }

    /// `leveret serve` on free ports of this machine, in a directory of its own.
    pub(crate) fn serve() -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        let mut launch = Self::bare(&["serve"]);
        launch.command.args(ports);
        launch
    }

    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.command.arg("--data-dir").arg(path);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The settings file's text.
    pub(crate) fn settings(self, text: &str) -> Self {
        fs::write(self.home.path().join("leveret.toml"), text).unwrap();
        self
    }

    /// Where it is started, and where relative paths begin.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// So many files, sockets among them, may be open.
    pub(crate) fn open_files_max(self, count: u64) -> Self {
        self.through_shell(&format!("ulimit -n {count}"))
    }

    /// No file may grow beyond this; a write that would fails, as on a disk that is full.
    pub(crate) fn file_bytes_max(self, bytes: u64) -> Self {
        // The signal would end the process before it saw the error. The shell counts in blocks of 512 bytes.
        self.through_shell(&format!("trap '' XFSZ && ulimit -f {}", bytes / 512))
    }

    /// The log goes there, and [`Broker::log`] is empty.
    pub(crate) fn stderr(mut self, place: impl Into<Stdio>) -> Self {
        self.stderr = Some(place.into());
        self
    }

    fn through_shell(mut self, prepare: &str) -> Self {
        let mut prepared = Command::new("sh");
        prepared
            .arg("-c")
            .arg(format!("{prepare} && exec \"$0\" \"$@\""))
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => prepared.env(name, value),
                None => prepared.env_remove(name),
            };
        }
        self.command = prepared;
        self
    }

    fn spawn(mut self) -> (Child, TempDir) {
        let log = File::create(self.home.path().join("log")).unwrap();
        let stderr = self.stderr.unwrap_or_else(|| log.into());
        let child = self.command.stderr(stderr).spawn().unwrap();
        (child, self.home)
    }

    /// Starts it and waits for the line that says it is ready.
    pub(crate) fn start(self) -> Broker {
        let begun = Instant::now();
        let (mut child, home) = self.spawn();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut broker = Broker {
            child,
            home,
            ready: String::new(),
            lines,
            took: Duration::ZERO,
            amqp: Vec::new(),
            http: Vec::new(),
        };
        match broker.lines.recv_timeout(PATIENCE) {
            Ok(line) => broker.is_ready(line, begun.elapsed()),
            Err(why) => panic!("no ready line ({why}): {}", broker.log()),
        }
        broker
    }

    /// Starts it, and kills it a time later whatever it is doing then.
    pub(crate) fn kill_after(self, delay: Duration) {
        let (mut child, _home) = self.spawn();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs what is expected to end by itself; how it ended, standard output, standard error.
    pub(crate) fn run(self) -> (ExitStatus, String, String) {
        let (mut child, home) = self.spawn();
        let status = wait_for_end(&mut child, PATIENCE);
        if status.is_none() {
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        let log = fs::read_to_string(home.path().join("log")).unwrap();
        let status = status.unwrap_or_else(|| panic!("still runs after {PATIENCE:?}: {log}"));
        (status, String::from_utf8(output.stdout).unwrap(), log)
    }
}

fn wait_for_end(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A running broker; killed when dropped.
pub(crate) struct Broker {
    child: Child,
    home: TempDir,
    ready: String,
    lines: mpsc::Receiver<String>,
    took: Duration,
    amqp: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
}

impl Broker {
    /// With default settings, on an empty directory.
    pub(crate) fn start() -> Self {
        Launch::serve().start()
    }

    fn is_ready(&mut self, line: String, took: Duration) {
        let list = |from: &str, to: &str| -> Vec<SocketAddr> {
            let (_, after) = line.split_once(from).expect("the ready line");
            let (list, _) = after.split_once(to).expect("the ready line");
            if list == "off" {
                return Vec::new();
            }
            list.split(", ").map(|one| one.parse().unwrap()).collect()
        };
        self.amqp = list("AMQP on ", ", HTTP on ");
        let prometheus = line.contains(", Prometheus on ");
        let end = if prometheus {
            ", Prometheus on "
        } else {
            ", data in "
        };
        self.http = list("HTTP on ", end);
        self.ready = line;
        self.took = took;
    }

    /// The line on standard output.
    pub(crate) fn ready_line(&self) -> &str {
        &self.ready
    }

    /// What else is on standard output so far.
    pub(crate) fn further_output(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// From the start of the process to its line.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    pub(crate) fn amqp(&self) -> SocketAddr {
        self.amqp[0]
    }

    /// All addresses for AMQP.
    pub(crate) fn all_amqp(&self) -> &[SocketAddr] {
        &self.amqp
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http[0]
    }

    /// Where its data is when it was told nothing about that.
    pub(crate) fn default_data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where it was started.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Memory of the process that lies in RAM.
    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sockets and files it has open.
    pub(crate) fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).unwrap().count()
    }

    /// AMQP connections past `connection.open`.
    pub(crate) fn open_connections(&self) -> u64 {
        let overview = web::get(self.http(), "/api/overview").json();
        overview["object_totals"]["connections"].as_u64().unwrap()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(command).status().unwrap();
        assert!(status.success(), "cannot send {name}");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end of the process, which someone asked for.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        wait_for_end(&mut self.child, patience)
            .unwrap_or_else(|| panic!("still runs after {patience:?}: {}", self.log()))
    }

    /// SIGTERM, and the end with exit code 0.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// SIGKILL: as a power cut, but for what the kernel still writes.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() {
            // The end of the log says the most.
            let from = log.len().saturating_sub(4000);
            eprintln!(
                "the broker's log:\n{}",
                &log[log.ceil_char_boundary(from)..]
            );
        } else {
            assert!(!log.contains("panicked at"), "the broker panicked:\n{log}");
        }
    }
}
