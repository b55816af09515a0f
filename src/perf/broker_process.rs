//! What the broker's process has used, as Linux tells.

use std::fs;
use std::io;

use crate::perf::PerfError;

/// Another process on this machine.
#[derive(Debug, Clone, Copy)]
pub struct BrokerProcess {
    pid: u32,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU time, in the process and in the kernel for it.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub rss_bytes: u64,
}

impl BrokerProcess {
    /// The process of that id.
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// What it has used by now.
    pub fn usage(self) -> Result<Usage, PerfError> {
        self.read().map_err(|source| PerfError::Process {
            pid: self.pid,
            source,
        })
    }

    fn read(self) -> io::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = after_name
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or(0);
        // On every Linux that there is.
        const TICKS: f64 = 100.0;
        const PAGE_BYTES: u64 = 4096;
        Ok(Usage {
            cpu_seconds: (field(11) + field(12)) as f64 / TICKS,
            rss_bytes: field(21) * PAGE_BYTES,
        })
    }
}
