//! `download`: files of a region into a mirror, or the weights of an encoder into the cache, when asked for.

use std::path::{Path, PathBuf};

use terravec::cache::show_size;
use terravec::location::download::{self, Wanted};
use terravec::mirror::{self, MirrorPlan, MirrorRequest};

use super::{Outcome, area, dataset, options, years};
use crate::args::{Cli, Download};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Download) -> Outcome {
    match &args.output {
        _ if args.verify => verify(cli, Path::new(&args.dataset)),
        Some(folder) => mirror(cli, args, folder),
        None => weights(cli, args),
    }
}

fn verify(cli: &Cli, folder: &Path) -> Outcome {
    let bar = Bar::new("checking", cli.quiet);
    let checked = mirror::verify(folder, &|done, all| bar.bytes(done, all))?;
    drop(bar);
    let bad: Vec<&PathBuf> = checked.damaged.iter().chain(&checked.missing).collect();
    if cli.json() {
        print_json(&checked);
    } else {
        for path in &checked.damaged {
            println!("damaged, now gone: {}", path.display());
        }
        for path in &checked.missing {
            println!("missing: {}", path.display());
        }
        println!("{} files are what was fetched ({})", checked.good, show_size(checked.bytes));
    }
    match bad.len() {
        0 => Ok(()),
        n => Err(terravec::Error::Open {
            what: format!("{}: {n} files are damaged or missing", folder.display()),
            help: "download again with the same options: only these are fetched".into(),
        }
        .into()),
    }
}

fn mirror(cli: &Cli, args: &Download, folder: &Path) -> Outcome {
    let request = MirrorRequest {
        area: area(&args.place)?,
        years: years(args.year.as_deref())?,
        folder: folder.to_owned(),
        force: args.force,
    };
    let plan = mirror::plan(&dataset(cli, &args.dataset, None)?, &request)?;
    let missing = plan.files.iter().filter(|f| !f.present).count();
    if !cli.json() {
        tell_plan(&plan, missing);
    }
    if args.dry_run {
        if cli.json() {
            print_json(&plan);
        }
        return Ok(());
    }
    terravec::estimate::allow(plan.missing_bytes, args.max_bytes.as_deref())?;
    let bar = Bar::new("downloading", cli.quiet);
    let report = plan.fetch(&|done, all| bar.bytes(done, all))?;
    drop(bar);
    if cli.json() {
        print_json(&serde_json::json!({ "folder": folder, "files": plan.files.len(), "report": report }));
        return Ok(());
    }
    let resumed = match report.resumed_bytes {
        0 => String::new(),
        n => format!(", {} were there from before", show_size(n)),
    };
    let left_out = match report.left_out {
        0 => String::new(),
        n => format!("; {n} that its list names are not at the host"),
    };
    println!(
        "{}: {} files fetched ({} came{resumed}), {} were there; {} compared with a published checksum{left_out}",
        folder.display(),
        report.fetched,
        show_size(report.bytes),
        report.present,
        report.checked
    );
    Ok(())
}

fn tell_plan(plan: &MirrorPlan, missing: usize) {
    println!("product  {} (licence: {})", plan.product, plan.licence.as_deref().unwrap_or("unknown"));
    println!("files    {} of {}", plan.files.len(), show_size(plan.bytes));
    println!("to fetch {missing} of {}", show_size(plan.missing_bytes));
}

fn weights(cli: &Cli, args: &Download) -> Outcome {
    let (spec, options) = (args.dataset.as_str(), options(cli)?);
    if spec.contains(['=', '/']) || args.place.is_said() {
        return Err(Failure::usage(
            "where to put the files is not said",
            "name a folder with -o; weights of a location encoder go into the cache: `terravec download ID`",
        ));
    }
    let wanted = download::wanted(spec, &options)?;
    if !cli.json() {
        wanted.iter().for_each(tell);
    }
    if args.dry_run {
        if cli.json() {
            print_json(&wanted);
        }
        return Ok(());
    }
    let mut fetched = Vec::new();
    for file in wanted.iter().filter(|w| args.force || !w.present) {
        let bar = Bar::new("downloading", cli.quiet);
        let done = download::fetch(file, &|done, all| bar.bytes(done, all))?;
        drop(bar);
        if !cli.json() {
            println!("{}: {} bytes, sha256 {}", done.path.display(), done.bytes, done.sha256);
        }
        fetched.push(done);
    }
    download::check(spec, &fetched, &options)?;
    if cli.json() {
        print_json(&serde_json::json!({ "wanted": wanted, "fetched": fetched }));
    } else if fetched.is_empty() {
        println!("all of it is there already");
    }
    Ok(())
}

fn tell(file: &Wanted) {
    let line = |name: &str, text: &str| println!("{name:<8} {text}");
    line("from", &file.url.to_string());
    line("to", &file.path.display().to_string());
    line("size", &file.bytes.map_or("unknown".into(), |n| format!("{n} bytes")));
    line("licence", file.licence.as_deref().unwrap_or("unknown: ask its authors before you use it"));
    let unknown = "not published; that of the first download is kept";
    line("sha256", file.sha256.as_deref().unwrap_or(unknown));
}
