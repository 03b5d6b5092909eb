//! What callgrind writes: costs by function, and who called whom how often.
//!
//! Format: <https://valgrind.org/docs/manual/cl-format.html>. Only what `--separate-threads=yes
//! --collect-systime=yes` brings about is read: costs are instructions, system calls and their
//! time, in this order.
//!
//! The system calls of a function's own lines are not read. When callgrind 3.19 is told to begin from zero,
//! it forgets those of calls and of the summary, but not these.

use std::{cmp::Reverse, collections::HashMap};

/// The events that are asked for, as callgrind names them.
const EVENTS: &str = "Ir sysCount sysTime";

/// One thread between two moments.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Dump {
    /// As valgrind numbers them.
    pub(crate) thread: u32,
    system_calls: u64,
    functions: Vec<Function>,
    calls: Vec<Call>,
    files: Vec<SourceFile>,
}

/// What a function cost by itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Function {
    name: String,
    instructions: u64,
}

/// What the lines of a file cost, wherever the compiler put them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct SourceFile {
    path: String,
    instructions: u64,
}

/// Calls of one function by another, from one place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    caller: usize,
    callee: usize,
    times: u64,
    cost: Cost,
}

/// Instructions executed in user mode, and system calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) system_calls: u64,
}

/// A function with the instructions that it cost by itself and with all that it called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share<'d> {
    pub(crate) name: &'d str,
    pub(crate) own: u64,
    pub(crate) inclusive: u64,
    /// How often it was called.
    pub(crate) calls: u64,
    /// What it and all that it called asked of the kernel, readings of the clock included.
    pub(crate) system_calls: u64,
}

impl Dump {
    /// Reads a file's text; `None` if it is in another format.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader::default();
        let (mut announced, mut summary) = (None, None);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(count) = line.strip_prefix("calls=") {
                reader.call(count, lines.next()?)?;
            } else if let Some(thread) = line.strip_prefix("thread: ") {
                reader.dump.thread = thread.trim().parse().ok()?;
            } else if let Some(events) = line.strip_prefix("events: ") {
                announced = Some(events.trim());
            } else if let Some(costs) = line.strip_prefix("summary:") {
                summary = Some(Cost::parse(costs)?);
            } else if let Some((key, value)) = line.split_once('=') {
                reader.name(key, value)?;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                reader.own(line)?;
            }
        }
        reader.dump.system_calls = summary?.system_calls;
        (announced? == EVENTS).then_some(reader.dump)
    }

    /// What was executed in user mode.
    pub(crate) fn instructions(&self) -> u64 {
        let functions = self.functions.iter();
        functions.map(|function| function.instructions).sum()
    }

    /// System calls. Readings of the clock are none, except under valgrind.
    pub(crate) fn system_calls(&self) -> u64 {
        self.system_calls.saturating_sub(self.clock_readings())
    }

    /// How often the clock was read. That takes no system call, except under valgrind, which
    /// does not let the program have the kernel's page for it.
    pub(crate) fn clock_readings(&self) -> u64 {
        let read = self
            .calls
            .iter()
            .filter(|call| reads_clock(&self.functions[call.callee].name));
        read.map(|call| call.cost.system_calls).sum()
    }

    /// How often the allocator was asked for memory. What it calls inside itself is not counted.
    pub(crate) fn allocations(&self) -> u64 {
        let asked = self.calls.iter().filter(|call| {
            gives_memory(&self.functions[call.callee].name)
                && !is_allocator(&self.functions[call.caller].name)
        });
        asked.map(|call| call.times).sum()
    }

    /// Instructions by the library they were written in, the costliest first. What was inlined counts
    /// where it was written, not where it was put.
    pub(crate) fn libraries(&self) -> Vec<(&str, u64)> {
        let mut libraries: Vec<(&str, u64)> = Vec::new();
        for file in &self.files {
            let name = library(&file.path);
            match libraries.iter_mut().find(|(known, _)| *known == name) {
                Some((_, instructions)) => *instructions += file.instructions,
                None => libraries.push((name, file.instructions)),
            }
        }
        libraries.sort_by_key(|(_, instructions)| Reverse(*instructions));
        libraries
    }

    /// Who called a function, the costliest first.
    pub(crate) fn callers(&self, function: &str) -> Vec<Caller<'_>> {
        let mut callers: Vec<Caller<'_>> = Vec::new();
        let calls = self.calls.iter();
        for call in calls.filter(|call| self.functions[call.callee].name == function) {
            let name = &*self.functions[call.caller].name;
            if let Some(caller) = callers.iter_mut().find(|caller| caller.name == name) {
                caller.calls += call.times;
                caller.cost = caller.cost.plus(call.cost);
            } else {
                callers.push(Caller {
                    name,
                    calls: call.times,
                    cost: call.cost,
                });
            }
        }
        callers.sort_by_key(|caller| Reverse(caller.cost.instructions));
        callers
    }

    /// All functions.
    pub(crate) fn shares(&self) -> Vec<Share<'_>> {
        let mut shares: Vec<Share<'_>> = self
            .functions
            .iter()
            .map(|function| Share {
                name: &function.name,
                own: function.instructions,
                inclusive: function.instructions,
                calls: 0,
                system_calls: 0,
            })
            .collect();
        for call in &self.calls {
            let callee = &mut shares[call.callee];
            callee.calls += call.times;
            callee.system_calls += call.cost.system_calls;
            shares[call.caller].inclusive += call.cost.instructions;
        }
        shares
    }
}

