//! What a program was compiled with, as the compiler left word of it in the program itself.

use std::{fs, path::Path};

use memchr::memmem;

use crate::error::CountError;

/// How the word begins; `1.95.0 (59807616e 2026-04-14)` follows.
const WORD: &[u8] = b"rustc version ";

/// Such as `rustc 1.95.0`.
pub(crate) fn of(program: &Path) -> Result<String, CountError> {
    let text = fs::read(program);
    let text =
        text.map_err(|error| CountError::io(format!("read {}", program.display()), error))?;
    named(&text).ok_or_else(|| CountError::Unexpected {
        what: "which compiler the router was built with",
        text: format!("{} does not say it", program.display()),
    })
}

fn named(program: &[u8]) -> Option<String> {
    memmem::find_iter(program, WORD).find_map(|at| {
        let rest = &program[at + WORD.len()..];
        let end = rest.iter().position(|byte| !is_of_version(*byte))?;
        let version = std::str::from_utf8(&rest[..end]).ok()?;
        version
            .starts_with(|first: char| first.is_ascii_digit())
            .then(|| format!("rustc {version}"))
    })
}

fn is_of_version(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_found_behind_what_only_looks_like_it() {
        let program = b"\x7fELF rustc version \0 .. rustc version 1.95.0 (59807616e 2026-04-14)\0";
        assert_eq!(named(program).as_deref(), Some("rustc 1.95.0"));
        assert_eq!(named(b"GCC: (Debian) 12.2.0\0"), None);
    }

    #[test]
    fn this_program_says_what_it_was_compiled_with() {
        let program = std::env::current_exe().expect("this program");
        let compiler = of(&program).expect("a compiler");
        assert!(compiler.starts_with("rustc 1."), "{compiler}");
    }
}
