//! `classify area`.

use super::super::Outcome;
use crate::args::{Areas, Cli};

pub(super) fn run(_cli: &Cli, _args: &Areas) -> Outcome {
    Ok(())
}
