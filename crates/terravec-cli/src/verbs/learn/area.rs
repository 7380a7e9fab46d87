//! `classify area`.

use terravec_analysis::assess::Estimate;
use terravec_analysis::map::map_areas;
use terravec_io::tiff::GeoTiff;
use terravec_io::vector;

use super::super::Outcome;
use super::say;
use crate::args::{Areas, Cli};
use crate::report::print_json;

pub(super) fn run(cli: &Cli, args: &Areas) -> Outcome {
    let points = vector::read_points(&args.reference)?;
    say(&points.warnings);
    let map = GeoTiff::open_path(&args.map)?;
    let found = map_areas(&map, &points, &args.column)?;
    if found.left_out > 0 {
        say(&[format!(
            "{} of {} points have no class, or lie where the map has none",
            found.left_out,
            points.lon.len()
        )]);
    }
    #[allow(clippy::cast_precision_loss)]
    let total = found.pixels.iter().sum::<u64>() as f64 * found.pixel_area;
    let estimate = &found.estimate;
    if cli.json() {
        let per_class = |i: usize| {
            serde_json::json!({
                "class": found.names[i],
                "mapped_pixels": found.pixels[i],
                "area_m2": estimate.area[i].share * total,
                "area_m2_half_width": estimate.area[i].half_width * total,
                "share": estimate.area[i],
                "users_accuracy": estimate.users[i],
                "producers_accuracy": estimate.producers[i],
            })
        };
        print_json(&serde_json::json!({
            "points": found.points,
            "left_out": found.left_out,
            "total_m2": total,
            "accuracy": estimate.accuracy,
            "classes": (0..found.names.len()).map(per_class).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let shown = |e: &Estimate| format!("{:.3} ± {:.3}", e.share, e.half_width);
    println!("{} reference points; accuracy {} (95 %)", found.points, shown(&estimate.accuracy));
    let width = found.names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max(5);
    println!(
        "{:<width$}  {:>10}  {:>21}  {:>15}  {:>15}",
        "class", "mapped ha", "area ha", "user's", "producer's"
    );
    for (i, name) in found.names.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let mapped = found.pixels[i] as f64 * found.pixel_area / 1e4;
        let area = &estimate.area[i];
        let (ha, half) = (area.share * total / 1e4, area.half_width * total / 1e4);
        let of = |e: &Option<Estimate>| e.as_ref().map_or("–".to_owned(), shown);
        println!(
            "{name:<width$}  {mapped:>10.1}  {:>21}  {:>15}  {:>15}",
            format!("{ha:.1} ± {half:.1}"),
            of(&estimate.users[i]),
            of(&estimate.producers[i])
        );
    }
    Ok(())
}
