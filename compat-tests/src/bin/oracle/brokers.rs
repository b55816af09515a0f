//! The two brokers: RabbitMQ from the distribution and Leveret, each a process of ours with its own
//! ports and directories, or brokers that run already.

use crate::http;
use crate::side::Endpoint;
use rand::Rng;
use std::fs::File;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Erlang starts slowly on a busy machine.
const RABBITMQ_START: Duration = Duration::from_secs(180);
const LEVERET_START: Duration = Duration::from_secs(30);

const PLUGINS: &str = "[rabbitmq_management,rabbitmq_consistent_hash_exchange,\
    rabbitmq_random_exchange,rabbitmq_recent_history_exchange,rabbitmq_sharding,\
    rabbitmq_event_exchange].\n";

/// Debian's place for the server's own scripts; those in `PATH` change the user.
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Names directories.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// A process that ends with this value, and its group with it.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let started = File::create(log).and_then(|out| {
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out)
                .process_group(0)
                .spawn()
        });
        Ok(Self {
            child: started.map_err(|error| format!("{command:?}: {error}"))?,
            log: log.to_owned(),
        })
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Until `is_up` says so.
    fn await_start(&mut self, within: Duration, is_up: impl Fn() -> bool) -> Result<(), String> {
        let until = Instant::now() + within;
        while !is_up() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "a broker ended at its start, {status}:\n{}",
                    self.log_tail()
                ));
            }
            if Instant::now() > until {
                return Err(format!(
                    "a broker did not start within {within:?}:\n{}",
                    self.log_tail()
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn has_ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{status}:\n{}", self.log_tail()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group: the server's shell has children.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports below those that outgoing connections get.
fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(15_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Addresses of AMQP and HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) amqp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Addresses {
    fn accept(&self) -> bool {
        let accepts =
            |address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        accepts(self.amqp) && accepts(self.http)
    }

    pub(crate) fn endpoint(&self, vhost: &str) -> Endpoint {
        Endpoint {
            amqp: self.amqp,
            http: self.http,
            vhost: vhost.to_owned(),
        }
    }

    fn make_vhost(&self, name: &str) -> Result<u16, String> {
        Ok(http::request(self.http, "PUT", &format!("/api/vhosts/{name}"), "")?.status)
    }
}

pub(crate) struct RabbitMq {
    pub(crate) addresses: Addresses,
    node: Option<Process>,
    /// The port mapper of this node alone.
    _mapper: Option<Process>,
}

impl RabbitMq {
    pub(crate) fn running_at(addresses: Addresses) -> Self {
        Self {
            addresses,
            node: None,
            _mapper: None,
        }
    }

    pub(crate) fn start(directory: &Path) -> Result<Self, String> {
        let server = std::env::var_os("ORACLE_RABBITMQ").unwrap_or_else(|| RABBITMQ.into());
        let path = |name: &str| directory.join(name);
        let [amqp, http, distribution, mapper] = [(); 4].map(|()| free_port());
        let write = |name: &str, text: &str| {
            std::fs::write(path(name), text).map_err(|error| format!("{name}: {error}"))
        };
        write("plugins", PLUGINS)?;
        write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\n\
                 management.tcp.port = {http}\nlog.console = true\nlog.console.level = warning\n"
            ),
        )?;
        let mut command = Command::new("epmd");
        command.args(["-port", &mapper.to_string(), "-address", "127.0.0.1"]);
        let mapper_process = Process::start(&mut command, &path("mapper.log"))?;
        let mut command = Command::new(server);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RABBITMQ_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", directory)
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_NODENAME", format!("oracle{amqp}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_PID_FILE", path("pid"));
        let mut node = Process::start(&mut command, &path("rabbitmq.log"))?;
        let addresses = Addresses {
            amqp: local(amqp),
            http: local(http),
        };
        node.await_start(RABBITMQ_START, || {
            let overview = || http::request(addresses.http, "GET", "/api/overview", "");
            addresses.accept() && overview().is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self {
            addresses,
            node: Some(node),
            _mapper: Some(mapper_process),
        })
    }

    pub(crate) fn version(&self) -> String {
        let overview = http::request(self.addresses.http, "GET", "/api/overview", "");
        overview
            .ok()
            .and_then(|answer| serde_json::from_str::<serde_json::Value>(&answer.body).ok())
            .and_then(|json| Some(json.get("rabbitmq_version")?.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// In a new virtual host.
    pub(crate) fn endpoint(&self, vhost: &str) -> Result<Endpoint, String> {
        match self.addresses.make_vhost(vhost)? {
            201 | 204 => Ok(self.addresses.endpoint(vhost)),
            status => Err(format!("RabbitMQ refuses virtual host {vhost}: {status}")),
        }
    }
}

pub(crate) struct Leveret {
    pub(crate) addresses: Addresses,
    process: Option<Process>,
    directory: PathBuf,
}

impl Leveret {
    pub(crate) fn running_at(addresses: Addresses) -> Self {
        Self {
            addresses,
            process: None,
            directory: PathBuf::new(),
        }
    }

    /// With this `compatibility.profile`.
    pub(crate) fn start(binary: &Path, profile: &str, directory: &Path) -> Result<Self, String> {
        let name = format!("leveret{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let directory = directory.join(name);
        std::fs::create_dir(&directory).map_err(|error| error.to_string())?;
        let [amqp, http] = [(); 2].map(|()| local(free_port()));
        let addresses = Addresses { amqp, http };
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEVERET_") {
                command.env_remove(name);
            }
        }
        command
            .env("LEVERET_COMPATIBILITY__PROFILE", profile)
            .arg("serve")
            .args(["--listen", &addresses.amqp.to_string()])
            .args(["--http-listen", &addresses.http.to_string()])
            .arg("--data-dir")
            .arg(directory.join("data"));
        let mut process = Process::start(&mut command, &directory.join("leveret.log"))?;
        process.await_start(LEVERET_START, || addresses.accept())?;
        Ok(Self {
            addresses,
            process: Some(process),
            directory,
        })
    }

    /// In a new virtual host.
    pub(crate) fn endpoint(&self, vhost: &str) -> Result<Endpoint, String> {
        match self.addresses.make_vhost(vhost)? {
            201 | 204 => Ok(self.addresses.endpoint(vhost)),
            status => Err(format!("Leveret refuses virtual host {vhost}: {status}")),
        }
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        self.process.as_mut().and_then(Process::has_ended)
    }
}

impl Drop for Leveret {
    fn drop(&mut self) {
        if self.process.take().is_some() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

impl RabbitMq {
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        self.node.as_mut().and_then(Process::has_ended)
    }
}