/// What one function cost by being called by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller<'d> {
    pub(crate) name: &'d str,
    pub(crate) calls: u64,
    pub(crate) cost: Cost,
}

impl Cost {
    fn plus(self, other: Self) -> Self {
        Self {
            instructions: self.instructions + other.instructions,
            system_calls: self.system_calls + other.system_calls,
        }
    }

    /// A line's costs. Zeros at the end are left out.
    fn parse(costs: &str) -> Option<Self> {
        let mut costs = costs.split_ascii_whitespace().map(str::parse);
        let mut next = || costs.next().unwrap_or(Ok(0)).ok();
        Some(Self {
            instructions: next()?,
            system_calls: next()?,
        })
    }
}

#[derive(Debug, Default)]
struct Reader {
    dump: Dump,
    functions: Names,
    caller: Option<usize>,
    callee: Option<usize>,
    files: Names,
    file: Option<usize>,
}

impl Reader {
    fn name(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "fn" => self.caller = Some(self.function(value)?),
            "cfn" => self.callee = Some(self.function(value)?),
            "fl" | "fi" | "fe" => self.file = Some(self.file(value)?),
            // Only so that the name is known where it is abbreviated.
            "cfi" | "cfl" => drop(self.file(value)?),
            // Objects are told apart by nobody here.
            _ => {}
        }
        Some(())
    }

    fn function(&mut self, text: &str) -> Option<usize> {
        let functions = &mut self.dump.functions;
        self.functions.position(text, |name| {
            functions.push(Function {
                name: name.to_owned(),
                instructions: 0,
            });
            functions.len() - 1
        })
    }

    fn file(&mut self, text: &str) -> Option<usize> {
        let files = &mut self.dump.files;
        self.files.position(text, |path| {
            files.push(SourceFile {
                path: path.to_owned(),
                instructions: 0,
            });
            files.len() - 1
        })
    }

    fn own(&mut self, line: &str) -> Option<()> {
        let Cost { instructions, .. } = behind_position(line)?;
        self.dump.functions[self.caller?].instructions += instructions;
        self.dump.files[self.file?].instructions += instructions;
        Some(())
    }

    fn call(&mut self, count: &str, line: &str) -> Option<()> {
        self.dump.calls.push(Call {
            caller: self.caller?,
            callee: self.callee?,
            times: count.split_ascii_whitespace().next()?.parse().ok()?,
            cost: behind_position(line)?,
        });
        Some(())
    }
}

/// What a line of the source cost.
fn behind_position(line: &str) -> Option<Cost> {
    let (_position, costs) = line.split_once(' ')?;
    Cost::parse(costs)
}

/// Names that are written once and then abbreviated.
#[derive(Debug, Default)]
struct Names {
    /// Position of what has that name.
    by_name: HashMap<String, usize>,
    /// What an abbreviation such as `(12)` stands for.
    by_number: HashMap<String, usize>,
}

impl Names {
    /// `(12) name` where it comes first, then `(12)`. `add` makes a place for what is new.
    fn position(&mut self, text: &str, add: impl FnOnce(&str) -> usize) -> Option<usize> {
        let (number, name) = text.split_once(')')?;
        let name = name.trim();
        if name.is_empty() {
            return self.by_number.get(number).copied();
        }
        let known = self.by_name.get(name).copied();
        let position = known.unwrap_or_else(|| add(name));
        self.by_name.insert(name.to_owned(), position);
        self.by_number.insert(number.to_owned(), position);
        Some(position)
    }
}

/// Whose source a file is: of Mirador, of the standard library, or of a crate by its name. C sources
/// have short paths, and what has no debug information has none.
fn library(path: &str) -> &str {
    if path.contains("/library/") && path.starts_with("/rustc/") {
        return "the standard library";
    }
    let Some((_, rest)) = path.split_once("/registry/src/") else {
        const OWN: [&str; 3] = ["router/src/", "health/src/", "tenant-store/src/"];
        let is_own = OWN.iter().any(|part| path.contains(part));
        return if is_own {
            "Mirador"
        } else {
            "the C library and others"
        };
    };
    // `index.example-0123456789abcdef/hyper-1.8.1/src/…`
    let name = rest.split('/').nth(1).unwrap_or(rest);
    let version = |at: &usize| name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let end = name.match_indices('-').map(|(at, _)| at).find(version);
    &name[..end.unwrap_or(name.len())]
}

