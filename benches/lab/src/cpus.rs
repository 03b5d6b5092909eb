//! Which processor does what: the proxy has one to itself, so that nobody else's work is counted
//! as waiting of its own.

use std::{fmt, fs, io, process::Stdio};

use tokio::process::Command;

use crate::{error::BenchError, process::on_path};

/// Who runs where. Nobody is bound where there is no `taskset` or only one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpus {
    pub(crate) proxy: Option<u32>,
    pub(crate) upstream: Option<u32>,
    pub(crate) generator: Option<u32>,
}

impl Cpus {
    /// Shares out the processors this process may use.
    pub(crate) fn share() -> Self {
        let allowed = fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| Some(allowed(&status)?.collect::<Vec<u32>>()));
        match allowed {
            Some(allowed) if on_path("taskset").is_some() => Self::among(&allowed),
            _ => Self::among(&[]),
        }
    }

    fn among(allowed: &[u32]) -> Self {
        let (proxy, upstream, generator) = match *allowed {
            [] | [_] => (None, None, None),
            [first, second] => (Some(second), Some(first), Some(first)),
            // The first one tends to have the machine's own work.
            [first, second, third, ..] => (Some(third), Some(second), Some(first)),
        };
        Self {
            proxy,
            upstream,
            generator,
        }
    }
}

/// Lets processes that run already, with all their threads, use every processor there is.
pub(crate) async fn unbind(pids: &[u32]) -> Result<(), BenchError> {
    let doing = |error| BenchError::io("have processes use all processors", error);
    let all = fs::read_to_string("/sys/devices/system/cpu/online").map_err(doing)?;
    for pid in pids {
        let mut command = Command::new("taskset");
        command
            .args(["--all-tasks", "--cpu-list", "--pid", all.trim()])
            .arg(pid.to_string())
            .stdout(Stdio::null());
        let status = command.status().await.map_err(doing)?;
        if !status.success() {
            return Err(doing(io::Error::other(format!(
                "taskset ended with {status}"
            ))));
        }
    }
    Ok(())
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.proxy, self.upstream, self.generator) {
            (Some(proxy), Some(upstream), Some(generator)) if upstream == generator => {
                write!(
                    f,
                    "the proxy on CPU {proxy}, generator and upstream on CPU {generator}"
                )
            }
            (Some(proxy), Some(upstream), Some(generator)) => write!(
                f,
                "the proxy on CPU {proxy}, the upstream on CPU {upstream}, the generator on CPU \
                 {generator}"
            ),
            _ => f.write_str("not bound to any CPU"),
        }
    }
}

/// The processors of a `Cpus_allowed_list` such as `0-3,8`.
fn allowed(status: &str) -> Option<impl Iterator<Item = u32>> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let ranges = list.trim().split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.parse().ok()?..=to.parse().ok()?)
    });
    Some(ranges.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_processors_are_read() {
        let status = "Name:\tx\nCpus_allowed_list:\t0-2,8\n";
        let list: Vec<u32> = allowed(status).expect("a list").collect();
        assert_eq!(list, [0, 1, 2, 8]);
    }

    #[test]
    fn the_proxy_shares_its_processor_with_nobody() {
        for allowed in [&[0, 1][..], &[3, 5, 7], &[0, 1, 2, 3]] {
            let cpus = Cpus::among(allowed);
            assert!(cpus.proxy.is_some(), "{cpus}");
            assert!(
                cpus.proxy != cpus.generator && cpus.proxy != cpus.upstream,
                "{cpus}"
            );
        }
        assert_eq!(Cpus::among(&[4]).proxy, None);
    }
}
