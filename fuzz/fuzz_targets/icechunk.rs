//! Any bytes as each of the metadata files of an Icechunk repository, frame included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use terravec_io::icechunk::{At, Icechunk};
use terravec_io::source::Location;

fuzz_target!(|data: &[u8]| {
    let Some((&which, body)) = data.split_first() else { return };
    let folder = std::env::temp_dir().join(format!("terravec-fuzz-icechunk-{}", std::process::id()));
    let name = ["repo", "snapshots/00000000000000000000", "refs/branch.main/ref.json"][usize::from(which) % 3];
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
    let kind = if name == "repo" { 6 } else { 1 };
    let frame = ["ICE🧊CHUNK".as_bytes(), &[b' '; 24], &[1, kind, 0]].concat();
    let bytes = if name.ends_with("json") { body.to_vec() } else { [&frame, body].concat() };
    std::fs::write(&path, bytes).expect("a writable file");
    let root = Location::new(folder.display().to_string());
    for at in [At::default(), At::Snapshot("00000000000000000000".into())] {
        if let Ok(store) = Icechunk::open(&root, &at) {
            let keys: Vec<String> = store.nodes().map(|(path, _)| format!("{path}/c/0/0")).collect();
            for key in keys {
                let _ = store.get(&key);
            }
        }
    }
    let _ = std::fs::remove_file(&path);
});
