//! What the kernel accounts to a process and those it started: CPU time and resident memory.

use std::{collections::BTreeMap, fs, time::Duration};

use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// `USER_HZ`, the unit of `/proc/PID/stat`, the same on all of Linux's usual architectures.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time that processes have used so far, in user and kernel mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Nanoseconds by thread, of those that live; empty where the kernel does not tell.
    threads: BTreeMap<String, u64>,
    /// Of all threads there ever were and of children that have ended, in hundredths of a second.
    ticks: u64,
}

/// Resident memory, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Of several processes: what they share counts once.
    pub(crate) resident: u64,
    /// The most ever; of several processes, the greatest of each together, which may be more than
    /// there was at any one time.
    pub(crate) peak: u64,
}

impl CpuTime {
    /// Of a process and all that it started.
    pub(crate) fn of_tree(pid: u32) -> Result<Self, BenchError> {
        let mut sum = Self::of(pid)?;
        for child in tree(pid).into_iter().filter(|child| *child != pid) {
            // One that ends meanwhile is accounted to its parent.
            if let Ok(Self { threads, ticks }) = Self::of(child) {
                sum.threads.extend(threads);
                sum.ticks += ticks;
            }
        }
        Ok(sum)
    }

    fn of(pid: u32) -> Result<Self, BenchError> {
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
    /// Of a process and all that it started.
    pub(crate) fn of_tree(pid: u32) -> Result<Self, BenchError> {
        let pids = tree(pid);
        if pids.len() < 2 {
            return Self::of(pid);
        }
        let (mut resident, mut peak) = (0, 0);
        for pid in pids {
            // Workers come and go.
            let Ok(own) = Self::of(pid) else {
                continue;
            };
            let rollup = read(&format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            resident += kib(&rollup, "Pss:").unwrap_or(own.resident);
            peak += own.peak;
        }
        Ok(Self { resident, peak })
    }

    fn of(pid: u32) -> Result<Self, BenchError> {
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

/// Has the peak of a process and of all that it started begin anew, from what is resident now.
pub(crate) fn reset_peak(pid: u32) -> Result<(), BenchError> {
    for pid in tree(pid) {
        let file = format!("/proc/{pid}/clear_refs");
        fs::write(&file, "5").map_err(|error| BenchError::io(format!("write {file}"), error))?;
    }
    Ok(())
}

/// A process, the processes it started, those that they started, and so on.
pub(crate) fn tree(pid: u32) -> Vec<u32> {
    let parents = parents();
    let mut tree = vec![pid];
    let mut at = 0;
    while let Some(&parent) = tree.get(at) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        tree.extend(children.map(|(child, _)| *child));
        at += 1;
    }
    tree
}

/// All processes, each with its parent. Not every kernel lists children.
fn parents() -> Vec<(u32, u32)> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let one = |process: fs::DirEntry| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let parent = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    };
    processes.filter_map(Result::ok).filter_map(one).collect()
}

/// `utime`, `stime`, `cutime` and `cstime`, from the 14th field on; the 2nd is a name that may hold
/// anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields = rest.split_ascii_whitespace().skip(11).take(4);
    let times: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
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
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 7 5 1 2 20 0 1 0 100 200 300";
        assert_eq!(ticks(stat), Some(15));
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
    fn children_of_children_belong_to_the_tree() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 30 & wait"])
            .spawn()
            .expect("started");
        let deadline = Instant::now() + Duration::from_secs(30);
        let mine = loop {
            let mine = tree(std::process::id());
            if tree(shell.id()).len() == 2 {
                break mine;
            }
            assert!(Instant::now() < deadline, "no child of {mine:?} seen");
        };
        let its = tree(shell.id());
        for pid in &its[1..] {
            let pid = i32::try_from(*pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            let killed =
                rustix::process::kill_process(pid.expect("an id"), rustix::process::Signal::KILL);
            killed.expect("killed");
        }
        shell.wait().expect("ended");
        assert!(mine.contains(&shell.id()), "{mine:?}");
    }

    #[test]
    fn this_process_has_used_some_of_both() {
        let pid = std::process::id();
        let memory = Memory::of_tree(pid).expect("told");
        assert!(
            memory.resident > 0 && memory.peak >= memory.resident,
            "{memory:?}"
        );
        let before = CpuTime::of_tree(pid).expect("told");
        let deadline = Instant::now() + Duration::from_secs(30);
        while CpuTime::of_tree(pid)
            .expect("told")
            .since(&before)
            .is_zero()
        {
            assert!(Instant::now() < deadline, "working took no CPU time");
        }
    }
}
