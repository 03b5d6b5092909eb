//! What the kernel accounts to this process.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// CPU time used so far, in user and kernel mode, by all threads.
pub(crate) fn cpu_time() -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = schedstat.split(' ').next().context("an empty schedstat")?;
        nanos += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory in use, in bytes.
pub(crate) fn resident() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib
        .context("no VmRSS in /proc/self/status")?
        .parse::<u64>()?
        << 10)
}
