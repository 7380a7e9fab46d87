//! The `terravec` command: reads arguments, calls the engine, prints. No logic of its own.

mod args;
mod report;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse_from(args::joined(std::env::args_os()));
    match verbs::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report::fail(&failure, cli.json()),
    }
}
