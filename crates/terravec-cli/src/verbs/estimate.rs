//! `--dry-run` and `--max-bytes`: what a verb would cost, before it reads anything but headers.

use terravec::Result;
use terravec::cache::show_size;
use terravec::estimate::{Estimate, Line, allow};

use crate::args::{Bound, Cli};
use crate::report::{Failure, print_json};

/// Whether that was all: a dry run. Fails where more would be read than is allowed.
pub(crate) fn settled(
    cli: &Cli,
    bound: &Bound,
    estimate: impl FnOnce() -> Result<Estimate>,
) -> Result<bool, Failure> {
    if !bound.dry_run && bound.max_bytes.is_none() {
        return Ok(false);
    }
    let estimate = estimate()?;
    if bound.dry_run {
        tell(cli, bound, &estimate, None)?;
    }
    allow(estimate.bytes, bound.max_bytes.as_deref())?;
    Ok(bound.dry_run)
}

/// The same of several datasets, each told apart.
pub(crate) fn settled_each(
    cli: &Cli,
    bound: &Bound,
    names: &[String],
    estimates: impl FnOnce() -> Result<Vec<Estimate>>,
) -> Result<bool, Failure> {
    if !bound.dry_run && bound.max_bytes.is_none() {
        return Ok(false);
    }
    let each = estimates()?;
    let all = each.iter().cloned().sum();
    if bound.dry_run {
        let told = names.iter().zip(&each);
        if cli.json() {
            let datasets: Vec<_> =
                told.map(|(name, e)| serde_json::json!({ "dataset": name, "estimate": e })).collect();
            tell(cli, bound, &all, Some(datasets))?;
        } else {
            for (name, e) in told {
                println!(
                    "{name}: {} files, {} requests, {} ({})",
                    e.files,
                    e.requests,
                    show_size(e.bytes),
                    e.basis
                );
            }
            tell(cli, bound, &all, None)?;
        }
    }
    allow(all.bytes, bound.max_bytes.as_deref())?;
    Ok(bound.dry_run)
}

fn tell(
    cli: &Cli,
    bound: &Bound,
    estimate: &Estimate,
    datasets: Option<Vec<serde_json::Value>>,
) -> Result<(), Failure> {
    let default = Line::default();
    let bandwidth = bound.bandwidth.as_deref().map(Line::parse_bandwidth).transpose()?;
    let line = Line {
        bandwidth: bandwidth.unwrap_or(default.bandwidth),
        usd_per_gb: bound.price.unwrap_or(default.usd_per_gb),
    };
    let (seconds, usd) = (line.seconds(estimate), line.usd(estimate.bytes));
    if cli.json() {
        let mut told =
            serde_json::json!({ "estimate": estimate, "line": line, "seconds": seconds, "usd": usd });
        if let Some(datasets) = datasets {
            told["datasets"] = datasets.into();
        }
        print_json(&told);
        return Ok(());
    }
    println!("files    {} ({} opened for this)", estimate.files, estimate.files_opened);
    println!("requests {}", estimate.requests);
    println!("read     {} ({})", show_size(estimate.bytes), estimate.basis);
    println!("answer   {} of numbers", show_size(estimate.answer_bytes));
    println!("memory   about {} at most", show_size(estimate.memory));
    println!("time     {} at {}/s", show_time(seconds), show_size(line.bandwidth as u64));
    println!("transfer {usd:.2} USD at {} USD/GB, to whoever pays the host", line.usd_per_gb);
    Ok(())
}

fn show_time(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
