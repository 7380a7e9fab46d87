//! Panics of the Parquet crates as errors.
//!
//! `parquet` and `arrow-ipc` 59 panic on some damaged files: a negative offset of a column chunk
//! (`ColumnChunkMetaData::byte_range`), a broken `ARROW:schema` (`arrow_ipc::convert`), levels or lengths that exceed a
//! page (`bit_util`, `byte_array`). `tests/vector_hostile.rs` has such files. They must not bring down whoever asked, so
//! reading runs behind this boundary; nothing of a failed read is used again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `read`; a panic in it is an error, and is not printed.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                others(panic);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(before);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(format!("it is damaged: {text}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_guard_ends_with_it() {
        let failed: Result<(), String> = guarded(|| panic!("offset {}", -1));
        assert!(failed.unwrap_err().contains("offset -1"));
        assert!(!GUARDED.get());
        assert_eq!(guarded(|| Ok(5)), Ok(5));
    }
}
