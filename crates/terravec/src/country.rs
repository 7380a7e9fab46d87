//! Borders of countries, so that people can name an area instead of drawing it.
//!
//! Natural Earth at 1:50m: generalised, by a kilometre or two, and its view of who is in control. See `data/ORIGIN.md`.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use terravec_io::vector::{Regions, regions_of_geojson};

use crate::catalog::near;
use crate::error::{Error, Result};

/// A country of the list: codes (empty where there is none), names, and its shape as GeoJSON.
struct Country<'a> {
    alpha2: &'a str,
    alpha3: &'a str,
    names: Vec<&'a str>,
    shape: &'a str,
}

fn countries() -> impl Iterator<Item = Country<'static>> {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = String::new();
        let mut packed = GzDecoder::new(&include_bytes!("../data/countries.tsv.gz")[..]);
        // A test reads all of it; what can't be read would be no country.
        let _ = packed.read_to_string(&mut text);
        text
    });
    TEXT.lines().filter_map(|line| {
        let mut cells = line.splitn(4, '\t');
        let (alpha2, alpha3) = (cells.next()?, cells.next()?);
        Some(Country { alpha2, alpha3, names: cells.next()?.split('|').collect(), shape: cells.next()? })
    })
}

/// The borders of the country that `name` names (an ISO 3166 code of two or three letters, or its English name; case does not
/// matter), as one region with the columns `country` and `name`.
///
/// # Errors
/// If there is none; the help has those that are written nearly so.
pub fn country(name: &str) -> Result<Regions> {
    let wanted = name.trim().to_lowercase();
    let is = |text: &&str| !text.is_empty() && text.to_lowercase() == wanted;
    let found =
        countries().find(|c| [c.alpha2, c.alpha3].iter().chain(&c.names).any(is)).ok_or_else(|| {
            let all: Vec<(String, String)> = countries()
                .flat_map(|c| {
                    let shown = match c.alpha3 {
                        "" => c.names[0].to_owned(),
                        code => format!("{} ({code})", c.names[0]),
                    };
                    // A word may well contain a code by chance.
                    let code = (wanted.len() <= 3).then_some(c.alpha3).filter(|code| !code.is_empty());
                    let names = c.names.iter().copied().chain(code);
                    names.map(|n| (n.to_lowercase(), shown.clone())).collect::<Vec<_>>()
                })
                .collect();
            let near = near(&wanted, all.iter().map(|(name, shown)| (name.as_str(), shown.as_str())));
            Error::query(
                format!("no country is called {name:?}"),
                match near.as_slice() {
                    [] => "give a code of ISO 3166, such as KE or KEN, or an English name".to_owned(),
                    near => format!("did you mean {}?", near.join(" or ")),
                },
            )
        })?;
    let own = found.names[0];
    let properties = serde_json::json!({ "country": found.alpha3, "name": own });
    let feature = format!(r#"{{"type":"Feature","properties":{properties},"geometry":{}}}"#, found.shape);
    Ok(regions_of_geojson(own, &feature)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::bounds;

    #[test]
    fn every_country_has_a_shape() {
        let all: Vec<_> = countries().collect();
        assert_eq!(all.len(), 240);
        for c in all {
            let name = if c.alpha3.is_empty() { c.names[0] } else { c.alpha3 };
            let regions = country(name).unwrap();
            assert!(regions.polygons.len() == 1 && !regions.polygons[0].0.is_empty(), "{name}");
            assert!(c.alpha2.len() == 2 || c.alpha3.is_empty());
            assert!(bounds(&regions).unwrap().unwrap().width() < 360.0 || name == "ATA", "{name}");
        }
    }

    #[test]
    fn codes_and_names_find_the_same() {
        let kenya = country("KEN").unwrap();
        for name in ["ke", "Kenya", " kenya "] {
            assert_eq!(country(name).unwrap().polygons, kenya.polygons, "{name}");
        }
        let said = country("Kenia").unwrap_err();
        assert!(said.help().unwrap().contains("Kenya (KEN)"), "{said} {:?}", said.help());
        assert!(country("").unwrap_err().to_string().contains("no country"));
        assert!(country("qqqqqqqqqqqq").unwrap_err().help().unwrap().contains("ISO 3166"));
    }

    #[test]
    fn a_box_across_the_antimeridian_is_the_smaller_one() {
        let fiji = bounds(&country("Fiji").unwrap()).unwrap().unwrap();
        assert!(fiji.crosses_antimeridian() && fiji.width() < 8.0, "{fiji}");
        let kenya = bounds(&country("KE").unwrap()).unwrap().unwrap();
        assert!(!kenya.crosses_antimeridian() && kenya.contains(36.8, -1.3));
        let russia = bounds(&country("RUS").unwrap()).unwrap().unwrap();
        assert!(russia.crosses_antimeridian() && russia.west > 19.0 && russia.east < -168.0, "{russia}");
    }
}
