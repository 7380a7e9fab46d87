//! The descriptors compiled into the library. A test checks that every file of `catalog/` is listed.

macro_rules! descriptors {
    ($($file:literal),* $(,)?) => {
        /// File name and text of each built-in descriptor.
        pub(super) const BUILTIN: &[(&str, &str)] =
            &[$((concat!("catalog/", $file), include_str!(concat!("../../../../catalog/", $file)))),*];
    };
}

descriptors!["alphaearth.toml", "copernicus-embed.toml", "tessera.toml",];
