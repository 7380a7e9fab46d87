//! The `terravec` command as a library, so that the Python package can bring it along.

mod args;
mod report;
mod verbs;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

/// Runs the command with `arguments` (the program's name first) and gives its exit code.
///
/// Prints to standard output and standard error.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let cli = match args::Cli::try_parse_from(args::joined(arguments)) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way too; nobody to tell if even that can't be printed.
            let _ = e.print();
            return u8::try_from(e.exit_code()).unwrap_or(2);
        }
    };
    let code = match verbs::run(&cli) {
        Ok(()) => 0,
        Err(failure) => report::fail(&failure, cli.json()),
    };
    // Inside another program nobody else does it at the end.
    let _ = std::io::stdout().flush();
    code
}
