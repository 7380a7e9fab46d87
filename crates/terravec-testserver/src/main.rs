//! `terravec-testserver ROOT`: serves a folder until it is stopped, for tests in other languages.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use terravec_testserver::{Fault, Options, Rule, Server, StoreOptions};

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
    /// A fault for every request, written as in a query: status:503, stall:1000, hangup, …
    #[arg(long)]
    fault: Option<String>,
    /// The fault strikes this many requests.
    #[arg(long, default_value_t = u64::MAX)]
    times: u64,
    /// The fault strikes after this many requests.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Of these, the fault strikes only each so-many-th.
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// What an Authorization or query must contain to be let in.
    #[arg(long)]
    secret: Option<String>,
    /// Publish the MD5 of each file.
    #[arg(long)]
    md5: bool,
    /// Objects on a page of a list.
    #[arg(long, default_value_t = 0)]
    page: usize,
    /// Where files of Hugging Face are sent to.
    #[arg(long)]
    elsewhere: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let options = Options {
        port: args.port,
        latency: Duration::from_millis(args.latency_ms),
        bandwidth: args.bandwidth,
        md5: args.md5,
        store: StoreOptions {
            secret: args.secret,
            page: args.page,
            elsewhere: args.elsewhere,
            ..StoreOptions::default()
        },
        ..Options::default()
    };
    let fault = match args.fault.as_deref().map(Fault::parse) {
        Some(None) => {
            eprintln!("error: --fault is none that is known");
            return ExitCode::FAILURE;
        }
        fault => fault.flatten(),
    };
    match Server::start(&args.root, options) {
        Ok(server) => {
            server.set_faults(fault.map(|f| Rule::times(args.times, f).after(args.skip).every(args.every)));
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
