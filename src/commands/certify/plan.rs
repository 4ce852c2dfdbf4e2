//! What the arguments of `certify` ask for, checked.

use crate::{
    cli::{Certify, Smoothed},
    results::label,
    session::{Loaded, methods, threat::Radii},
};
use ::attack::{Norm, SmoothedAttack};
use anyhow::{Context, Result, ensure};
use explain::{
    Attribution,
    certificate::{Smoothing, probability::quantile},
    similarity,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Maps that are certified: how a method is spelled, the method, and the share of the hottest
/// pixels.
pub(super) type Maps<'a> = (&'a str, &'a dyn Attribution, f64);

pub(super) struct Plan<'a> {
    pub args: &'a Certify,
    pub methods: Vec<(String, Box<dyn Attribution>)>,
    /// In ascending order.
    pub radii: Vec<f64>,
    /// Of the hottest pixels, in ascending order.
    pub shares: Vec<f64>,
    pub pilot: u64,
}

impl<'a> Plan<'a> {
    /// Errors: unknown names, settings out of range.
    pub fn check(args: &'a Certify) -> Result<Self> {
        let Smoothed { sigma, samples, alpha, tau, .. } = args.smoothed;
        let built = methods("--method", &args.method)?.into_iter().map(|text| {
            let method = explain::parse(&text)?;
            Ok((text, method))
        });
        let methods = built.collect::<Result<Vec<_>>>()?;
        ensure!(sigma > 0., "`--sigma {sigma}`: must be positive");
        ensure!(
            samples > 1,
            "`--samples {samples}`: at least 2, one that chooses and one that tests"
        );
        let pilot = args.smoothed.pilot.unwrap_or((samples / 10).max(1));
        ensure!(
            0 < pilot && pilot < samples,
            "`--pilot {pilot}`: from 1 to {}, one less than `--samples`",
            samples - 1
        );
        ensure!(0. < alpha && alpha < 1., "`--alpha {alpha}`: must be in (0, 1), such as 0.001");
        ensure!(0.5 < tau && tau < 1., "`--tau {tau}`: must be in (0.5, 1), such as 0.75");
        let against = &args.against;
        ensure!(against.attack_samples > 0, "`--attack-samples 0`: at least one copy is needed");
        let mut shares = args.smoothed.share.clone();
        for share in &shares {
            ensure!(
                0. < *share && *share < 1.,
                "`--share {share}`: must be in (0, 1), such as 0.05"
            );
        }
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        let radii = Radii::new(Norm::L2, &args.smoothed.radii).context("`--radii`")?;
        let radii = radii.balls().iter().map(|ball| ball.eps).collect();
        Ok(Plan { args, methods, radii, shares, pilot })
    }

    /// Errors: a method, a share or a K that does not fit the model or its images.
    pub fn fit(&self, loaded: &Loaded) -> Result<()> {
        loaded.data.check_pixels("a certificate")?;
        let image @ [_, height, width] = loaded.data.image_shape();
        for (text, method) in &self.methods {
            method.check(&loaded.model, image).with_context(|| format!("method `{text}`"))?;
        }
        similarity::check_k(self.k(loaded), height, width)?;
        for &share in &self.shares {
            let (hottest, pixels) = (self.hottest(share, loaded), height * width);
            ensure!(
                0 < hottest && hottest < pixels,
                "`--share {share}`: {hottest} of {pixels} pixels; from one to all but one are needed"
            );
        }
        Ok(())
    }

    /// Pixels whose overlap is certified.
    pub fn k(&self, loaded: &Loaded) -> i64 {
        let [_, height, width] = loaded.data.image_shape();
        self.args.smoothed.k.unwrap_or(similarity::default_k(height, width))
    }

    /// The radius within which a pixel that is certified stays so.
    pub fn pixel_radius(&self) -> f64 {
        self.args.smoothed.sigma * quantile(self.args.smoothed.tau)
    }

    /// Pixels of a map that are its hottest, for a share of them.
    pub fn hottest(&self, share: f64, loaded: &Loaded) -> i64 {
        let [_, height, width] = loaded.data.image_shape();
        (share * (height * width) as f64).round() as i64
    }

    pub fn smoothing(&self) -> Smoothing {
        let Smoothed { sigma, samples, .. } = self.args.smoothed;
        Smoothing { sigma, pilot: self.pilot, tests: samples - self.pilot }
    }

    /// The attack on the maps of `method`; none where none is asked for, or where there are no
    /// gradients.
    pub fn attack<'m>(
        &self,
        loaded: &'m Loaded,
        method: &'m dyn Attribution,
    ) -> Option<SmoothedAttack<'m>> {
        let against = &self.args.against;
        method.differentiable().filter(|_| against.iters > 0)?;
        Some(SmoothedAttack {
            model: &loaded.model,
            method,
            sigma: self.args.smoothed.sigma,
            beta: against.beta,
            iterations: against.iters,
            samples: against.attack_samples,
        })
    }

    /// Maps that are certified: a method and a share each, in the order of the results.
    pub fn maps(&self) -> Vec<Maps<'_>> {
        let mut all = vec![];
        for (text, method) in &self.methods {
            all.extend(self.shares.iter().map(|&share| (text.as_str(), &**method, share)));
        }
        all
    }

    /// Methods and steps of attacks for one image: the length of its progress bar.
    pub fn ticks(&self, loaded: &Loaded) -> u64 {
        let steps =
            u64::from(self.args.against.iters) * (self.radii.len() * self.shares.len()) as u64;
        let of = |method: &dyn Attribution| match self.attack(loaded, method) {
            Some(_) => 1 + steps,
            None => 1,
        };
        self.methods.iter().map(|(_, method)| of(&**method)).sum()
    }

    /// The resolved settings, for the reader.
    pub fn settings(&self, loaded: &Loaded) -> BTreeMap<String, Value> {
        let Smoothed { sigma, samples, alpha, tau, .. } = self.args.smoothed;
        let (against, explained) = (&self.args.against, &self.args.explained);
        let labels: Vec<String> = self.radii.iter().map(|&radius| label(radius)).collect();
        [
            ("sigma", json!(sigma)),
            ("samples", json!(samples)),
            ("pilot", json!(self.pilot)),
            ("shares", json!(self.shares)),
            ("alpha", json!(alpha)),
            ("radii", json!(labels)),
            ("k", json!(self.k(loaded))),
            ("tau", json!(tau)),
            ("iterations", json!(against.iters)),
            ("attack_samples", json!(against.attack_samples)),
            ("beta", json!([against.beta.start, against.beta.end])),
            ("target", json!(explained.target.to_string())),
            ("score", json!(explained.score)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    }
}
