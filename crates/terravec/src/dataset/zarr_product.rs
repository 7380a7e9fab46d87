//! Which product a Zarr store holds: what its attributes say of decoding, of the model, and of the version.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;
use terravec_io::DType;
use terravec_io::source::Location;

use super::own;
use super::product::generic;
use super::zarr_place::Scope;
use crate::catalog::{Catalog, CodecSpec, Descriptor, Form, Format, MissingRule, ScaleMeaning, Variant};
use crate::error::{Error, Result};
use crate::provenance::Provenance;

/// The attribute in which outputs of our own keep where they come from.
pub(crate) const PROVENANCE: &str = "terravec:provenance";

/// What is known of the stored numbers before a product is chosen.
pub(super) struct Stored {
    pub(super) dtype: DType,
    pub(super) bands: usize,
    pub(super) nodata: Option<f64>,
}

/// The quantization that `geoemb:quantization` or the older attributes state.
fn quantization<'a>(scope: Scope<'a>) -> Option<&'a Value> {
    scope.anywhere("geoemb:quantization").or_else(|| scope.anywhere("emb:quantization"))
}

/// The array of scales that the store names.
pub(super) fn scale_array(scope: Scope<'_>) -> Option<&str> {
    quantization(scope)?.get("scale")?.get("array_name")?.as_str()
}

/// The number that stands for "nothing here", where the store states one.
pub(super) fn nodata(scope: Scope<'_>) -> Option<f64> {
    let stated = quantization(scope).and_then(|q| q.get("nodata"));
    let stated = stated.or_else(|| scope.get("nodata")).or_else(|| scope.get("missing_value"));
    stated.or_else(|| scope.get("_FillValue")).and_then(Value::as_f64)
}

/// The decode rule that the store states, `None` where it states none.
///
/// # Errors
/// What it states, where that is not understood.
fn codec(scope: Scope<'_>) -> Result<Option<CodecSpec>, String> {
    let Some(q) = quantization(scope).filter(|q| q.is_object()) else { return Ok(None) };
    let scale = q.get("scale");
    let number = |key: &str| scale.and_then(|s| s.get(key)).or_else(|| q.get(key)).and_then(Value::as_f64);
    let method = q.get("method").and_then(Value::as_str).unwrap_or_default();
    Ok(Some(match method {
        "per_pixel_scale" => CodecSpec::PerPixelScale {
            scale_array: scale_array(scope).unwrap_or("scales").to_owned(),
            valid_min_exclusive: f64::from(f32::MIN) * 2.0,
            valid_max_exclusive: f64::from(f32::MAX) * 2.0,
            infinite: ScaleMeaning::Nodata,
            nan: ScaleMeaning::Nodata,
        },
        // One family of codes under three names.
        "signed_square" | "signed_power" | "sqrt_scale" => {
            let formula = q.get("formula").and_then(Value::as_str).unwrap_or_default();
            let in_formula = |pattern: &str| -> Option<f64> {
                Regex::new(pattern).ok()?.captures(formula)?.get(1)?.as_str().parse().ok()
            };
            CodecSpec::SignedSquare {
                scale: in_formula(r"/\s*([0-9.]+)").or(number("divisor")).unwrap_or(127.5),
                power: in_formula(r"\*\*\s*([0-9.]+)").or(number("power")).unwrap_or(2.0),
                nodata: q.get("nodata").and_then(Value::as_i64).unwrap_or(-128),
            }
        }
        "linear" => match number("scale") {
            Some(scale) => CodecSpec::Linear { scale, offset: number("offset").unwrap_or(0.0) },
            None => return Err("method `linear` without a scale".into()),
        },
        other => return Err(format!("method `{other}`")),
    }))
}

/// The product in the store, what was noticed, and our own provenance where it is an output of ours.
pub(super) struct Recognised {
    pub(super) product: Arc<Descriptor>,
    pub(super) notes: Vec<String>,
    pub(super) provenance: Option<Provenance>,
}

