//! Numbers over images from tensors of one value an image.

use ::results::Sample;
use tch::{Kind, Tensor};

/// Values on the CPU as they are.
fn plain(values: &Tensor) -> Vec<f64> {
    let values = values.to_kind(Kind::Double).to_device(tch::Device::Cpu);
    Vec::try_from(&values).expect("f64 on the CPU, in one dimension")
}

/// Of `values` `[N]`, NaN where they are undefined; `success` says where the attack succeeded.
pub fn of_images(values: &Tensor, success: Option<&Tensor>) -> Sample {
    let values = values.to_kind(Kind::Double);
    let mut of = Sample::over_images(plain(&values), 0);
    of.mean_of_successes = success.and_then(|success| {
        let some = values.masked_select(&values.isfinite().logical_and(&success.gt(0.)));
        (some.numel() > 0).then(|| some.mean(Kind::Double).double_value(&[]))
    });
    of
}

/// Of `values` `[N]` that are 0 or 1, NaN where they are undefined.
pub fn of_shares(values: &Tensor) -> Sample {
    Sample::of_share(plain(values))
}

/// How far attacked images are from the clean ones, by [`super::distances`], NaN of images that were
/// not attacked; none where none was.
pub fn change(l2: &Tensor) -> Option<Sample> {
    Some(of_images(l2, None)).filter(|change| change.mean.is_some())
}
