//! From a branch, tag or snapshot id to a snapshot. Version 2 keeps all names in one file, `repo`; version 1 has a file for each.

use serde::Deserialize;

use super::At;
use super::error::IcechunkError;
use super::file::{self, Id, Kind};
use super::flat::{Buffer, Table};
use crate::source::{Location, SourceError};

#[derive(Deserialize)]
struct RefFile {
    snapshot: String,
}

/// The name of the snapshot's file.
pub(super) fn resolve(root: &Location, at: &At) -> Result<String, IcechunkError> {
    if let At::Snapshot(id) = at {
        return checked(&root.to_string(), id);
    }
    match file::read(&root.join("repo"), Kind::Repo) {
        Ok(bytes) => in_repo(root, &bytes, at),
        Err(IcechunkError::Source(SourceError::NotFound { .. })) => in_refs(root, at),
        Err(e) => Err(e),
    }
}

/// The files that may say which snapshot a state is: of either version of the format.
pub(super) fn files(at: &At) -> Vec<String> {
    match at {
        At::Branch(name) => vec!["repo".to_owned(), format!("refs/branch.{name}/ref.json")],
        At::Tag(name) => vec!["repo".to_owned(), format!("refs/tag.{name}/ref.json")],
        At::Snapshot(_) => vec!["repo".to_owned()],
    }
}

/// The id, if it can be the name of a file and of nothing else.
fn checked(file: &str, id: &str) -> Result<String, IcechunkError> {
    if id.len() == 20 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return Ok(id.to_owned());
    }
    let shown: String = id.chars().take(40).collect();
    Err(IcechunkError::Corrupt { file: file.to_owned(), reason: format!("`{shown}` is no id of a snapshot") })
}

fn what(at: &At) -> String {
    match at {
        At::Branch(name) => format!("branch `{name}`"),
        At::Tag(name) => format!("tag `{name}`"),
        At::Snapshot(id) => format!("snapshot {id}"),
    }
}

fn in_refs(root: &Location, at: &At) -> Result<String, IcechunkError> {
    let (kind, name) = match at {
        At::Branch(name) => ("branch", name),
        At::Tag(name) | At::Snapshot(name) => ("tag", name),
    };
    let known = known_refs(root);
    let absent = || match (at, known.is_empty()) {
        (At::Branch(name), true) if name == "main" => IcechunkError::NotOne { root: root.to_string() },
        _ => IcechunkError::NoSuchState { root: root.to_string(), what: what(at), known: known.clone() },
    };
    if name.contains(['/', '\\']) || name.is_empty() {
        return Err(absent());
    }
    let folder = root.join("refs").join(&format!("{kind}.{name}"));
    let read = |file: &str| -> Result<Option<bytes::Bytes>, SourceError> {
        let read = || folder.join(file).open().and_then(|s| s.read(0..s.len()?.min(4096)));
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(SourceError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    };
    let bytes = read("ref.json")?.ok_or_else(absent)?;
    // A deleted tag keeps its file, and gets a second one.
    if kind == "tag" && read("ref.json.deleted")?.is_some() {
        return Err(absent());
    }
    let file = folder.join("ref.json").to_string();
    let parsed: RefFile = serde_json::from_slice(&bytes).map_err(|e| IcechunkError::Corrupt {
        file: file.clone(),
        reason: format!("names no snapshot: {e}"),
    })?;
    checked(&file, &parsed.snapshot)
}

/// Names of branches and tags, where they can be listed.
fn known_refs(root: &Location) -> Vec<String> {
    let folder = root.join("refs");
    let entries = folder.path().and_then(|p| std::fs::read_dir(p).ok());
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| Some(e.file_name().to_str()?.replacen('.', " ", 1)))
        .collect();
    names.sort_unstable();
    names
}

fn in_repo(root: &Location, bytes: &[u8], at: &At) -> Result<String, IcechunkError> {
    let file = root.join("repo").to_string();
    let corrupt =
        || IcechunkError::Corrupt { file: file.clone(), reason: "its list of names is damaged".into() };
    let buffer = Buffer::new(bytes);
    let repo = buffer.root().ok_or_else(corrupt)?;
    let names = |field: usize| -> Option<Vec<(String, u32)>> {
        let one = |t: Option<Table<'_>>| Some((t?.text(0)?.to_owned(), t?.u32(1).unwrap_or(0)));
        repo.tables(field)?.map(one).collect()
    };
    let (tags, branches) = names(1).zip(names(2)).ok_or_else(corrupt)?;
    let (list, name) = match at {
        At::Branch(name) => (&branches, name),
        At::Tag(name) | At::Snapshot(name) => (&tags, name),
    };
    let Some((_, index)) = list.iter().find(|(n, _)| n == name) else {
        let named = |kind: &'static str| move |(n, _): &(String, u32)| format!("{kind} {n}");
        let known = branches.iter().map(named("branch")).chain(tags.iter().map(named("tag"))).collect();
        return Err(IcechunkError::NoSuchState { root: root.to_string(), what: what(at), known });
    };
    let info = repo.tables(4).and_then(|mut all| all.nth(*index as usize)?).ok_or_else(corrupt)?;
    Ok(Id(info.bytes_of::<12>(0).ok_or_else(corrupt)?).name())
}
