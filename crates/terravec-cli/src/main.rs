//! The `terravec` command: reads arguments, calls the engine, prints. No logic of its own.

mod args;
mod report;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    // A run that is told to stop leaves no half-written output.
    let _ = ctrlc::set_handler(|| {
        terravec_io::atomic::remove_open_parts();
        std::process::exit(130);
    });
    match verbs::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report::fail(&failure, cli.json()),
    }
}
