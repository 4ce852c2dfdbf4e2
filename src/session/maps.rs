//! Maps of the images of a command, checked.

use super::Loaded;
use anyhow::{Context, Result, ensure};
use explain::{Attribution, Batch, Estimate};
use models::finite::finite;
use tch::Tensor;

impl Loaded {
    /// `method`'s maps of a batch whose first image is number `first` of those asked for. Errors: a
    /// map that is not finite.
    pub fn attribute(&self, method: &dyn Attribution, batch: &Batch, first: u64) -> Result<Tensor> {
        let maps = match method.stored() {
            Some(maps) => Self::stored(&maps, batch, first),
            None => method.attribute(&self.model, batch),
        };
        self.finite(maps, first)
    }

    /// The same, and what is known of their error where they are means over draws.
    pub fn estimate(
        &self,
        method: &dyn Attribution,
        batch: &Batch,
        first: u64,
    ) -> Result<(Tensor, Option<Estimate>)> {
        match method.estimate(&self.model, batch) {
            Some(found) => Ok((self.finite(found.map.shallow_clone(), first)?, Some(found))),
            None => Ok((self.attribute(method, batch, first)?, None)),
        }
    }

    fn finite(&self, maps: Tensor, first: u64) -> Result<Tensor> {
        let (model, data) = (&self.card.name, &self.data.name);
        finite(&maps, |row| {
            format!("`{model}`: the map of image {} of `{data}`", self.data.place(first + row))
        })?;
        Ok(maps)
    }

    /// Errors: a method that does not fit the network and its images, or maps made elsewhere that are not
    /// as many as the images.
    pub fn check_method(&self, spelled: &str, method: &dyn Attribution) -> Result<()> {
        let told = || format!("method `{spelled}`");
        method.check(&self.model, self.data.image_shape()).with_context(told)?;
        let (found, images) = (method.stored().map(|maps| maps.size()[0]), self.data.len() as i64);
        let found = found.unwrap_or(images);
        ensure!(found == images, "{}: the file has {found} maps; the images are {images}", told());
        Ok(())
    }

    /// Maps made elsewhere of the images from number `first` on, as many as those of `batch`.
    fn stored(maps: &Tensor, batch: &Batch, first: u64) -> Tensor {
        let part = maps.narrow(0, first as i64, batch.x.size()[0]);
        let part = part.to_device(batch.x.device()).to_kind(batch.x.kind());
        part.expand_as(&batch.x).contiguous()
    }
}
