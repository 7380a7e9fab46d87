//! A second request for one that waits unusually long for its first byte.
//!
//! Of many requests a few wait far longer than the rest, for a lost packet or a busy machine behind the host, and a call ends with
//! its slowest. Asked again on another connection, most are answered at once. What is usual is learned of each host, so one
//! that is slow on all requests is not asked twice.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep;

use super::fetch::{Ask, HELP_BUSY, Remote, Trouble};
use super::runtime::{Host, Net};

/// No shorter wait is unusual.
const LEAST: Duration = Duration::from_millis(250);
/// A wait is unusual that is this many times as long as nine of ten.
const TIMES: u32 = 3;
/// Waits that are remembered, and how many must be before any is unusual.
const REMEMBERED: usize = 64;
const ENOUGH: usize = 8;
/// One request in this many may be asked again; so many may be saved up.
const ONE_IN: u32 = 10;
const SAVED: u32 = 6;

/// How long a host lately took to begin its answers, and how often it may be asked again.
#[derive(Debug)]
pub(super) struct Pace {
    waits: VecDeque<Duration>,
    /// In parts of a second request.
    credit: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { waits: VecDeque::with_capacity(REMEMBERED), credit: ONE_IN }
    }
}

impl Pace {
    fn sent(&mut self) {
        self.credit = (self.credit + 1).min(SAVED * ONE_IN);
    }

    fn waited(&mut self, time: Duration) {
        if self.waits.len() == REMEMBERED {
            self.waits.pop_front();
        }
        self.waits.push_back(time);
    }

    /// The wait from which on a request may be asked again.
    fn unusual(&self) -> Option<Duration> {
        let n = self.waits.len();
        let mut waits: Vec<Duration> = self.waits.iter().copied().filter(|_| n >= ENOUGH).collect();
        let high = n * 9 / 10;
        (high < waits.len()).then(|| (*waits.select_nth_unstable(high).1 * TIMES).max(LEAST))
    }

    /// Takes leave to ask again.
    fn spend(&mut self) -> bool {
        let left = self.credit.checked_sub(ONE_IN);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// The host wants fewer requests: none is asked again until many more went well.
    pub(super) fn forbid(&mut self) {
        self.credit = 0;
    }
}

/// How long a request has waited for the head of its answer.
pub(super) struct Wait {
    begin: Instant,
    took: OnceLock<Duration>,
}

impl Wait {
    pub(super) fn begin() -> Self {
        Self { begin: Instant::now(), took: OnceLock::new() }
    }

    /// The answer has begun.
    pub(super) fn end(&self) {
        let _ = self.took.set(self.begin.elapsed());
    }

    fn is_over(&self) -> bool {
        self.took.get().is_some()
    }
}

impl Remote {
    /// Asks once, and once more where the first answer is unusually long in coming. The first whole answer counts; the other
    /// request is dropped, and its connection with it. Both share a place among the requests in flight, as one of the two only waits.
    pub(super) async fn attempt_hedged(
        &self,
        net: &Net,
        host: &Host,
        door: usize,
        ask: &Ask,
    ) -> Result<Bytes, Trouble> {
        let (wait, other_wait) = (Wait::begin(), OnceLock::new());
        host.pace().sent();
        let first = pin!(self.attempt_object(net, door, ask, &wait));
        let again = async {
            let unusual = host.pace().unusual().filter(|_| self.options.hedge);
            match unusual {
                Some(unusual) => sleep(unusual).await,
                None => std::future::pending().await,
            }
            if wait.is_over() || host.is_paused() || !host.pace().spend() {
                std::future::pending::<()>().await;
            }
            self.attempt_object(net, door, ask, other_wait.get_or_init(Wait::begin)).await
        };
        let result = first_good(host, first, again, || other_wait.get().is_some()).await;
        for wait in [Some(&wait), other_wait.get()].into_iter().flatten() {
            // One that was dropped waited at least until now.
            let took = wait.took.get().copied().or_else(|| result.is_ok().then(|| wait.begin.elapsed()));
            took.into_iter().for_each(|took| host.pace().waited(took));
        }
        result
    }
}

/// The first of two answers that is no failure which may pass; `both` says whether the second was asked for.
async fn first_good(
    host: &Host,
    first: impl Future<Output = Result<Bytes, Trouble>>,
    second: impl Future<Output = Result<Bytes, Trouble>>,
    both: impl Fn() -> bool,
) -> Result<Bytes, Trouble> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (done, is_first) = tokio::select! {
        biased;
        done = &mut first => (done, true),
        done = &mut second => (done, false),
    };
    if matches!(done, Err(Trouble::Again { help: HELP_BUSY, .. })) {
        host.pace().forbid();
    }
    match done {
        Err(Trouble::Again { wait, .. }) if both() => {
            wait.into_iter().for_each(|wait| host.pause(wait));
            if is_first { second.await } else { first.await }
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(waits: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        waits.into_iter().for_each(|ms| pace.waited(Duration::from_millis(ms)));
        pace
    }

    #[test]
    fn usual_is_what_the_host_does() {
        assert_eq!(pace([30; 7]).unusual(), None, "too few to know");
        assert_eq!(pace([30; 8]).unusual(), Some(LEAST));
        assert_eq!(pace([1000; 64]).unusual(), Some(Duration::from_secs(3)), "slow on all");
        let some = |stalled: usize| pace((0..64).map(|i| if i < stalled { 5000 } else { 200 })).unusual();
        assert_eq!(some(6), Some(Duration::from_millis(600)));
        assert_eq!(some(8), Some(Duration::from_secs(15)), "so many are usual");
        assert_eq!(
            pace([9000; 200].into_iter().chain([100; 64])).unusual(),
            Some(Duration::from_millis(300))
        );
    }

    #[test]
    fn one_request_in_ten_is_asked_again() {
        let mut pace = pace([30; 64]);
        let mut again = 0;
        for _ in 0..1000 {
            pace.sent();
            again += u32::from(pace.spend());
        }
        assert_eq!(again, 101);
        (0..1000).for_each(|_| pace.sent());
        assert_eq!((0..100).filter(|_| pace.spend()).count(), 6, "not all at once");
        (0..1000).for_each(|_| pace.sent());
        pace.forbid();
        assert!(!pace.spend());
    }
}
