//! The length of a table's vectors, where neither product nor schema states it.
//!
//! It is asked for before rows are chosen: if the first row that a question happens to read set it, a ragged one would make all
//! others faults.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use terravec_io::table::{VectorSpec, VectorState, vectors_of};

use super::PatchDataset;
use super::columns::VectorColumns;
use super::file::OpenFile;
use crate::error::Result;

/// Rows that are looked at.
const LOOKED_AT: u64 = 256;

impl OpenFile {
    /// Length of the vectors, where the schema states it.
    pub(super) fn stated_length(&self) -> Option<usize> {
        match &self.columns.vector {
            VectorColumns::Many(columns) => Some(columns.len()),
            VectorColumns::One(column) => match self.schema.field(*column).data_type() {
                DataType::FixedSizeList(_, n) => usize::try_from(*n).ok(),
                _ => None,
            },
        }
    }
}

impl PatchDataset {
    /// Stored numbers of a row: as the product or the schema says, else the commonest among the first rows that have a vector.
    /// `None` where no row has one.
    pub(super) fn length(&self) -> Result<Option<usize>> {
        if let Some(known) = self.dimension().or_else(|| self.length.get().copied()) {
            return Ok(Some(known));
        }
        for file in self.files.iter() {
            let open = file.open(&self.product, &self.root)?;
            if let Some(length) = self.length_in(&open)? {
                return Ok(Some(*self.length.get_or_init(|| length)));
            }
        }
        Ok(None)
    }

    fn length_in(&self, open: &OpenFile) -> Result<Option<usize>> {
        let column = match &open.columns.vector {
            VectorColumns::One(column) if open.stated_length().is_none() => *column,
            _ => return Ok(open.stated_length()),
        };
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for group in 0..open.groups() {
            let rows = open.group_rows(group);
            let first = rows.start..rows.end.min(rows.start.saturating_add(LOOKED_AT));
            if first.is_empty() {
                continue;
            }
            for batch in open.read(&[column], vec![group], Some(vec![first]))? {
                let column: ArrayRef = batch?.column(0).clone();
                let block = vectors_of(column, &VectorSpec { dim: None, dtype: self.product.dtype })?;
                for state in &block.states {
                    match state {
                        VectorState::Present => *counts.entry(block.dim).or_default() += 1,
                        VectorState::Length(n) => *counts.entry(*n).or_default() += 1,
                        VectorState::Null | VectorState::NotFinite | VectorState::Unreadable => {}
                    }
                }
            }
            if counts.keys().any(|n| *n > 0) {
                break;
            }
        }
        counts.remove(&0);
        Ok(counts.into_iter().max_by_key(|(_, n)| *n).map(|(length, _)| length))
    }
}
