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
    settled_each(cli, bound, &[], || Ok(vec![estimate()?]))
}

/// The same of several datasets, each told apart by its name.
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
    let all = match each.as_slice() {
        [one] => one.clone(),
        many => many.iter().cloned().sum(),
    };
    if bound.dry_run {
        tell(cli, bound, &all, &names.iter().zip(&each).collect::<Vec<_>>())?;
    }
    allow(all.bytes, bound.max_bytes.as_deref())?;
    Ok(bound.dry_run)
}

fn tell(
    cli: &Cli,
    bound: &Bound,
    estimate: &Estimate,
    datasets: &[(&String, &Estimate)],
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
        if !datasets.is_empty() {
            let each = datasets.iter().map(|(name, e)| serde_json::json!({ "dataset": name, "estimate": e }));
            told["datasets"] = each.collect();
        }
        print_json(&told);
        return Ok(());
    }
    for (name, e) in datasets {
        let bytes = show_size(e.bytes);
        println!("{name}: {} files, {} requests, {bytes} ({})", e.files, e.requests, e.basis);
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
