//! Options of `gradproof completions` and `gradproof man`.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell, as in `gradproof completions bash > ~/.local/share/bash-completion/completions/gradproof`
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// Folder of the pages, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
