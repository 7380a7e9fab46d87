//! `download`: the weights of an encoder into the cache, when asked for.

use terravec::location::download::{self, Wanted};

use super::{Outcome, options};
use crate::args::{Cli, Download};
use crate::report::{Bar, print_json};

pub(crate) fn run(cli: &Cli, args: &Download) -> Outcome {
    let (spec, options) = (args.dataset.dataset.as_str(), options(cli)?);
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
