//! Says how CRS texts are understood: one JSON string per line in, one JSON object per line out.
//!
//! With `--list`, prints the EPSG codes known. The Python tests hold both against PROJ.

use serde_json::{Value, json};
use std::io::BufRead;
use terravec_geo::Crs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|a| a == "--list") {
        Crs::known_codes().iter().for_each(|code| println!("{code}"));
        return Ok(());
    }
    for line in std::io::stdin().lock().lines() {
        let text: Value = serde_json::from_str(&line?)?;
        let answer = match Crs::parse(text.as_str().unwrap_or_default()) {
            Ok(crs) => json!({
                "epsg": crs.epsg(),
                "name": crs.name(),
                "geographic": crs.is_geographic(),
                "utm": crs.utm_zone(),
                "projjson": crs.to_projjson(),
            }),
            Err(error) => json!({"error": error.to_string()}),
        };
        println!("{answer}");
    }
    Ok(())
}
