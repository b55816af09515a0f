//! What the machine gives the node and what the node takes: memory, file descriptors, disk.
//!
//! Read from `/proc` and the control group when somebody asks. What cannot be read counts as 0, or as without a limit.

use std::fs;
use std::path::Path;

/// Figures of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Machine {
    /// Resident memory of the process in octets.
    pub memory_used: u64,
    /// Memory there is: the machine's, or what its control group allows.
    pub memory_total: u64,
    /// Open file descriptors.
    pub files_open: u64,
    /// File descriptors that may be open.
    pub files_max: u64,
    /// Of those that are open, sockets.
    pub sockets_open: u64,
    /// Octets free on the disk of the data directory.
    pub disk_free: u64,
    /// Threads of the process.
    pub threads: u64,
    /// How often the system has put another thread in the place of one of these.
    pub context_switches: u64,
    /// Milliseconds of processor time that the process has used.
    pub cpu_millis: u64,
}

impl Machine {
    /// Looks now; `data_dir` is the directory whose disk counts.
    pub fn look(data_dir: &Path) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let (files_open, sockets_open) = open_files();
        Self {
            memory_used: kibibytes(&status, "VmRSS:"),
            memory_total: memory_total(),
            files_open,
            files_max: files_max(&limits),
            sockets_open,
            disk_free: disk_free(data_dir),
            threads: field(&status, "Threads:").unwrap_or(0),
            context_switches: context_switches(),
            cpu_millis: cpu_millis(),
        }
    }
}

/// What alarms are judged by; `None` is what could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Levels {
    /// Resident memory of the process in octets.
    pub memory_used: Option<u64>,
    /// Memory there is: the machine's, or what its control group allows.
    pub memory_total: Option<u64>,
    /// Octets free on the disk of the data directory.
    pub disk_free: Option<u64>,
}

impl Levels {
    /// Looks now, which costs a few small reads.
    pub fn look(data_dir: &Path) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let disk = rustix::fs::statvfs(data_dir);
        Self {
            memory_used: field(&status, "VmRSS:").map(|kibibytes| kibibytes.saturating_mul(1024)),
            memory_total: Some(memory_total()).filter(|total| *total > 0),
            disk_free: disk.ok().map(free_octets),
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kibibytes(text: &str, name: &str) -> u64 {
    field(text, name).unwrap_or(0).saturating_mul(1024)
}

/// What the machine has, or its control group allows if that is less.
pub fn memory_total() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = kibibytes(&info, "MemTotal:");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = groups.lines().filter_map(limit_of_group).min();
    allowed.map_or(machine, |allowed| allowed.min(machine))
}

/// The memory limit of one line of `/proc/self/cgroup`: of the group, or of one above it.
fn limit_of_group(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let root = Path::new(root);
    let group = root.join(group.trim_start_matches('/'));
    // Within a container the group's own name is often not to be seen; its files are then at the root.
    let above = group.ancestors().take_while(|path| path.starts_with(root));
    above
        .filter_map(|path| fs::read_to_string(path.join(file)).ok())
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

/// The system tells it of each thread.
fn context_switches() -> u64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let of_thread = |path: std::path::PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let kinds = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
        let counts = kinds.map(|kind| field(&status, kind).unwrap_or(0));
        counts.iter().sum::<u64>()
    };
    threads
        .flatten()
        .map(|thread| of_thread(thread.path()))
        .sum()
}

fn cpu_millis() -> u64 {
    // The system counts in hundredths of a second, whatever its own clock does.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may have anything in it but ends with the last parenthesis.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks = fields.filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}

fn files_max(limits: &str) -> u64 {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

fn open_files() -> (u64, u64) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return (0, 0);
    };
    let (mut open, mut sockets) = (0, 0);
    for entry in entries.flatten() {
        open += 1;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    (open, sockets)
}

fn disk_free(data_dir: &Path) -> u64 {
    rustix::fs::statvfs(data_dir).map_or(0, free_octets)
}

fn free_octets(disk: rustix::fs::StatVfs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let machine = Machine::look(Path::new("/"));
        assert!(machine.memory_used > 0 && machine.memory_used < machine.memory_total);
        assert!(machine.files_open > 0 && machine.files_open <= machine.files_max);
        assert!(machine.threads > 0 && machine.context_switches > 0);
        assert!(machine.disk_free > 0);
        let levels = Levels::look(Path::new("/"));
        assert_eq!(levels.memory_total, Some(machine.memory_total));
        assert!(levels.memory_used > Some(0) && levels.disk_free > Some(0));
        let nowhere = Levels::look(Path::new("/no/such/directory"));
        assert_eq!(nowhere.disk_free, None);
    }

    #[test]
    fn what_is_no_group_has_no_limit() {
        for line in ["", "1:cpu:/", "0::", "2:memory:/no/such/group-at-all"] {
            // Whatever the machine's own root allows.
            let _ = limit_of_group(line);
        }
        assert_eq!(limit_of_group("nonsense"), None);
        assert_eq!(files_max("Max open files  1024  2048 files"), 1024);
        assert_eq!(files_max(""), 0);
    }
}
