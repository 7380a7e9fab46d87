//! The catalog's facts, names and error messages.

use terravec::catalog::{Catalog, CodecSpec};

#[test]
fn alphaearth_decodes_by_signed_square() {
    let catalog = Catalog::builtin();
    let aef = catalog.get("gse").expect("an alias names it");
    assert_eq!(aef.codec, CodecSpec::SignedSquare { scale: 127.5, power: 2.0, nodata: -128 });
}