/// The allocator's doors: jemalloc's, which is the router's, and the system's.
fn gives_memory(function: &str) -> bool {
    const DOORS: [&str; 11] = [
        "_rjem_malloc",
        "_rjem_mallocx",
        "_rjem_calloc",
        "_rjem_realloc",
        "_rjem_rallocx",
        "malloc",
        "calloc",
        "realloc",
        "posix_memalign",
        "aligned_alloc",
        "memalign",
    ];
    DOORS.contains(&function)
}

/// Such as `clock_gettime@@GLIBC_2.17`.
fn reads_clock(function: &str) -> bool {
    let name = function.split('@').next().unwrap_or(function);
    ["clock_gettime", "gettimeofday", "time"].contains(&name)
}

fn is_allocator(function: &str) -> bool {
    gives_memory(function) || function.starts_with("_rjem_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 4711
cmd:  mirador serve
part: 2
thread: 5

desc: Trigger: Program termination
positions: line
events: Ir sysCount sysTime
summary: 1200 7 9100

fl=(1) /src/proxy.rs
fn=(1) router::proxy::handle::{{closure}}
10 100
+3 50
fi=(2) /src/mod.rs
* 10
cfi=(3) ???
cfn=(2) _rjem_mallocx
calls=7 0
12 700
cfn=(3) send
calls=2 0
-1 200 2 9000

fn=(2)
0 400
cfn=(4) _rjem_je_malloc_default
calls=7 0
0 300
cfn=(5) _rjem_malloc
calls=7 0
0 100

fn=(4)
0 300
fn=(5)
0 100
fn=(3)
0 200 3 9000
fn=(6) clock_gettime@@GLIBC_2.17
0 40 9 100
fn=(7) now
3 0
cfn=(6)
calls=5 0
4 40 5 100

totals: 1200 7 9100
";

    #[test]
    fn costs_and_calls_are_read_in_callgrinds_abbreviated_form() {
        let dump = Dump::parse(TEXT).expect("a dump");
        assert_eq!((dump.thread, dump.instructions()), (5, 1200));
        let shares = dump.shares();
        let handle = shares.first().expect("a function");
        assert_eq!(handle.name, "router::proxy::handle::{{closure}}");
        assert_eq!((handle.own, handle.inclusive), (160, 1060));
        let send = shares.iter().find(|share| share.name == "send");
        let send = send.expect("a function");
        assert_eq!((send.own, send.calls, send.system_calls), (200, 2, 2));
    }

    #[test]
    fn what_was_inlined_counts_where_it_was_written() {
        let text = TEXT.replace("/src/mod.rs", "/rustc/abc/library/core/src/mod.rs");
        let text = text.replace("/src/proxy.rs", "/home/x/mirador/router/src/proxy.rs");
        let dump = Dump::parse(&text).expect("a dump");
        let libraries = dump.libraries();
        let of = |name| libraries.iter().find(|(known, _)| *known == name);
        assert_eq!(of("Mirador"), Some(&("Mirador", 150)));
        let total: u64 = libraries.iter().map(|(_, instructions)| instructions).sum();
        assert_eq!(total, dump.instructions());
        let crates = "/r/registry/src/index-1a2b/hyper-util-0.1.17/src/rt/tokio.rs";
        assert_eq!(library(crates), "hyper-util");
        assert_eq!(library("???"), "the C library and others");
    }

    #[test]
    fn callers_are_told_with_what_they_caused() {
        let dump = Dump::parse(TEXT).expect("a dump");
        let [caller] = dump.callers("_rjem_mallocx")[..] else {
            panic!("one caller: {:?}", dump.callers("_rjem_mallocx"));
        };
        assert_eq!((caller.calls, caller.cost.instructions), (7, 700));
    }

    #[test]
    fn reading_the_clock_is_no_system_call_and_what_was_before_zero_is_not_counted() {
        let dump = Dump::parse(TEXT).expect("a dump");
        assert_eq!((dump.system_calls(), dump.clock_readings()), (2, 5));
    }

    #[test]
    fn what_the_allocator_calls_inside_itself_is_no_allocation() {
        assert_eq!(Dump::parse(TEXT).expect("a dump").allocations(), 7);
    }

    #[test]
    fn other_events_and_broken_files_are_refused() {
        let other = TEXT.replace("Ir sysCount sysTime", "Ir Dr Dw");
        assert_eq!(Dump::parse(&other), None);
        assert_eq!(
            Dump::parse(&TEXT.replace("fn=(1) r", "fn=(9)\nfn=(1) r")),
            None
        );
        let unsummed = TEXT.replace("summary: 1200 7 9100\n", "");
        assert_eq!(Dump::parse(&unsummed), None);
        let cut = &TEXT[..TEXT.find("12 700").expect("there")];
        assert_eq!(Dump::parse(cut), None);
    }
}
