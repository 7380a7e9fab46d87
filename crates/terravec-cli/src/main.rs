//! The `terravec` command: reads arguments, calls the engine, prints. No logic of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    end_with_the_reader();
    ExitCode::from(terravec_cli::run(std::env::args_os()))
}

/// Whoever reads the output may stop early, as `head` does. Printing fails then, which is no fault to be reported.
fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to std") && text.contains("Broken pipe") {
            std::process::exit(0);
        }
        report(info);
    }));
}
