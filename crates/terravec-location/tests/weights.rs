//! Weights files: what is read, and what is refused, with the tensor, global or limit named and never a panic.

mod common;

use common::{
    Named, Random, numbers, pickle, pth, pth_with, safetensors, safetensors_with, sinr, tensor, zip,
};
use terravec_location::{Encoder, EncoderId, LocationError, Options, Weights};

fn open(bytes: Vec<u8>) -> Result<Weights, LocationError> {
    Weights::from_bytes(bytes, "test.weights")
}

fn refusal(bytes: Vec<u8>) -> String {
    match open(bytes) {
        Ok(_) => panic!("was read"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn both_formats_hold_the_same_tensors() {
    for bytes in [pth(&sinr()), safetensors(&sinr())] {
        let mut weights = open(bytes).expect("well formed");
        assert_eq!(weights.names().len(), 6);
        for t in sinr() {
            let read = weights.tensor::<f32>(t.name).expect("there");
            assert_eq!((read.shape, read.values), (t.shape, t.storage));
        }
    }
}

#[test]
fn a_transposed_tensor_is_read_by_its_strides() {
    let t =
        Named { name: "t", shape: vec![3, 2], strides: vec![1, 3], storage: vec![1., 2., 3., 4., 5., 6.] };
    let mut weights = open(pth(&[t])).expect("well formed");
    assert_eq!(weights.tensor::<f64>("t").expect("there").values, [1., 4., 2., 5., 3., 6.]);
}

#[test]
fn a_tensor_cannot_reach_beyond_its_storage() {
    for (shape, strides) in [
        (vec![7], vec![1]),
        (vec![2], vec![6]),
        (vec![2, 3], vec![4, 1]),
        (vec![1 << 20, 1 << 20], vec![0, 0]),
    ] {
        let storage = vec![0.0; 6];
        let text = refusal(pth(&[Named { name: "odd", shape, strides, storage }]));
        assert!(text.contains("`odd`"), "{text}");
    }
    // Half precision numbers claimed for a storage of another size.
    let t = tensor("short", &[6], vec![0.0; 6]);
    let mut weights = open(pth_with(&pickle(&[t]), &[tensor("short", &[5], vec![0.0; 5])])).expect("opens");
    let text = weights.tensor::<f32>("short").expect_err("must not be read").to_string();
    assert!(text.contains("20 bytes") && text.contains("`short`"), "{text}");
}

#[test]
fn a_pickle_that_imports_anything_else_is_refused_by_name() {
    let evil: [(&[u8], &str); 8] = [
        (b"cos\nsystem\n(X\x04\x00\x00\x00true\x85R.", "`os.system`"),
        (b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x00\x31\x85R.", "`builtins.eval`"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "`posix.system`"),
        (b"\x80\x02ctorch.hub\nload\n)R.", "`torch.hub.load`"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "tensor with arguments"),
        (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "REDUCE"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02(i__main__\nx\n.", "INST"),
    ];
    for (bytes, expected) in evil {
        let text = refusal(pth_with(bytes, &[]));
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("test.weights: "), "{text}");
    }
}

#[test]
fn files_of_other_kinds_are_told_apart() {
    for (bytes, expected) in [
        (vec![], "empty"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "before 1.6"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS"),
        (b"<!DOCTYPE html><html></html>".to_vec(), "web page"),
        (b"PK\x03\x04 and no more".to_vec(), "cut off"),
        (zip(&[("readme.txt".into(), b"hello".to_vec())]), "0 entries named data.pkl"),
        (pth_with(b"\x80\x02]q\x00.", &[]), "not a dict"),
        (pth_with(b"\x80\x02K", &[]), "cut off"),
        (
            zip(&[("a/data.pkl".into(), b"}.".to_vec()), ("a/byteorder".into(), b"big".to_vec())]),
            "big-endian",
        ),
    ] {
        let text = refusal(bytes);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn damaged_safetensors_headers_are_refused() {
    for (header, expected) in [
        ("{\"t\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}", "`t`"),
        ("{\"t\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 400]}}", "beyond the end"),
        ("{\"t\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 4]}}", "ends before"),
        ("{\"t\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", "no shape"),
        (
            "{\"t\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], \"data_offsets\": [0, 4]}}",
            "2^30",
        ),
        ("{\"t\": 3}", "no dtype"),
        ("{\"t\": ", "header"),
    ] {
        let text = refusal(safetensors_with(header, &[0; 4]));
        assert!(text.contains(expected), "{text}");
    }
    let mut long = safetensors_with("{}", &[]);
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(long).contains("header of"));
    let ints = "{\"t\": {\"dtype\": \"I32\", \"shape\": [1], \"data_offsets\": [0, 4]}}";
    let text = open(safetensors_with(ints, &[0; 4])).expect("opens").tensor::<f32>("t").expect_err("ints");
    assert!(text.to_string().contains("I32"), "{text}");
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let mut values = numbers(24, 1);
    values[7] = f32::NAN;
    let mut tensors = sinr();
    tensors[0].storage = values;
    for bytes in [pth(&tensors), safetensors(&tensors)] {
        let error = sinr_of(bytes).expect_err("NaN").to_string();
        assert!(error.contains("`feats.0.weight`") && error.contains("position 7"), "{error}");
    }
}

fn sinr_of(bytes: Vec<u8>) -> Result<Encoder, LocationError> {
    Encoder::from_weights(EncoderId::Sinr, &mut open(bytes)?, &Options::default())
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    for remove in 0..6 {
        let mut tensors = sinr();
        let gone = tensors.remove(remove).name;
        match sinr_of(pth(&tensors)) {
            // Without its first tensor a block is not there at all.
            Ok(_) => assert_eq!(gone, "feats.2.w1.weight"),
            Err(e) => assert!(e.to_string().contains(&format!("no tensor `{gone}`")), "{e}"),
        }
    }
    for (i, shape) in [(0, vec![4, 6]), (0, vec![24]), (1, vec![2, 3]), (2, vec![3, 12]), (4, vec![12, 3])] {
        let mut tensors = sinr();
        tensors[i] = tensor(tensors[i].name, &shape, numbers(shape.iter().product(), 9));
        let error = sinr_of(safetensors(&tensors)).expect_err("misshapen").to_string();
        assert!(error.contains(tensors[i].name) && error.contains(&format!("{shape:?}")), "{error}");
    }
    let error = Encoder::from_weights(
        EncoderId::GeoClip,
        &mut open(pth(&sinr())).expect("well formed"),
        &Options::default(),
    );
    let error = error.expect_err("another model").to_string();
    assert!(error.contains("`LocEnc0.capsule.0.b`") && error.contains("`feats.0.bias`"), "{error}");
}

/// Every prefix, then thousands of random changes, of whole files and of the pickle or header inside a file that is
/// otherwise sound. Anything may come back but a panic.
#[test]
fn no_damage_makes_the_readers_panic() {
    let exercise = |bytes: Vec<u8>| {
        if let Ok(mut weights) = open(bytes) {
            for name in weights.names().into_iter().map(str::to_string).collect::<Vec<_>>() {
                let _ = weights.tensor::<f32>(&name);
            }
            let _ = Encoder::from_weights(EncoderId::Sinr, &mut weights, &Options::default());
        }
    };
    let tensors = sinr();
    let header = {
        let file = safetensors(&tensors);
        let n = u64::from_le_bytes(file[..8].try_into().expect("eight")) as usize;
        String::from_utf8(file[8..8 + n].to_vec()).expect("JSON")
    };
    for file in [pth(&tensors), safetensors(&tensors)] {
        for n in 0..file.len() {
            exercise(file[..n].to_vec());
        }
    }
    let mut random = Random(7);
    let mut damage = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [0xff, 0, b'(', b'R', b'u', b't', 0x80, b'9'][random.below(8)]),
            }
        }
        bytes
    };
    let (whole, pickled) = (pth(&tensors), pickle(&tensors));
    for _ in 0..5_000 {
        exercise(damage(&whole));
        exercise(pth_with(&damage(&pickled), &tensors));
        exercise(safetensors_with(&String::from_utf8_lossy(&damage(header.as_bytes())), &[0; 600]));
    }
}
