//! The `terravec` command: reads arguments, calls the engine, prints. No logic of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(terravec_cli::run(std::env::args_os()))
}
