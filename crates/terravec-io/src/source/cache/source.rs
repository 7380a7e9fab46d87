//! A source whose bytes are kept in the cache.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::super::{Checksum, Fingerprint, Source, SourceError, check_range, plan};
use super::entry::{self, now};
use super::{About, Cache, Place};
use crate::spread::spread;

/// The head of an object, which the inner source fetches when only its size is asked for.
const HEAD: u64 = 64 * 1024;
/// What it fetches when its end is asked for.
const TAIL: u64 = HEAD;
/// No entry is longer: what is asked of the inner source is cut to less.
const LONGEST: u64 = 16 * 1024 * 1024;
/// Entries that are read or written at a time.
const AT_ONCE: usize = 4;
/// A record younger than this is not written again.
const FRESH: u64 = 60;

/// A source, and what is kept of it. Reads what is there from the disk and the rest from the source.
#[derive(Debug)]
pub struct CachedSource<S> {
    inner: S,
    cache: Cache,
    place: Place,
    state: Mutex<State>,
}

/// What is known of the object.
#[derive(Debug, Clone, Default)]
enum State {
    /// Nothing was asked yet.
    #[default]
    Unknown,
    /// It is in this state, as the host said now or not long ago.
    Known(Known),
    /// Its host does not tell one state from another: nothing is kept.
    Stateless,
}

#[derive(Debug, Clone)]
struct Known {
    fingerprint: Fingerprint,
    /// Where its entries are.
    folder: PathBuf,
    /// Start and end of each.
    kept: BTreeMap<u64, u64>,
    /// Whether bytes from the disk were handed out before the host confirmed the state.
    believed: bool,
    confirmed: bool,
}

impl Known {
    fn new(place: &Place, fingerprint: Fingerprint, confirmed: bool) -> Self {
        let folder = place.version(&fingerprint);
        let size = fingerprint.size;
        let kept = entry::ranges(&folder).into_iter().filter(|r| r.end <= size && r.end - r.start <= LONGEST);
        Self {
            kept: kept.map(|r| (r.start, r.end)).collect(),
            folder,
            fingerprint,
            believed: false,
            confirmed,
        }
    }

    /// The entry that holds byte `at`.
    fn holding(&self, at: u64) -> Option<Range<u64>> {
        let before = self.kept.range(..=at).rev().take_while(|(start, _)| at - **start < LONGEST);
        before.map(|(start, end)| *start..*end).find(|r| at < r.end)
    }

    /// Entries that hold parts of `range`, and the parts that none holds.
    fn split(&self, range: &Range<u64>, held: &mut Vec<Range<u64>>, missing: &mut Vec<Range<u64>>) {
        let mut at = range.start;
        while at < range.end {
            at = match self.holding(at) {
                Some(entry) => {
                    held.push(entry.clone());
                    entry.end
                }
                None => {
                    let next = self.kept.range(at + 1..).next().map_or(range.end, |(start, _)| *start);
                    let end = next.min(range.end);
                    missing.push(at..end);
                    end
                }
            };
        }
    }
}

