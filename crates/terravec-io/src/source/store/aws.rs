//! Keys and regions of Amazon S3: variables first, then the files that `aws configure` writes.
//!
//! Keys that have to be asked for over the network (roles of machines, single sign-on) are not looked up: `aws configure
//! export-credentials --format env` turns them into variables.

use std::collections::HashMap;
use std::path::PathBuf;

use super::secret::Secret;
use super::sigv4::Keys;
use super::vars::Vars;

/// The keys to sign with; `None` to ask without a signature.
pub(super) fn keys(vars: &Vars) -> Option<Keys> {
    if vars.yes("AWS_NO_SIGN_REQUEST") || vars.yes("AWS_SKIP_SIGNATURE") {
        return None;
    }
    let named = vars.get(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
    let from_vars = || {
        Some(Keys {
            id: vars.get(&["AWS_ACCESS_KEY_ID"])?,
            secret: Secret::new(vars.get(&["AWS_SECRET_ACCESS_KEY"])?),
            token: vars.get(&["AWS_SESSION_TOKEN"]).map(Secret::new),
        })
    };
    from_vars().or_else(|| {
        let profile = profile(vars, named.as_deref().unwrap_or("default"));
        let get = |name: &str| profile.get(name).cloned();
        Some(Keys {
            id: get("aws_access_key_id")?,
            secret: Secret::new(get("aws_secret_access_key")?),
            token: get("aws_session_token").map(Secret::new),
        })
    })
}

/// The region that the user set.
pub(super) fn region(vars: &Vars) -> Option<String> {
    vars.get(&["AWS_REGION", "AWS_DEFAULT_REGION"]).or_else(|| {
        let name = vars.get(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        profile(vars, name.as_deref().unwrap_or("default")).remove("region")
    })
}

/// What both files say of a profile.
fn profile(vars: &Vars, name: &str) -> HashMap<String, String> {
    let path =
        |variable: &str, below: &str| vars.get(&[variable]).map(PathBuf::from).or_else(|| vars.home(below));
    let mut found = HashMap::new();
    for path in
        [path("AWS_CONFIG_FILE", ".aws/config"), path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")]
    {
        if let Some(text) = path.and_then(|p| std::fs::read_to_string(p).ok()) {
            found.extend(section(&text, name));
        }
    }
    found
}

/// The settings of `[name]` or `[profile name]`.
fn section(text: &str, name: &str) -> HashMap<String, String> {
    let mut inside = false;
    let mut found = HashMap::new();
    for line in text.lines() {
        // Indented lines belong to nested settings.
        let nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(title) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            let title = title.trim();
            inside = title.strip_prefix("profile").map_or(title, str::trim_start) == name;
        } else if inside
            && !nested
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_before_profiles_and_no_signature_before_all() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(home.path().join(".aws").join(name), text).unwrap();
        write(
            "config",
            "[default]\nregion=eu-west-1\n[profile b]\nregion = us-west-2\ns3 =\n  region = no\n",
        );
        write(
            "credentials",
            "[default]\naws_access_key_id = A\naws_secret_access_key = a\n# x\n[b]\naws_access_key_id=B\naws_secret_access_key=b\naws_session_token=t\n",
        );
        let home = ("HOME", home.path().to_str().unwrap());
        let id = |vars: &Vars| keys(vars).map(|k| k.id);
        let default = Vars::only([home]);
        assert_eq!((id(&default).as_deref(), region(&default).as_deref()), (Some("A"), Some("eu-west-1")));
        let b = Vars::only([home, ("AWS_PROFILE", "b")]);
        assert_eq!((id(&b).as_deref(), region(&b).as_deref()), (Some("B"), Some("us-west-2")));
        assert!(keys(&b).unwrap().token.is_some());
        let both = Vars::only([home, ("AWS_ACCESS_KEY_ID", "C"), ("AWS_SECRET_ACCESS_KEY", "hunter2")]);
        assert_eq!(id(&both).as_deref(), Some("C"));
        assert_eq!(id(&Vars::only([home, ("AWS_NO_SIGN_REQUEST", "YES")])), None);
        assert_eq!(id(&Vars::only([("HOME", "/nowhere")])), None);
        assert!(!format!("{:?}", keys(&both)).contains("hunter2"), "a secret is shown");
    }
}
