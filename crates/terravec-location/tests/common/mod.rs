//! Writes weights files as PyTorch and safetensors do, byte by byte, so that tests can also write wrong ones.

#![allow(dead_code)]

use flate2::Crc;

/// A tensor of `f32` to store.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    pub(crate) storage: Vec<f32>,
}

pub(crate) fn tensor(name: &'static str, shape: &[usize], storage: Vec<f32>) -> Named {
    let strides = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
    Named { name, shape: shape.to_vec(), strides, storage }
}

/// `n` small numbers, the same in every run.
pub(crate) fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    (0..n).map(|_| (random.next() % 2001) as f32 / 1000.0 - 1.0).collect()
}

/// xorshift64*, enough for mutations.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
}

/// The pickle of an `OrderedDict` of tensors, protocol 2, as `torch.save` writes it; storages are named 0, 1, ….
pub(crate) fn pickle(tensors: &[Named]) -> Vec<u8> {
    let mut p = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(".to_vec();
    for (i, t) in tensors.iter().enumerate() {
        text(&mut p, t.name);
        p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut p, "storage");
        p.extend(b"ctorch\nFloatStorage\n");
        text(&mut p, &i.to_string());
        text(&mut p, "cpu");
        int(&mut p, t.storage.len());
        p.extend(b"tQK\x00");
        for numbers in [&t.shape, &t.strides] {
            p.push(b'(');
            numbers.iter().for_each(|&n| int(&mut p, n));
            p.push(b't');
        }
        p.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    p.extend(b"u.");
    p
}

fn text(p: &mut Vec<u8>, text: &str) {
    p.push(b'X');
    p.extend((text.len() as u32).to_le_bytes());
    p.extend(text.as_bytes());
}

fn int(p: &mut Vec<u8>, n: usize) {
    p.push(b'J');
    p.extend((n as i32).to_le_bytes());
}

/// A `.pth` file.
pub(crate) fn pth(tensors: &[Named]) -> Vec<u8> {
    pth_with(&pickle(tensors), tensors)
}

/// A `.pth` file with any pickle.
pub(crate) fn pth_with(pickle: &[u8], tensors: &[Named]) -> Vec<u8> {
    let mut entries = vec![("archive/data.pkl".to_string(), pickle.to_vec())];
    entries.push(("archive/byteorder".into(), b"little".to_vec()));
    for (i, t) in tensors.iter().enumerate() {
        let bytes = t.storage.iter().flat_map(|v| v.to_le_bytes()).collect();
        entries.push((format!("archive/data/{i}"), bytes));
    }
    zip(&entries)
}

/// A zip archive of stored entries.
pub(crate) fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let offset = file.len() as u32;
        let mut crc = Crc::new();
        crc.update(bytes);
        let mut common = vec![0u8; 10];
        common.extend(crc.sum().to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes().repeat(2));
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(bytes);
        directory.extend(b"PK\x01\x02\0\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let offset = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((entries.len() as u16).to_le_bytes().repeat(2));
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// A safetensors file.
pub(crate) fn safetensors(tensors: &[Named]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for t in tensors {
        let begin = data.len();
        data.extend(t.storage.iter().flat_map(|v| v.to_le_bytes()));
        header.insert(
            t.name.into(),
            serde_json::json!({"dtype": "F32", "shape": t.shape, "data_offsets": [begin, data.len()]}),
        );
    }
    safetensors_with(&serde_json::Value::Object(header).to_string(), &data)
}

/// A safetensors file with any header.
pub(crate) fn safetensors_with(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A small SINR model.
pub(crate) fn sinr() -> Vec<Named> {
    vec![
        tensor("feats.0.weight", &[6, 4], numbers(24, 1)),
        tensor("feats.0.bias", &[6], numbers(6, 2)),
        tensor("feats.2.w1.weight", &[6, 6], numbers(36, 3)),
        tensor("feats.2.w1.bias", &[6], numbers(6, 4)),
        tensor("feats.2.w2.weight", &[6, 6], numbers(36, 5)),
        tensor("feats.2.w2.bias", &[6], numbers(6, 6)),
    ]
}
