//! Search: what is similar to a place, a patch, a vector or to examples, exactly, in bounded memory.
//!
//! Every vector is looked at once. Sums in float32 rule rows out, sums in float64 decide, so answers and their order are those of
//! the definition; equal scores stand in the order of rows.

mod ask;
mod bits;
mod flat;
mod like;
mod many;
mod probe;
mod query;
mod run;
mod top;

pub use ask::{Ask, Question};
pub use bits::nearest_bits;
pub use flat::{Found, Rows, nearest};
pub use like::{Combine, Examples, Like, combine};
pub use many::nearest_of_many;
pub use query::{Metric, Query};
pub use run::{Answer, MOST, Options, check_k, search};
pub(crate) use run::{answer_table, ranked};
pub use top::{Hit, Top};
