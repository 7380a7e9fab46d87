//! The descriptors compiled into the library. A test checks that every file of `catalog/` is listed.

macro_rules! descriptors {
    ($($file:literal),* $(,)?) => {
        /// File name and text of each built-in descriptor.
        pub(super) const BUILTIN: &[(&str, &str)] =
            &[$((concat!("catalog/", $file), include_str!(concat!("../../../../catalog/", $file)))),*];
    };
}

descriptors![
    "alphaearth-majortom.toml",
    "alphaearth-mosaic.toml",
    "alphaearth.toml",
    "betaearth.toml",
    "clay-v0.toml",
    "clay-v1.5-naip.toml",
    "climplicit.toml",
    "copernicus-embed.toml",
    "csp.toml",
    "earth-index-2024.toml",
    "earth-index-2025.toml",
    "esd.toml",
    "geoclip.toml",
    "lgnd-clay-monthly.toml",
    "lgnd-clay-v1.5-s2.toml",
    "majortom-249k.toml",
    "majortom-decur.toml",
    "majortom-dinov2.toml",
    "majortom-mmearth.toml",
    "majortom-siglip.toml",
    "majortom-ssl4eo.toml",
    "mind.toml",
    "mosaiks.toml",
    "olmoearth.toml",
    "pdfm.toml",
    "presto-togo.toml",
    "range.toml",
    "satclip.toml",
    "sincos.toml",
    "sinr.toml",
    "spherical-harmonics.toml",
    "terrabit.toml",
    "tessera-icechunk.toml",
    "tessera-npy.toml",
    "tessera-zarr.toml",
    "tessera.toml",
];
