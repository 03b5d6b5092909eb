//! `mirador operator`: credentials of those who may use the admin API.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};

use super::{Failure, output::Terminal};
use crate::config::TokenHash;

/// Make credentials for the admin API.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador operator token        a token for its holder, a hash for the configuration")]
pub(super) struct OperatorCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token, and its hash for the configuration
    ///
    /// Nothing is kept: the token is shown here and nowhere else. Asks nobody.
    Token,
}

impl OperatorCommand {
    pub(super) fn run(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let Action::Token = self.action;
        let token = new_token();
        terminal.say(&format_args!("token:        {token}"))?;
        terminal.say(&format_args!("token_sha256: {}", TokenHash::of(&token)))
    }
}

/// 256 random bits, with a prefix by which scanners for leaked secrets know it.
fn new_token() -> String {
    let bits: [u8; 32] = rand::random();
    format!("mop_{}", BASE64_URL_SAFE_NO_PAD.encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_another_and_comes_with_its_hash() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let command = OperatorCommand {
            action: Action::Token,
        };
        command
            .run(&mut Terminal::new(&mut out, &mut err))
            .expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        let (token, hash) = text.trim().split_once('\n').expect("two lines");
        let token = token.strip_prefix("token:").expect("a token").trim();
        let hash = hash.strip_prefix("token_sha256:").expect("a hash").trim();
        assert_eq!(
            (token.len(), hash),
            (47, &*TokenHash::of(token).to_string())
        );
        assert_ne!(new_token(), new_token());
    }
}
