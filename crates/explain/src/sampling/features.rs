//! Which numbers of an image a perturbation switches together. Groups depend on the image alone;
//! derivatives hold them fixed.

use crate::sampling::quickshift;
use anyhow::{Result, ensure};
use models::upload;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Pixels times groups of a table of who belongs where, at most.
const MEMBERS: i64 = 1 << 23;

/// The names of the ways to group.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grouping {
    /// Superpixels of each image.
    #[default]
    Quickshift,
    /// `cells` × `cells` rectangles.
    Grid,
    /// One per pixel, channels together.
    Pixels,
    /// One per number.
    Scalars,
}

impl Grouping {
    /// With the option `cells`, which only a grid has.
    pub(crate) fn with(self, cells: Option<i64>) -> Result<Features> {
        if self != Grouping::Grid {
            ensure!(cells.is_none(), "`cells` is for `groups = \"grid\"`; leave it out");
        }
        let cells = cells.unwrap_or(10);
        ensure!(cells > 0, "`cells` is {cells}; it must be positive");
        Ok(Features { grouping: self, cells })
    }
}

/// A way to group, with its options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    pub(crate) grouping: Grouping,
    pub(crate) cells: i64,
}

impl Features {
    /// The way to group images of shape `[N, C, H, W]`. One pixel is a row of a table, and its numbers
    /// are what it is made of.
    fn grouping(&self, size: &[i64]) -> Grouping {
        if size[2..] == [1, 1] { Grouping::Scalars } else { self.grouping }
    }

    /// The number of groups of images of shape `[N, C, H, W]`; none if that depends on the image.
    pub(crate) fn count(&self, size: &[i64]) -> Option<i64> {
        let (channels, height, width) = (size[1], size[2], size[3]);
        match self.grouping(size) {
            Grouping::Quickshift => None,
            Grouping::Grid => Some(self.cells.min(height) * self.cells.min(width)),
            Grouping::Pixels => Some(height * width),
            Grouping::Scalars => Some(channels * height * width),
        }
    }

    /// What has to be searched for in the images `x` `[N, C, H, W]`: once a batch, since it waits for
    /// the device.
    pub(crate) fn segments(&self, x: &Tensor) -> Segments {
        Segments(self.count(&x.size()).is_none().then(|| superpixels(x)))
    }

    /// The groups of each image of `x` `[N, C, H, W]`.
    pub(crate) fn of(&self, x: &Tensor) -> Groups {
        self.given(x, &self.segments(x))
    }

    /// The same, once their [`Features::segments`] are there.
    pub(crate) fn given(&self, x: &Tensor, segments: &Segments) -> Groups {
        let size = x.size();
        let &[n, channels, height, width] = &size[..] else { panic!("images are [N, C, H, W]") };
        let on = (Kind::Int64, x.device());
        let Some(count) = self.count(&size) else { return segments.groups() };
        let grouping = self.grouping(&size);
        let one = match grouping {
            Grouping::Grid => {
                let band = |side: i64, cells: i64| {
                    (Tensor::arange(side, on) * cells).floor_divide_scalar(side)
                };
                let cells = (self.cells.min(height), self.cells.min(width));
                let rows = band(height, cells.0).unsqueeze(1) * cells.1;
                (rows + band(width, cells.1)).view([1, 1, height, width])
            }
            Grouping::Pixels => Tensor::arange(count, on).view([1, 1, height, width]),
            _ => Tensor::arange(count, on).view([1, channels, height, width]),
        };
        let labels = one.expand([n, -1, -1, -1], false);
        let in_order = grouping != Grouping::Grid;
        Groups { labels, in_order, count, counts: Tensor::full([n], count, on) }
    }
}

