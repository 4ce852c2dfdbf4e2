//! What the papers measured, as far as their texts and code say (sample counts are the papers').

use crate::cli::TargetClass;
use models::Score;
use registry::Named;

/// The settings of one paper.
#[derive(Debug)]
pub(crate) struct Preset {
    name: &'static str,
    about: &'static str,
    pub metrics: &'static str,
    pub methods: &'static str,
    pub target: TargetClass,
    pub score: Score,
    pub attack: &'static str,
}

impl Named for Preset {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }
}

/// Sorted by name.
pub(crate) const PRESETS: &[Preset] = &[
    Preset {
        name: "agarwal21",
        about: "Figures 2 to 9: L1 distances of maps of 10 neighbours, SmoothGrad against C-LIME",
        metrics: "lipschitz:norm=l1,ratio=false,sigma=0.1,samples=10,draws=fresh,gap:sigma=1,\
                  samples=1000,norm=l1,relative=false",
        methods: "smoothgrad:pairs=false,sigma=1,samples=1000,clime:sigma=1,samples=1000",
        target: TargetClass::Predicted,
        score: Score::Prob,
        attack: "pgd",
    },
    Preset {
        name: "lim21",
        about: "Table 1 and 4.1: relevance with the mean colour removed, the class retrieved from mask \
                and image under PGD",
        metrics: "relevance:baseline=mean,retrieval:baseline=0.47",
        methods: "saliency,smoothgrad:pairs=false,sigma=0.1,relative=true,samples=50,ig:points=50",
        target: TargetClass::Label,
        score: Score::Prob,
        attack: "pgd:steps=40",
    },
    Preset {
        name: "tan23",
        about: "Table 1 and Figures 3 to 6: local Lipschitz constants and faithfulness of the predicted \
                class's probability",
        metrics: "lipschitz:samples=50,sigma=0.03,faithfulness:cells=10",
        methods: "saliency,gxi,ig:points=10,smoothgrad:pairs=false,sigma=0.03,lime:pairs=false,kernelshap:pairs=false,groups=scalars",
        target: TargetClass::Predicted,
        score: Score::Prob,
        attack: "pgd",
    },
    Preset {
        name: "wang20",
        about: "Tables 2, 4 and 5: heat maps before and after top-k at one radius",
        metrics: "similarity",
        methods: "gxi,ig:points=50,\
                  smooth:pairs=false,inner=gxi,kernel=gaussian,size=0.1,relative=true,samples=50,\
                  smooth:pairs=false,inner=gxi,kernel=uniform,size=4/255,samples=50",
        target: TargetClass::Predicted,
        score: Score::Logit,
        attack: "topk",
    },
    Preset {
        name: "yeh19",
        about: "Table 4, maps that are contributions: infidelity where squares become black, \
                sensitivity in a ball of 0.2 in units of the clean map",
        metrics: "infidelity:perturbation=square,samples=1000,units=contribution,\
                  sensitivity:radius=0.2",
        methods: "gxi,smooth:pairs=false,inner=gxi,kernel=uniform,size=0.2,samples=200,ig:points=10,rule=left,\
                  kernelshap:pairs=false,groups=pixels,samples=10000,square:units=contribution,samples=20000",
        target: TargetClass::Label,
        score: Score::Logit,
        attack: "pgd",
    },
];

/// The preset called `name`. Errors: an unknown name.
pub(super) fn preset(name: &str) -> anyhow::Result<&'static Preset> {
    registry::find("preset", PRESETS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_names_what_there_is() {
        for p in PRESETS {
            let metric = |text: &String| explain::metric::metric(registry::parse(text).unwrap());
            registry::split(p.metrics).iter().for_each(|text| drop(metric(text).unwrap()));
            registry::split(p.methods).iter().for_each(|text| drop(explain::parse(text).unwrap()));
        }
        assert!(preset("tan24").unwrap_err().to_string().contains("nearest first: tan23"));
    }
}
