//! `gradproof completions` and `gradproof man`: what shells and `man` want to know of the command line.

use crate::{
    cli::{Cli, Completions, Man},
    outcome::Outcome,
};
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::fs;
use tensorfile::words::count;

/// The script of a shell.
pub fn completions(args: &Completions) -> Result<Outcome> {
    let (mut outcome, mut script) = (Outcome::default(), vec![]);
    clap_complete::generate(args.shell, &mut Cli::command(), "gradproof", &mut script);
    let script = String::from_utf8(script)?;
    outcome.say(script.trim_end());
    outcome.with(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }))
}

/// A page for the program and one for every command.
pub fn man(args: &Man) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let told = || format!("cannot write into `{}`", args.out.display());
    fs::create_dir_all(&args.out).with_context(told)?;
    clap_mangen::generate_to(Cli::command(), &args.out).with_context(told)?;
    let pages = args.out.read_dir().with_context(told)?.count();
    outcome.say(&format!("{} in {}", count(pages, "page"), args.out.display()));
    outcome.with(&serde_json::json!({ "folder": args.out, "pages": pages }))
}