/// Labels i64 `[N, 1, H, W]` where the images are, and how many each image has.
fn superpixels(x: &Tensor) -> (Tensor, Vec<i64>) {
    let each = quickshift::segments_of_each(x, &quickshift::Options::default());
    let most = |labels: &Vec<i64>| labels.iter().max().map_or(0, |last| last + 1);
    let counts = each.iter().map(most).collect();
    let size = x.size();
    (upload(&each.concat(), x.device()).view([size[0], 1, size[2], size[3]]), counts)
}

/// The superpixels of a batch of images; none where groups are the same for all images.
#[derive(Debug, Default)]
pub(crate) struct Segments(Option<(Tensor, Vec<i64>)>);

impl Segments {
    /// Those of `n` images from the `first` on.
    pub(crate) fn narrow(&self, first: i64, n: i64) -> Self {
        let own = first as usize..(first + n) as usize;
        let narrowed = |(labels, counts): &(Tensor, Vec<i64>)| {
            (labels.narrow(0, first, n), counts[own].to_vec())
        };
        Segments(self.0.as_ref().map(narrowed))
    }

    /// Those of the images that `rows` names.
    pub(crate) fn select(&self, rows: &[i64]) -> Self {
        let selected = |(labels, counts): &(Tensor, Vec<i64>)| {
            let index = upload(rows, labels.device());
            let counts = rows.iter().map(|&row| counts[row as usize]).collect();
            (labels.index_select(0, &index), counts)
        };
        Segments(self.0.as_ref().map(selected))
    }

    fn groups(&self) -> Groups {
        let (labels, counts) = self.0.as_ref().expect("`segments` of the same features");
        Groups {
            labels: labels.shallow_clone(),
            in_order: false,
            count: counts.iter().copied().max().unwrap_or(0),
            counts: upload(counts, labels.device()),
        }
    }
}

/// The groups of a batch of images, as many columns as the image with most of them needs.
#[derive(Debug)]
pub(crate) struct Groups {
    labels: Tensor, // i64 [N, 1 or C, H, W]
    /// Whether each place is its own group and the numbers just count.
    in_order: bool,
    /// The largest number of groups.
    pub(crate) count: i64,
    /// How many each image has, i64 `[N]`.
    pub(crate) counts: Tensor,
}

impl Groups {
    /// Which columns of each image stand for a group, `[N, 1, G]` bool.
    pub(crate) fn real(&self) -> Tensor {
        let columns = Tensor::arange(self.count, (Kind::Int64, self.counts.device()));
        columns.lt_tensor(&self.counts.unsqueeze(1)).unsqueeze(1)
    }

    /// A number per group on the group's pixels: `[N, S, G]` -> `[N, S, 1 or C, H, W]`.
    pub(crate) fn paint(&self, numbers: &Tensor) -> Tensor {
        let s = numbers.size()[1];
        let places = self.labels.flatten(1, -1).unsqueeze(1).expand([-1, s, -1], false);
        let shape = [&[self.counts.size()[0], s], &self.labels.size()[1..]].concat();
        numbers.gather(2, &places, false).view(&shape[..])
    }

    /// Sums over groups: `[N, C, H, W]` -> `[N, G]`; the transpose of painting.
    pub(crate) fn sums(&self, v: &Tensor) -> Tensor {
        let alike = self.labels.size()[1] == 1;
        let v = if alike { v.sum_dim_intlist([1].as_slice(), true, v.kind()) } else { v.copy() };
        let v = v.flatten(1, -1);
        if self.in_order {
            return v;
        }
        // A scattered sum would depend on the order in which a GPU adds.
        let labels = self.labels.flatten(1, -1).unsqueeze(2);
        let side = (MEMBERS / labels.numel() as i64).max(1);
        let part = |start| {
            let end = self.count.min(start + side);
            let groups = Tensor::arange_start(start, end, (Kind::Int64, v.device()));
            v.unsqueeze(1).matmul(&labels.eq_tensor(&groups).to_kind(v.kind())).squeeze_dim(1)
        };
        let parts = (0..self.count).step_by(side as usize).map(part);
        Tensor::cat(&parts.collect::<Vec<_>>(), 1)
    }
}