/// Which product the array is: the one asked for, the one its attributes name, else one by what the store says of itself.
///
/// # Errors
/// If the store decodes otherwise than the product asked for.
pub(super) fn recognise(
    scope: Scope<'_>,
    stored: &Stored,
    asked: Option<Arc<Descriptor>>,
    catalog: &Catalog,
) -> Result<Recognised> {
    let done = |product, notes| Ok(Recognised { product, notes, provenance: None });
    let own: Option<Provenance> =
        scope.anywhere(PROVENANCE).and_then(|v| serde_json::from_value(v.clone()).ok());
    if let Some(own) = own {
        let known = own::product_of(&own, stored.bands, stored.dtype, stored.nodata, catalog);
        if let Some(product) = known.filter(|p| asked.as_ref().is_none_or(|a| a.id == p.id)) {
            return Ok(Recognised { product, notes: Vec::new(), provenance: Some(own) });
        }
    }
    let stated = codec(scope);
    if let Some(asked) = asked {
        return done(adapted(asked, stored, stated.ok().flatten()), Vec::new());
    }
    if let Some(found) = named(scope, stored, stated.as_ref().ok().and_then(Option::as_ref), catalog) {
        return done(found, Vec::new());
    }
    let (codec, note) = match stated {
        Ok(Some(codec)) => (Some(codec), None),
        Ok(None) if stored.dtype.is_float() => (Some(CodecSpec::Identity), None),
        Ok(None) => (None, Some("it holds integers and states no quantization".to_owned())),
        Err(what) => (None, Some(format!("its quantization is not understood: {what}"))),
    };
    let generic = generic(stored.bands, stored.dtype, "\"identity\"")?;
    let mut product = Descriptor::clone(&generic);
    "zarr".clone_into(&mut product.id);
    "A Zarr store without a descriptor".clone_into(&mut product.name);
    product.format = Format::Zarr;
    if let Some(model) = scope.anywhere("geoemb:model").and_then(Value::as_str) {
        product.name = format!("Embeddings of {model}");
    }
    product.codec = codec.unwrap_or(CodecSpec::Unknown { reason: note.unwrap_or_default() });
    let note = "no product recognised; opened by what the store says of itself".to_owned();
    done(Arc::new(product), vec![note])
}

/// The product asked for, with the decode rule of the store where the product's is for files of another type.
fn adapted(asked: Arc<Descriptor>, stored: &Stored, stated: Option<CodecSpec>) -> Arc<Descriptor> {
    let other_type = asked.dtype.is_some_and(|d| d.is_float()) && !stored.dtype.is_float();
    match stated {
        Some(codec) if other_type => {
            let mut product = Descriptor::clone(&asked);
            if let CodecSpec::SignedSquare { nodata, .. } = codec {
                product.missing = Some(MissingRule::Value(nodata as f64));
            }
            (product.codec, product.dtype) = (codec, Some(stored.dtype));
            Arc::new(product)
        }
        _ => asked,
    }
}

