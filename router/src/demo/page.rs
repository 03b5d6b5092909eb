//! What the demo writes to its standard output.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    time::Duration,
};

use super::DemoError;

/// The width of a row's first column, in characters.
const STEP_WIDTH: usize = 34;
/// The width of a row's second column.
const RESULT_WIDTH: usize = 6;

/// Standard output, line by line.
#[derive(Debug)]
pub(super) struct Page {
    out: io::Stdout,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { out: io::stdout() }
    }

    /// Writes one line.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), DemoError> {
        writeln!(self.out, "{line}")
            .and_then(|()| self.out.flush())
            .map_err(|error| DemoError::io("write to standard output", error))
    }

    /// Writes one row of the tour's table.
    pub(super) fn row(
        &mut self,
        step: &str,
        result: &str,
        figure: impl Display,
    ) -> Result<(), DemoError> {
        self.line(format_args!(
            "{step:STEP_WIDTH$}  {result:RESULT_WIDTH$}  {figure}"
        ))
    }
}

/// Bytes as people read them: in kilobytes below a megabyte, in tenths of megabytes above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(bytes @ ..1_000_000) => write!(f, "{} kB", bytes / 1_000),
            Self(bytes) => write!(f, "{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        }
    }
}

/// A duration as people read it: in milliseconds below a second, in tenths of seconds above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took(pub(super) Duration);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration) = self;
        if *duration < Duration::from_secs(1) {
            write!(f, "{} ms", duration.as_millis())
        } else {
            write!(f, "{:.1} s", duration.as_secs_f64())
        }
    }
}

/// A large number in groups of three digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        let counts = [7, 100, 1_000, 3_318_144].map(|count| Count(count).to_string());
        assert_eq!(counts, ["7", "100", "1,000", "3,318,144"]);
        let sizes = [940_032, 70_338_424].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(sizes, ["940 kB", "70.3 MB"]);
        let times = [999, 1_250].map(|ms| Took(Duration::from_millis(ms)).to_string());
        assert_eq!(times, ["999 ms", "1.2 s"]);
    }
}
