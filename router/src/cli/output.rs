//! Where commands write: answers to standard output, all else to standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;
use tenant_store::document::Faults;

use super::Failure;

/// The two streams of a command.
pub(super) struct Terminal<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns, for people.
    Table,
    /// As the admin API answers, for programs.
    Json,
    /// For people and programs; a tenant is a file that `apply` takes again.
    Yaml,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err }
    }

    /// One line of the answer.
    pub(super) fn say(&mut self, line: &dyn Display) -> Result<(), Failure> {
        writeln!(self.out, "{line}")
            .and_then(|()| self.out.flush())
            .map_err(Failure::Output)
    }

    /// One line about what went wrong. There is nobody left to tell if it can't be written.
    pub(super) fn complain(&mut self, line: &dyn Display) {
        let _ = writeln!(self.err, "{line}");
    }

    /// Each fault on a line of its own; what is left to do is to give up.
    pub(super) fn complain_of(&mut self, faults: &Faults) -> Failure {
        self.complain(faults);
        Failure::Faulty {
            count: faults.len(),
        }
    }

    /// The answer as indented JSON.
    pub(super) fn say_json(&mut self, answer: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(answer).map_err(io::Error::other);
        self.say(&text.map_err(Failure::Output)?)
    }

    /// The answer as YAML.
    pub(super) fn say_yaml(&mut self, answer: &impl Serialize) -> Result<(), Failure> {
        let mut text = String::new();
        serde_saphyr::to_fmt_writer(&mut text, answer)
            .map_err(|error| Failure::Output(io::Error::other(error.to_string())))?;
        self.say(&text.trim_end())
    }

    /// The answer as columns, each as wide as its widest cell.
    pub(super) fn say_table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: &[[String; N]],
    ) -> Result<(), Failure> {
        let head = head.map(String::from);
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = std::iter::once(&head)
                .chain(rows)
                .map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        });
        for row in std::iter::once(&head).chain(rows) {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            self.say(&cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A value as a cell of a table; `-` where there is none.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_without_trailing_blanks() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let rows = [
            ["a".into(), "long name".into()],
            ["longer".into(), String::new()],
        ];
        Terminal::new(&mut out, &mut err)
            .say_table(["ID", "NAME"], &rows)
            .expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "ID      NAME\na       long name\nlonger\n");
    }

    /// A reader that went away, as `| head` does, ends the command quietly.
    #[test]
    fn a_closed_pipe_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut err = Vec::new();
        let failure = Terminal::new(&mut Closed, &mut err)
            .say(&"line")
            .expect_err("refused");
        assert_eq!(failure.exit_code(), 0);
        assert!(!failure.is_worth_telling());
    }
}
