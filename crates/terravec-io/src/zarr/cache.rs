//! Indexes of shards read lately: each is read once, whatever is asked of its shard.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::source::Source;

/// Indexes kept, in number (each keeps its object open) and bytes.
const MAX_SHARDS: usize = 256;
const MAX_BYTES: usize = 64 << 20;

/// A shard that is there.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) source: Arc<dyn Source>,
    /// Where the shard begins and ends in its object.
    pub(super) range: (u64, u64),
    /// From and to which byte of the shard each chunk lies; empty ranges for chunks never written.
    pub(super) entries: Vec<(u64, u64)>,
}

/// The key of an object, how deep in other shards the shard lies, and where in the object it begins.
type Key = (String, usize, u64);

/// Indexes read lately. `None` stands for a shard that is not there.
#[derive(Debug, Default)]
pub(super) struct ShardCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shards: HashMap<Key, Option<Arc<Shard>>>,
    /// Oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl ShardCache {
    pub(super) fn get(&self, key: &Key) -> Option<Option<Arc<Shard>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).shards.get(key).cloned()
    }

    pub(super) fn put(&self, key: Key, shard: Option<Arc<Shard>>) {
        let size = |s: &Option<Arc<Shard>>| s.as_ref().map_or(0, |s| s.entries.len() * 16) + 256;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes += size(&shard);
        if let Some(old) = state.shards.insert(key.clone(), shard) {
            state.bytes -= size(&old);
        } else {
            state.order.push_back(key);
        }
        while state.order.len() > MAX_SHARDS || (state.bytes > MAX_BYTES && state.order.len() > 1) {
            let Some(oldest) = state.order.pop_front() else { break };
            if let Some(old) = state.shards.remove(&oldest) {
                state.bytes -= size(&old);
            }
        }
    }
}
