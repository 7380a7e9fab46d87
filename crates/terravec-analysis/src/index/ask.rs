//! A whole question put to an index: examples from the dataset, neighbours from the index.

use terravec::{Dataset, Error, Result};

use super::manifest::Index;
use super::search::Filter;
use crate::rows::Stream;
use crate::search::{Answer, Ask, check_k};

impl Index {
    /// Answers a question of `search`. `probes` lists are looked at: as many as the index itself chose if not said.
    ///
    /// # Errors
    /// If the dataset is another product than that of the index, or the question asks for what an index does not keep.
    pub fn ask(&self, ask: &Ask, dataset: &Dataset, probes: Option<usize>) -> Result<Answer> {
        check_k(ask.k)?;
        self.check_product(dataset)?;
        if ask.vectors || ask.resolution.is_some() || ask.crs.is_some() {
            return Err(Error::query(
                "vectors in the results, a CRS and a resolution are for searches without an index",
                "leave them out",
            ));
        }
        let question = ask.question(dataset)?;
        let not_at: &[(f64, f64)] = if ask.exclude { &question.places } else { &[] };
        let filter = Filter::of(&ask.rows, not_at)?;
        let probes = probes.unwrap_or(self.manifest.probes);
        if probes == 0 {
            return Err(Error::query("0 lists are to be looked at", "ask for at least 1"));
        }
        let mut answer = self.search(&question.query, ask.k, probes, &filter)?;
        answer.notes.splice(0..0, question.notes);
        Ok(answer)
    }

    fn check_product(&self, dataset: &Dataset) -> Result<()> {
        let own = &self.manifest.provenance;
        let (id, same) = match dataset {
            Dataset::Patch(patches) => {
                let stream =
                    Stream::of_rows(patches.scan(&terravec::patch::PatchQuery::default())?, &|_, _| ());
                (crate::pca::named(&stream.provenance()), own.same_space(&stream.provenance()))
            }
            other => (other.product().id.clone(), own.product == other.product().id),
        };
        if same {
            return Ok(());
        }
        Err(Error::query(
            format!("the index holds vectors of {}, and not of {id}", crate::pca::named(own)),
            "build an index of this product and version",
        ))
    }
}
