//! Variables that say how stores are reached: those of the process, or others in their place.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::HttpOptions;

/// Where credentials, endpoints and regions of stores are looked up.
///
/// They are the variables that the stores' own tools know: `AWS_…`, `GS_…`, `AZURE_STORAGE_…`, `HF_…`.
#[derive(Clone, Default)]
pub struct Vars(Option<Arc<HashMap<String, String>>>);

impl fmt::Debug for Vars {
    /// Without values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Vars(given)" } else { "Vars(process)" })
    }
}

impl Vars {
    /// The environment of the process.
    #[must_use]
    pub fn process() -> Self {
        Self(None)
    }

    /// These and no others.
    #[must_use]
    pub fn only<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(Some(Arc::new(vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect())))
    }

    /// The first of `names` that is set and not empty.
    pub(super) fn get(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let value = match &self.0 {
                Some(map) => map.get(*name).cloned(),
                None => std::env::var(name).ok(),
            };
            value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
        })
    }

    /// How long a host is waited for: `TERRAVEC_PATIENCE`, in seconds; and whether it is asked again meanwhile, which
    /// `TERRAVEC_NO_HEDGE` forbids.
    pub(crate) fn patience(&self) -> HttpOptions {
        let patience = self.get(&["TERRAVEC_PATIENCE"]).and_then(|s| s.parse().ok());
        HttpOptions { hedge: !self.yes("TERRAVEC_NO_HEDGE"), ..HttpOptions::with_patience(patience) }
    }

    /// Whether a variable says yes.
    pub(super) fn yes(&self, name: &str) -> bool {
        self.get(&[name])
            .is_some_and(|v| ["1", "yes", "true", "on"].contains(&v.to_ascii_lowercase().as_str()))
    }

    /// A file in the user's home.
    pub(super) fn home(&self, below: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.get(&["HOME", "USERPROFILE"])?).join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_say_how_a_host_is_asked() {
        let options = |name: &str, value: &str| Vars::only([(name, value)]).patience();
        assert!(options("A", "").hedge && !options("TERRAVEC_NO_HEDGE", "yes").hedge);
        assert_eq!(options("TERRAVEC_PATIENCE", "6").stall_timeout.as_secs(), 2);
    }
}
