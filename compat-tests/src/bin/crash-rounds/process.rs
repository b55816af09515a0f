//! The broker's process: started on one data directory again and again, killed in between.

use leveret_compat_tests::assertions::Checked;
use rand::Rng;
use std::fs::File;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// The longest a start may take, with all that has to be recovered.
const START_SECONDS_MAX: u64 = 30;

pub(crate) struct BrokerProcess {
    binary: PathBuf,
    directory: PathBuf,
    port: u16,
    http_port: u16,
    starts: u32,
    child: Option<Child>,
}

impl BrokerProcess {
    /// Keeps data and log under `directory`; the ports stay the same over all lives.
    pub(crate) fn new(binary: PathBuf, directory: &Path) -> Self {
        Self {
            binary,
            directory: directory.to_owned(),
            port: free_port(),
            http_port: free_port(),
            starts: 0,
            child: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    pub(crate) fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Starts the process and returns at once.
    pub(crate) fn spawn(&mut self) -> Checked {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = Command::new(&self.binary);
        // Variables that name the broker to a test are no settings of the broker's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEVERET_") {
                command.env_remove(name);
            }
        }
        // Two starts in three have a ring that soon goes round, so that there are checkpoints under the load.
        if !self.starts.is_multiple_of(3) {
            command.env("LEVERET_STORE__RING_SEGMENT_BYTES", "1048576");
            command.env("LEVERET_STORE__RING_SEGMENTS", "2");
        }
        // In every second life queues keep little in memory, and read back what they deliver.
        if self.starts.is_multiple_of(2) {
            command.env("LEVERET_QUEUE_MEMORY_BYTES", "1048576");
        }
        self.starts += 1;
        let child = command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data_directory())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--http-listen", &format!("127.0.0.1:{}", self.http_port)])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts the process and waits until it accepts; returns how long that took.
    pub(crate) async fn start(&mut self) -> Checked<Duration> {
        let started = Instant::now();
        self.spawn()?;
        loop {
            if let Some(status) = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().transpose())
            {
                let log = self.log_tail();
                return Err(format!("the broker ended at its start, {}:\n{log}", status?).into());
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(started.elapsed());
            }
            if started.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                let log = self.log_tail();
                return Err(
                    format!("nobody accepts after {START_SECONDS_MAX} seconds:\n{log}").into(),
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL. An error when the process had ended by itself.
    pub(crate) fn kill(&mut self) -> Checked {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            return Err(
                format!("the broker ended by itself, {status}:\n{}", self.log_tail()).into(),
            );
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

/// A port below those that outgoing connections get: while the broker is down, our own attempts to
/// reach it must not meet themselves.
fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(15_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Whatever it says: nothing may be left running.
        let _ = self.kill();
    }
}