/// The product that the store's attributes name: by its model, by attributes with its family's prefix, or by decoding and nodata value
/// as no other.
fn named(
    scope: Scope<'_>,
    stored: &Stored,
    stated: Option<&CodecSpec>,
    catalog: &Catalog,
) -> Option<Arc<Descriptor>> {
    let said: Vec<String> = ["geoemb:model", "geoemb:source_data", "model", "title"]
        .iter()
        .filter_map(|key| scope.anywhere(key))
        .map(|v| v.to_string().to_ascii_lowercase())
        .collect();
    let prefixes: Vec<&str> =
        scope.all().flat_map(|a| a.keys()).filter_map(|k| k.split_once(':')).map(|(p, _)| p).collect();
    let fits = |d: &Descriptor| {
        let codec = match (stated, &d.codec) {
            (Some(CodecSpec::PerPixelScale { .. }), CodecSpec::PerPixelScale { .. }) => true,
            (
                Some(CodecSpec::SignedSquare { scale: a, power: p, .. }),
                CodecSpec::SignedSquare { scale: b, power: q, .. },
            ) => (a - b).abs() < 1e-9 && (p - q).abs() < 1e-9,
            // What a store says of AlphaEarth may be wrong: the convention's own example is.
            (Some(CodecSpec::Linear { .. }), CodecSpec::SignedSquare { .. }) | (None, _) => true,
            (Some(a), b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        };
        d.format.form() == Form::Raster
            && codec
            && d.dtype.is_none_or(|t| t == stored.dtype)
            && d.dimension.is_none_or(|n| n as usize == stored.bands)
    };
    let zarr = |d: &&Descriptor| matches!(d.format, Format::Zarr | Format::Icechunk);
    let family = |d: &Descriptor| d.family.clone().unwrap_or_else(|| d.id.clone());
    let mut found: Vec<&Descriptor> = catalog
        .iter()
        .filter(|d| fits(d))
        .filter(|d| {
            let family = family(d);
            prefixes.contains(&family.as_str())
                || family.len() > 4 && said.iter().any(|s| s.contains(&family))
        })
        .collect();
    found.sort_by_key(|d| match d.format {
        Format::Zarr => 0,
        Format::Icechunk => 1,
        _ => 2,
    });
    if let Some(d) = found.first() {
        return catalog.get(&d.id).ok();
    }
    // A code that stands for nothing, in vectors of one length: told apart from all others.
    let marked = |d: &&Descriptor| match d.codec {
        CodecSpec::SignedSquare { nodata, .. } => {
            stored.nodata == Some(nodata as f64) && d.dimension.is_some()
        }
        _ => false,
    };
    let d = catalog.iter().filter(zarr).filter(|d| fits(d)).find(marked)?;
    catalog.get(&d.id).ok()
}

/// The variant that the store says it is: by its address, or by an attribute.
fn stated_variant<'a>(product: &'a Descriptor, root: &Location, scope: Scope<'_>) -> Option<&'a Variant> {
    let is = |v: &Variant, text: &str| v.id == text || v.path.as_deref() == Some(text);
    for (key, value) in scope.all().flatten() {
        let name = key.rsplit(':').next().unwrap_or(key);
        if ["dataset_version", "version", "variant", "dataset_variant"].contains(&name)
            && let Some(text) = value.as_str()
            && let Some(v) = product.variants.iter().find(|v| is(v, text))
        {
            return Some(v);
        }
    }
    let named = |place: &str| {
        let folders = place.trim_end_matches('/').rsplit('/').take(2);
        folders.filter_map(|f| product.variants.iter().find(|v| v.path.as_deref() == Some(f))).next()
    };
    named(root.without_query()).or_else(|| named(&crate::mirror::origin(root)?))
}

/// The version of the store; `asked` is the one asked for.
///
/// # Errors
/// If the store says it is another than the one asked for.
pub(super) fn version(
    product: &Descriptor,
    root: &Location,
    scope: Scope<'_>,
    asked: Option<&Variant>,
) -> Result<Option<String>> {
    let stated = stated_variant(product, root, scope);
    match (asked, stated) {
        (Some(asked), Some(stated)) if asked.id != stated.id => Err(Error::open(
            format!("{root}: {}@{} was asked for, but the store is {}", product.id, asked.id, stated.id),
            format!(
                "vectors of different versions are not comparable; open it as {}@{}=…",
                product.id, stated.id
            ),
        )),
        (asked, stated) => {
            let only = || product.variants.first().filter(|_| product.variants.len() == 1);
            Ok(stated.or(asked).or_else(only).map(|v| v.id.clone()))
        }
    }
}

/// The product with vectors of only `depth` numbers, and the array that holds just those, if there is one.
///
/// # Errors
/// If its numbers are in no order, so that they must not be cut short.
pub(super) fn cut_short(
    product: &Arc<Descriptor>,
    scope: Scope<'_>,
    full: usize,
    depth: usize,
) -> Result<(Arc<Descriptor>, Option<String>)> {
    if depth == full {
        return Ok((Arc::clone(product), None));
    }
    let place = scope.array.place();
    let Some(depths) = scope.anywhere("geoemb:depths").and_then(Value::as_array) else {
        return Err(Error::open(
            format!(
                "{place}: --depth {depth}: the numbers of these vectors are in no order, so they can't be cut short"
            ),
            "leave --depth out; stores whose vectors can be cut short say so in geoemb:depths",
        ));
    };
    let entry =
        |d: &Value| Some((d.get("dimensions")?.as_u64()? as usize, d.get("array")?.as_str()?.to_owned()));
    let known: Vec<(usize, String)> = depths.iter().filter_map(entry).collect();
    if depth == 0 || depth > full {
        return Err(Error::open(
            format!("{place}: --depth {depth}: vectors have {full} numbers"),
            "ask for fewer numbers than that",
        ));
    }
    let array = known.into_iter().find(|(n, _)| *n == depth).map(|(_, array)| array);
    let mut short = Descriptor::clone(product);
    short.dimension = u32::try_from(depth).ok();
    short.bands = None;
    Ok((Arc::new(short), array))
}
