//! A reader for the pickles inside PyTorch checkpoints that can build dicts, lists, numbers, text and references to
//! tensors, and nothing else.
//!
//! A pickle is a program for a stack machine; Python's own reader lets it import and call anything. This one knows
//! the instructions of `torch.save` only (pickle protocol 2, and the framing of protocol 4), and the three globals a
//! state dict needs: `collections.OrderedDict`, `torch._utils._rebuild_tensor_v2` and `torch.*Storage`. Anything else
//! ends the reading with its name. No value is ever executed, so there is nothing to escape from; memory is bounded by
//! the size of the pickle, since each instruction makes at most one object.

use std::collections::HashMap;

use crate::error::WeightsError;

/// The largest pickle read: far above any list of tensor names.
pub(crate) const MAX_PICKLE: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// An index into [`Pickle::objects`]. Indices may form cycles: follow them only as deep as you know.
    Object(usize),
    Global(Global),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    Storage(StorageKind),
}

/// The element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StorageKind {
    Half,
    BFloat16,
    Float,
    Double,
    /// Integers, booleans and the like.
    Other,
}

#[derive(Debug)]
pub(crate) enum Object {
    Text(String),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(TensorRef),
}

#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) kind: StorageKind,
    pub(crate) key: String,
    pub(crate) elements: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct TensorRef {
    pub(crate) storage: Storage,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// What a pickle built.
#[derive(Debug)]
pub(crate) struct Pickle {
    pub(crate) objects: Vec<Object>,
    pub(crate) root: Value,
}

impl Pickle {
    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Object(at) => match self.objects.get(at)? {
                Object::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Object(at) => match self.objects.get(at)? {
                Object::Dict(pairs) => Some(pairs),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, value: Value) -> Option<&TensorRef> {
        match value {
            Value::Object(at) => match self.objects.get(at)? {
                Object::Tensor(tensor) => Some(tensor),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value under the text `key` of a dict.
    pub(crate) fn get(&self, dict: Value, key: &str) -> Option<Value> {
        self.dict(dict)?.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, v)| *v)
    }
}

/// Reads a pickle.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle, WeightsError> {
    let mut machine = Machine { bytes, ..Machine::default() };
    let root = machine.run()?;
    Ok(Pickle { objects: machine.objects, root })
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Value, WeightsError> {
        loop {
            match self.byte()? {
                0x80 => {
                    let protocol = self.byte()?;
                    if protocol > 5 {
                        return Err(malformed(format!("pickle protocol {protocol}")));
                    }
                }
                0x95 => {
                    self.take(8)?; // a frame's length says nothing the bytes do not
                }
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'J' => {
                    let v = i32::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(v.into()));
                }
                b'K' => {
                    let v = self.byte()?;
                    self.stack.push(Value::Int(v.into()));
                }
                b'M' => {
                    let v = u16::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(v.into()));
                }
                0x8a => {
                    let v = self.long()?;
                    self.stack.push(Value::Int(v));
                }
                b'G' => {
                    let v = f64::from_be_bytes(self.array()?);
                    self.stack.push(Value::Float(v));
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?) as usize;
                    self.push_text(length)?;
                }
                0x8c => {
                    let length = self.byte()?.into();
                    self.push_text(length)?;
                }
                b']' => self.push(Object::List(vec![])),
                b')' => self.push(Object::Tuple(vec![])),
                b'}' => self.push(Object::Dict(vec![])),
                b'a' => {
                    let item = self.pop()?;
                    self.list()?.push(item);
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.list()?.extend(items);
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items));
                }
                n @ 0x85..=0x87 => {
                    let items = self.pop_many(usize::from(n - 0x84))?;
                    self.push(Object::Tuple(items));
                }
                b's' => {
                    let items = self.pop_many(2)?;
                    self.dict()?.push((items[0], items[1]));
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    if items.len() % 2 != 0 {
                        return Err(malformed("a dict with a key and no value"));
                    }
                    self.dict()?.extend(items.chunks_exact(2).map(|p| (p[0], p[1])));
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.stack.push(Value::Global(global(&module, &name)?));
                }
                0x93 => {
                    let names = self.pop_many(2)?;
                    let (Some(module), Some(name)) = (self.text(names[0]), self.text(names[1])) else {
                        return Err(malformed("an import without a name"));
                    };
                    let value = global(module, name)?;
                    self.stack.push(Value::Global(value));
                }
                b'Q' => self.persistent()?,
                b'R' => self.reduce()?,
                b'b' => {
                    // `OrderedDict` carries `_metadata`; it holds no tensors.
                    self.pop()?;
                    if self.dict().is_err() {
                        return Err(WeightsError::ForbiddenOpcode(
                            "BUILD on something other than a dict".into(),
                        ));
                    }
                }
                b'q' => {
                    let slot = self.byte()?.into();
                    self.memoize(slot)?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.memoize(slot)?;
                }
                0x94 => {
                    let slot = u32::try_from(self.memo.len()).map_err(|_| malformed("too many memos"))?;
                    self.memoize(slot)?;
                }
                b'h' => {
                    let slot = self.byte()?.into();
                    self.recall(slot)?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.recall(slot)?;
                }
                other => return Err(WeightsError::ForbiddenOpcode(opcode_name(other))),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, WeightsError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, n: usize) -> Result<&[u8], WeightsError> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.bytes.len());
        let end = end.ok_or_else(|| malformed("the pickle is cut off"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        self.take(N)?.try_into().map_err(|_| malformed("the pickle is cut off"))
    }

    fn long(&mut self) -> Result<i64, WeightsError> {
        let n = usize::from(self.byte()?);
        let digits = self.take(n)?;
        if n > 8 {
            return Err(malformed(format!("an integer of {n} bytes")));
        }
        let negative = digits.last().is_some_and(|d| d & 0x80 != 0);
        let mut full = [if negative { 0xff } else { 0 }; 8];
        full[..n].copy_from_slice(digits);
        Ok(i64::from_le_bytes(full))
    }

    fn line(&mut self) -> Result<String, WeightsError> {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().take(512).position(|&b| b == b'\n');
        let n = n.ok_or_else(|| malformed("an import without an end"))?;
        self.at += n + 1;
        Ok(String::from_utf8_lossy(&rest[..n]).into_owned())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn push_text(&mut self, length: usize) -> Result<(), WeightsError> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Object::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, WeightsError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(malformed("the stack is empty"));
        }
        self.stack.pop().ok_or_else(|| malformed("the stack is empty"))
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Value>, WeightsError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(n).filter(|&s| s >= floor);
        let start = start.ok_or_else(|| malformed("the stack is empty"))?;
        Ok(self.stack.split_off(start))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, WeightsError> {
        let start = self.marks.pop().filter(|&m| m <= self.stack.len());
        let start = start.ok_or_else(|| malformed("no mark on the stack"))?;
        Ok(self.stack.split_off(start))
    }

    fn top(&mut self) -> Option<&mut Object> {
        match self.stack.last() {
            Some(&Value::Object(at)) => self.objects.get_mut(at),
            _ => None,
        }
    }

    fn list(&mut self) -> Result<&mut Vec<Value>, WeightsError> {
        match self.top() {
            Some(Object::List(items)) => Ok(items),
            _ => Err(malformed("items for something that is not a list")),
        }
    }

    fn dict(&mut self) -> Result<&mut Vec<(Value, Value)>, WeightsError> {
        match self.top() {
            Some(Object::Dict(pairs)) => Ok(pairs),
            _ => Err(malformed("items for something that is not a dict")),
        }
    }

    fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Object(at) => match self.objects.get(at)? {
                Object::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn tuple(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Object(at) => match self.objects.get(at)? {
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    fn memoize(&mut self, slot: u32) -> Result<(), WeightsError> {
        let value = *self.stack.last().ok_or_else(|| malformed("nothing to remember"))?;
        self.memo.insert(slot, value);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), WeightsError> {
        let value = *self.memo.get(&slot).ok_or_else(|| malformed(format!("no memo {slot}")))?;
        self.stack.push(value);
        Ok(())
    }

    /// `("storage", torch.XStorage, key, device, elements)`
    fn persistent(&mut self) -> Result<(), WeightsError> {
        let id = self.pop()?;
        let storage = self.tuple(id).and_then(|items| match *items {
            [tag, Value::Global(Global::Storage(kind)), key, _, Value::Int(elements)]
                if self.text(tag) == Some("storage") =>
            {
                let elements = usize::try_from(elements).ok()?;
                Some(Storage { kind, key: self.text(key)?.to_string(), elements })
            }
            _ => None,
        });
        self.push(Object::Storage(storage.ok_or_else(|| malformed("a persistent id that is no storage"))?));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), WeightsError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let object = match function {
            Value::Global(Global::OrderedDict) if self.tuple(arguments).is_some_and(<[_]>::is_empty) => {
                Object::Dict(vec![])
            }
            Value::Global(Global::RebuildTensor) => Object::Tensor(
                self.tensor(arguments).ok_or_else(|| malformed("a tensor with arguments it cannot have"))?,
            ),
            _ => {
                return Err(WeightsError::ForbiddenOpcode(
                    "REDUCE, a call, on something other than a tensor or an empty dict".into(),
                ));
            }
        };
        self.push(object);
        Ok(())
    }

    /// `(storage, offset, shape, strides, requires_grad, hooks[, metadata])`
    fn tensor(&self, arguments: Value) -> Option<TensorRef> {
        let items = self.tuple(arguments)?;
        let &[Value::Object(storage), Value::Int(offset), shape, strides, ..] = items else { return None };
        let Object::Storage(storage) = self.objects.get(storage)? else { return None };
        let extents = |value| -> Option<Vec<usize>> {
            let whole = |v: &Value| match *v {
                Value::Int(n) => usize::try_from(n).ok(),
                _ => None,
            };
            self.tuple(value)?.iter().map(whole).collect()
        };
        Some(TensorRef {
            storage: storage.clone(),
            offset: usize::try_from(offset).ok()?,
            shape: extents(shape)?,
            strides: extents(strides)?,
        })
    }
}

fn global(module: &str, name: &str) -> Result<Global, WeightsError> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch", "HalfStorage") => Global::Storage(StorageKind::Half),
        ("torch", "BFloat16Storage") => Global::Storage(StorageKind::BFloat16),
        ("torch", "FloatStorage") => Global::Storage(StorageKind::Float),
        ("torch", "DoubleStorage") => Global::Storage(StorageKind::Double),
        (
            "torch",
            "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage" | "BoolStorage",
        ) => Global::Storage(StorageKind::Other),
        _ => return Err(WeightsError::ForbiddenGlobal(format!("{module}.{name}"))),
    })
}

fn opcode_name(opcode: u8) -> String {
    let name = match opcode {
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82..=0x84 => "EXT",
        b'P' => "PERSID",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        _ => return format!("0x{opcode:02x}"),
    };
    format!("{name} (0x{opcode:02x})")
}

fn malformed(what: impl Into<String>) -> WeightsError {
    WeightsError::Malformed(what.into())
}
