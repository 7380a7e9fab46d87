//! `cache`: what is kept of what came over the network.

use terravec::cache::{CacheSetup, of, show_size};
use terravec_io::source::cache::Cache;

use super::Outcome;
use crate::args::{CacheArgs, CacheVerb, Cli};
use crate::report::{Failure, print_json};

/// What the command line says of the cache.
pub(crate) fn setup(cli: &Cli) -> CacheSetup {
    CacheSetup {
        folder: cli.cache_dir.clone(),
        size: cli.cache_size.clone(),
        none: cli.no_cache,
        offline: cli.offline,
    }
}

pub(crate) fn run(cli: &Cli, args: &CacheArgs) -> Outcome {
    let Some(cache) = of(&setup(cli))? else {
        return Err(Failure::usage(
            "there is no cache",
            "name a folder with --cache-dir, and leave --no-cache out",
        ));
    };
    let failed =
        |e: std::io::Error| terravec::Error::Write { path: cache.options().folder.clone(), source: e };
    match args.what {
        CacheVerb::Info => info(cli, &cache),
        CacheVerb::Clear => {
            let bytes = cache.clear().map_err(failed)?;
            if cli.json() {
                print_json(&serde_json::json!({ "cleared": bytes }));
            } else {
                println!("{} cleared", show_size(bytes));
            }
            Ok(())
        }
        CacheVerb::Verify => {
            let verified = cache.verify().map_err(failed)?;
            if cli.json() {
                print_json(&verified);
            } else {
                println!(
                    "{} entries are what was fetched, {} were not and are gone",
                    verified.good, verified.removed
                );
            }
            Ok(())
        }
    }
}

fn info(cli: &Cli, cache: &Cache) -> Outcome {
    let info = cache
        .info()
        .map_err(|e| terravec::Error::Write { path: cache.options().folder.clone(), source: e })?;
    if cli.json() {
        print_json(&info);
    } else {
        println!("folder   {}", info.folder.display());
        println!("objects  {}", info.objects);
        println!("entries  {}", info.entries);
        println!("size     {} of at most {}", show_size(info.bytes), show_size(info.limit));
    }
    Ok(())
}
