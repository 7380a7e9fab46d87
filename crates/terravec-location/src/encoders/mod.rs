//! One file per architecture: what its tensors are called, and how it maps a place to a vector.

pub(crate) mod baseline;
pub(crate) mod climplicit;
pub(crate) mod csp;
pub(crate) mod geoclip;
pub(crate) mod mind;
pub(crate) mod range;
pub(crate) mod satclip;
pub(crate) mod sinr;