impl<S: Source> CachedSource<S> {
    pub(super) fn new(cache: Cache, inner: S, place: Place) -> Self {
        Self { inner, cache, place, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known without asking the host, or after asking it for one byte where its word is old.
    fn recall(&self) -> Result<State, SourceError> {
        let mut state = self.state();
        if !matches!(*state, State::Unknown) {
            return Ok(state.clone());
        }
        let options = self.cache.options();
        let Some(about) = self.place.about() else { return Ok(State::Unknown) };
        let age = now().saturating_sub(about.checked);
        let believed = options.offline || age < options.trust.as_secs();
        if about.is_absent() {
            return match believed {
                true => Err(SourceError::NotFound { url: self.inner.url().to_owned() }),
                false => Ok(State::Unknown),
            };
        }
        if believed {
            *state = State::Known(Known::new(&self.place, about.fingerprint, false));
            return Ok(state.clone());
        }
        drop(state);
        match self.inner.read(0..1) {
            // An empty object has no byte.
            Ok(_) | Err(SourceError::BeyondEnd { .. }) => {}
            Err(e) => return Err(self.missed(e)),
        }
        self.learn()
    }

    /// Notes that there is nothing, where that is what went wrong: archives are asked for many things that they may not have.
    fn missed(&self, e: SourceError) -> SourceError {
        if matches!(e, SourceError::NotFound { .. }) {
            let _ = self.place.write_about(&About::absent(self.inner.url()));
        }
        e
    }

    /// What the inner source, which has had an answer, says of the object.
    fn learn(&self) -> Result<State, SourceError> {
        let fingerprint = self.inner.fingerprint()?;
        let mut state = self.state();
        match &mut *state {
            State::Known(known) if known.fingerprint == fingerprint => known.confirmed = true,
            State::Known(known) if known.believed => {
                let was = known.fingerprint.clone();
                // Believed no more, by this source or the next.
                self.place.forget_others(&fingerprint);
                self.record(&fingerprint);
                return Err(SourceError::ObjectChanged {
                    url: self.inner.url().to_owned(),
                    what: format!("the cache has {}, the host now {}", shown(&was), shown(&fingerprint)),
                });
            }
            _ if fingerprint.version.is_none() => *state = State::Stateless,
            _ => {
                self.place.forget_others(&fingerprint);
                *state = State::Known(Known::new(&self.place, fingerprint, true));
            }
        }
        if let State::Known(known) = &*state {
            self.record(&known.fingerprint);
        }
        Ok(state.clone())
    }

    /// Writes down what the host said. A cache that can't be written is no failure.
    fn record(&self, fingerprint: &Fingerprint) {
        let recent = |a: &About| a.fingerprint == *fingerprint && now().saturating_sub(a.checked) < FRESH;
        if !self.place.about().is_some_and(|a| recent(&a)) {
            let (url, fingerprint) = (self.inner.url().to_owned(), fingerprint.clone());
            let _ = self.place.write_about(&About { url, fingerprint, checked: now() });
        }
    }

    fn offline(&self, what: &[Range<u64>]) -> SourceError {
        let mut text: Vec<String> =
            what.iter().take(4).map(|r| format!("bytes {}..{}", r.start, r.end)).collect();
        if what.len() > 4 {
            text.push(format!("{} more", what.len() - 4));
        }
        let what = if text.is_empty() { "nothing of it is there".into() } else { text.join(", ") };
        SourceError::Offline { url: self.inner.url().to_owned(), what }
    }

    /// Fetches and keeps `wanted`.
    fn fetch(&self, wanted: &[Range<u64>]) -> Result<Vec<(Range<u64>, Bytes)>, SourceError> {
        if self.cache.options().offline {
            return Err(self.offline(wanted));
        }
        let requests = plan::coalesce(wanted);
        let answers = self.inner.read_ranges(&requests).map_err(|e| self.missed(e))?;
        self.keep(&requests, &answers)?;
        Ok(requests.into_iter().zip(answers).collect())
    }

    /// Keeps what came of `requests`.
    fn keep(&self, requests: &[Range<u64>], answers: &[Bytes]) -> Result<(), SourceError> {
        if let State::Known(known) = self.learn()? {
            let write =
                |(range, bytes): (&Range<u64>, &Bytes)| entry::write(&known.folder, range, bytes).is_ok();
            let pairs: Vec<_> = requests.iter().zip(answers).collect();
            let done = spread(&pairs, AT_ONCE, |pair| write(*pair));
            if let State::Known(known) = &mut *self.state() {
                for (range, _) in requests.iter().zip(&done).filter(|(_, done)| **done) {
                    let end = known.kept.entry(range.start).or_default();
                    *end = range.end.max(*end);
                }
            }
            self.cache.wrote(answers.iter().map(|a| a.len() as u64).sum());
        }
        Ok(())
    }

    /// Reads what is kept from the disk, and fetches the rest.
    fn through(&self, known: &Known, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        let size = known.fingerprint.size;
        ranges.iter().try_for_each(|range| check_range(self.url(), range, size))?;
        let (mut held, mut missing) = (Vec::new(), Vec::new());
        ranges.iter().for_each(|range| known.split(range, &mut held, &mut missing));
        held.sort_unstable_by_key(|r| (r.start, r.end));
        held.dedup();
        let read = spread(&held, AT_ONCE, |range| entry::read(&known.folder, range));
        let mut parts = Vec::new();
        for (range, bytes) in held.iter().zip(read) {
            match bytes {
                Some(bytes) => parts.push((range.clone(), bytes)),
                None => {
                    // Gone, or no longer what was written.
                    if let State::Known(known) = &mut *self.state() {
                        known.kept.remove(&range.start);
                    }
                    for asked in ranges {
                        let lost = range.start.max(asked.start)..range.end.min(asked.end);
                        missing.extend((lost.start < lost.end).then_some(lost));
                    }
                }
            }
        }
        if !parts.is_empty()
            && let State::Known(known) = &mut *self.state()
            && !known.confirmed
        {
            known.believed = true;
        }
        if !missing.is_empty() {
            parts.extend(self.fetch(&missing)?);
            if let State::Known(now) = &*self.state()
                && now.fingerprint != known.fingerprint
            {
                // Nothing from the disk was handed out yet, or learning would have failed.
                return self.inner.read_ranges(ranges);
            }
        }
        parts.sort_by_key(|(range, _)| range.start);
        Ok(ranges.iter().map(|range| cut(range, &parts)).collect())
    }
}

impl<S: Source> Source for CachedSource<S> {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn len(&self) -> Result<u64, SourceError> {
        Ok(self.fingerprint()?.size)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        match self.recall()? {
            State::Known(known) => self.through(&known, ranges),
            State::Stateless => self.inner.read_ranges(ranges),
            State::Unknown => {
                ranges.iter().try_for_each(|range| check_range(self.url(), range, u64::MAX))?;
                let parts = self.fetch(ranges)?;
                Ok(ranges.iter().map(|range| cut(range, &parts)).collect())
            }
        }
    }

    fn read_last(&self, n: u64) -> Result<Bytes, SourceError> {
        if matches!(self.recall()?, State::Unknown)
            && !self.cache.options().offline
            && (1..=LONGEST).contains(&n)
        {
            // As much as comes anyway, so that it is kept.
            let end = self.inner.read_last(n.max(TAIL)).map_err(|e| self.missed(e))?;
            let size = self.inner.len()?;
            let start = size - size.min(end.len() as u64);
            self.keep(std::slice::from_ref(&(start..size)), std::slice::from_ref(&end))?;
            return Ok(end.slice(end.len() - end.len().min(n as usize)..));
        }
        let size = self.len()?;
        self.read(size - size.min(n)..size)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        match self.recall()? {
            State::Known(known) => Ok(known.fingerprint),
            State::Stateless => self.inner.fingerprint(),
            State::Unknown if self.cache.options().offline => Err(self.offline(&[])),
            State::Unknown => {
                let fingerprint = self.inner.fingerprint().map_err(|e| self.missed(e))?;
                if fingerprint.size > 0 {
                    // The head came along with the size; it is kept for the next process.
                    self.fetch(&[0..HEAD.min(fingerprint.size)])?;
                }
                Ok(fingerprint)
            }
        }
    }

    fn checksum(&self) -> Option<Checksum> {
        self.inner.checksum()
    }
}

fn shown(fingerprint: &Fingerprint) -> String {
    format!("{} bytes, {}", fingerprint.size, fingerprint.version.as_deref().unwrap_or("no version"))
}

/// Takes `range` out of `parts`, sorted by their start, which together hold all of it and may overlap.
fn cut(range: &Range<u64>, parts: &[(Range<u64>, Bytes)]) -> Bytes {
    if range.start >= range.end {
        return Bytes::new();
    }
    let holding = |at: u64| {
        let before = parts.partition_point(|(r, _)| r.start <= at);
        parts[..before].iter().rev().find(|(r, _)| at < r.end)
    };
    let slice = |at: u64, (r, bytes): &(Range<u64>, Bytes)| {
        bytes.slice((at - r.start) as usize..(range.end.min(r.end) - r.start) as usize)
    };
    let mut whole = BytesMut::new();
    let mut at = range.start;
    while at < range.end {
        let Some(part) = holding(at) else { break };
        let piece = slice(at, part);
        if piece.len() as u64 == range.end - range.start {
            return piece;
        }
        at += piece.len() as u64;
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}
