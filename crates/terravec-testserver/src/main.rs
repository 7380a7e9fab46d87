//! `terravec-testserver ROOT`: serves a folder until it is stopped, for tests in other languages.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use terravec_testserver::{Options, Server};

/// Serve byte ranges of the files below ROOT, with latency, bandwidth and faults (?fault=status:503&times=2).
/// GET /__stats tells requests and bytes since the last time it was asked.
#[derive(Parser)]
struct Args {
    /// Folder to serve.
    root: PathBuf,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Each answer begins this many milliseconds after its request.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Bytes per second, all connections together.
    #[arg(long)]
    bandwidth: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let options = Options {
        port: args.port,
        latency: Duration::from_millis(args.latency_ms),
        bandwidth: args.bandwidth,
        ..Options::default()
    };
    match Server::start(&args.root, options) {
        Ok(server) => {
            // The one line a caller waits for.
            println!("{}", server.url());
            loop {
                std::thread::park();
            }
        }
        Err(e) => {
            eprintln!("error: {}: {e}", args.root.display());
            ExitCode::FAILURE
        }
    }
}
