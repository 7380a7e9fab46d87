//! The pieces of a file, in order, while more of them are on their way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use terravec_io::source::{Source, SourceError};

use crate::error::{Error, Result};

/// Bytes of a piece, which is one request: few at first, so that on a slow line there is soon something to keep.
const FIRST_PIECE: u64 = 1 << 20;
const PIECE: u64 = 4 << 20;
/// Pieces of one file that are on their way or wait to be written.
const AHEAD: usize = 8;
/// The same of all files: what a download takes of memory.
const ALL: usize = 24;

/// A range of a file that is being fetched.
pub(super) struct Flow<'a> {
    source: &'a dyn Source,
    range: Range<u64>,
    /// Files that share the memory.
    files: &'a AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Where the next piece to be asked for begins, and the next to be handed out.
    asked: u64,
    taken: u64,
    here: BTreeMap<u64, Result<Bytes, SourceError>>,
    over: bool,
}

impl<'a> Flow<'a> {
    pub(super) fn new(source: &'a dyn Source, range: Range<u64>, files: &'a AtomicUsize) -> Self {
        let state = State { asked: range.start, taken: range.start, here: BTreeMap::new(), over: false };
        Self { source, range, files, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands `take` every piece, until it or the source fails.
    pub(super) fn run(&self, mut take: impl FnMut(Bytes) -> Result<()>) -> Result<()> {
        let most = (self.range.end - self.range.start).div_ceil(FIRST_PIECE).min(AHEAD as u64);
        std::thread::scope(|scope| {
            (0..most).for_each(|_| drop(scope.spawn(|| self.ask())));
            let done = (|| {
                while let Some(piece) = self.next()? {
                    take(piece)?;
                }
                Ok(())
            })();
            self.lock().over = true;
            self.changed.notify_all();
            done
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'b>(&self, state: MutexGuard<'b, State>) -> MutexGuard<'b, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one piece after the other.
    fn ask(&self) {
        loop {
            let mut state = self.lock();
            let share = || (ALL / self.files.load(Ordering::Relaxed).max(1)).clamp(1, AHEAD) as u64;
            let end = self.range.end;
            while !state.over && state.asked < end && state.asked - state.taken >= share() * PIECE {
                state = self.wait(state);
            }
            if state.over || state.asked >= end {
                return;
            }
            let length = ((state.asked - self.range.start) / AHEAD as u64).clamp(FIRST_PIECE, PIECE);
            let piece = state.asked..(state.asked + length).min(end);
            state.asked = piece.end;
            drop(state);
            let start = piece.start;
            // Whoever waits for the piece has to hear of it, whatever happens.
            let came = catch_unwind(AssertUnwindSafe(|| self.source.read(piece))).unwrap_or(Ok(Bytes::new()));
            self.lock().here.insert(start, came);
            self.changed.notify_all();
        }
    }

    /// The next piece; `None` at the end.
    fn next(&self) -> Result<Option<Bytes>> {
        let mut state = self.lock();
        loop {
            let at = state.taken;
            if at >= self.range.end {
                return Ok(None);
            }
            if let Some(piece) = state.here.remove(&at) {
                let piece = piece?;
                state.taken += piece.len() as u64;
                self.changed.notify_all();
                if piece.is_empty() {
                    let what = format!("{}: reading ended unexpectedly", self.source.url());
                    return Err(Error::open(what, "run again to go on"));
                }
                return Ok(Some(piece));
            }
            state = self.wait(state);
        }
    }
}
