//! What the kernel accounts to a process: CPU time and resident memory.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::error::BenchError;

/// `USER_HZ`, the unit of `/proc/PID/stat`, the same on all of Linux's usual architectures.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time a process has used so far, in user and kernel mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Nanoseconds by thread, of those that live; empty where the kernel does not tell.
    threads: BTreeMap<String, u64>,
    /// Of all threads there ever were, in hundredths of a second.
    ticks: u64,
}

/// Resident memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl CpuTime {
    pub(crate) fn of(pid: u32) -> Result<Self, BenchError> {
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let ticks = ticks(&stat).ok_or_else(|| BenchError::Unexpected {
            what: "/proc/PID/stat",
            text: stat.clone(),
        })?;
        Ok(Self {
            threads: threads(pid),
            ticks,
        })
    }

    /// What was used since `earlier`. To the nanosecond, but to the hundredth of a second only if
    /// a thread has ended in between, whose share the fine account no longer shows.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let complete = !self.threads.is_empty()
            && earlier
                .threads
                .keys()
                .all(|thread| self.threads.contains_key(thread));
        if !complete {
            let ticks = self.ticks.saturating_sub(earlier.ticks);
            return Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        }
        let used = self.threads.iter().map(|(thread, now)| {
            now.saturating_sub(earlier.threads.get(thread).copied().unwrap_or_default())
        });
        Duration::from_nanos(used.sum())
    }
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self, BenchError> {
        let status = read(&format!("/proc/{pid}/status"))?;
        let field = |name| {
            kib(&status, name).ok_or_else(|| BenchError::Unexpected {
                what: "/proc/PID/status",
                text: status.clone(),
            })
        };
        Ok(Self {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

/// `utime` and `stime`, the 14th and 15th field; the 2nd is a name that may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The file of a process tells of its first thread only, so each thread's own is read.
fn threads(pid: u32) -> BTreeMap<String, u64> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return BTreeMap::new();
    };
    let one = |task: fs::DirEntry| {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let on_cpu = schedstat.split_ascii_whitespace().next()?.parse().ok()?;
        Some((task.file_name().to_string_lossy().into_owned(), on_cpu))
    };
    tasks.filter_map(Result::ok).filter_map(one).collect()
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn read(file: &str) -> Result<String, BenchError> {
    fs::read_to_string(file).map_err(|error| BenchError::io(format!("read {file}"), error))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn time(threads: &[(&str, u64)], ticks: u64) -> CpuTime {
        let threads = threads
            .iter()
            .map(|(thread, used)| ((*thread).into(), *used))
            .collect();
        CpuTime { threads, ticks }
    }

    #[test]
    fn a_process_name_with_parentheses_is_passed_over() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 7 5 0 0 20 0 1 0 100 200 300";
        assert_eq!(ticks(stat), Some(12));
    }

    #[test]
    fn new_threads_count_from_nothing() {
        let used = time(&[("1", 1500), ("2", 300)], 9).since(&time(&[("1", 1000)], 0));
        assert_eq!(used, Duration::from_nanos(800));
    }

    #[test]
    fn the_coarse_account_stands_in_when_a_thread_has_ended() {
        let used = time(&[("1", 1500)], 9).since(&time(&[("1", 1000), ("2", 300)], 4));
        assert_eq!(used, Duration::from_millis(50));
    }

    #[test]
    fn this_process_has_used_some_of_both() {
        let pid = std::process::id();
        let memory = Memory::of(pid).expect("told");
        assert!(
            memory.resident > 0 && memory.peak >= memory.resident,
            "{memory:?}"
        );
        let before = CpuTime::of(pid).expect("told");
        let deadline = Instant::now() + Duration::from_secs(30);
        while CpuTime::of(pid).expect("told").since(&before).is_zero() {
            assert!(Instant::now() < deadline, "working took no CPU time");
        }
    }
}
