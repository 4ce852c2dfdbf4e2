//! Attacks on maps: the surrogate's gradient against finite differences, steps against the papers'
//! formulas, each goal against plain arithmetic, and strength on a trained network.

use super::tiny::{self, Tiny};
use super::victims::{
    Always, K, all_attacks, all_methods, attack, flags, goal, linf, method, rule, run, subject,
};
use attack::{Ball, Beta, Descent, MapAttack, Norm, Outcome, Reference, Step};
use explain::{
    Batch, heat,
    similarity::{check_k, default_k, top_intersection},
};
use models::{Activation, Model, Ops, Score, Target, noise, softened_by, spreads};
use std::sync::Mutex;
use tch::{Device, Kind, Tensor};

/// `Tiny` that predicts another class where its score is more than `width` from that at its image.
struct Edge {
    tiny: Tiny,
    width: f64,
}

impl Model for Edge {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let score = |x: &Tensor| self.tiny.forward(x, ops).select(1, 0);
        let (here, there) = (score(x), score(&self.tiny.tensor(&self.tiny.image())));
        let other = &here + (&here - there).abs() - self.width;
        Tensor::stack(&[here, other], 1)
    }

    fn activation(&self) -> Option<Activation> {
        self.tiny.activation()
    }
}

#[test]
fn an_iterate_that_changes_the_prediction_is_refused() {
    let (target, sign) = (Target::logit(&Tensor::from_slice(&[0i64])), rule("sign"));
    for (name, loss) in all_attacks() {
        for (width, kept) in [(1e-5, false), (1e3, true)] {
            let edge = Edge { tiny: Tiny::new(7), width };
            let x = edge.tiny.tensor(&edge.tiny.image());
            let (method, always) = (method("gxi"), Always(&*loss, Mutex::new(0.)));
            let by = attack(&edge, &*method, &always, &*sign);
            // Three of the 12 pixels: a top of all of them has all the mass, and no slope.
            let batch = Batch::new(&x, &target);
            let outcome = by.run(&batch, &by.reference(&batch, 3), &linf(0.05), None, &|| ());
            assert_eq!(flags(&outcome.success), [kept], "{name}, {width}");
            assert_eq!(outcome.adversarial.equal(&x), !kept, "{name}, {width}");
        }
    }
}

/// The whole objective at the images `x`, of which each is image 0 of `batch`, moved.
fn objective(by: &MapAttack, batch: &Batch, clean: &Reference, x: &Tensor) -> Tensor {
    let rows = vec![0; x.size()[0] as usize];
    let surrogate = softened_by(by.model, by.beta.start, by.spreads);
    let moved = batch.select(&rows).at(x);
    let heat = heat(&by.method.attribute(&surrogate, &moved));
    let loss = by.objective.descended(&heat, clean, by.descent);
    match by.objective.output_loss(&by.model.logits(x), clean) {
        Some(cost) => loss + cost,
        None => loss,
    }
}

#[test]
fn the_step_follows_the_objective_as_finite_differences_do() {
    let (model, x, target) = subject();
    let x = x.narrow(0, 0, 1) * 0.6 + 0.2;
    let target = Target { score: Score::Logprob, ..target.narrow(0, 1) };
    let (batch, sign) = (Batch::new(&x, &target), rule("sign"));
    let (relative, spreads) = (Beta { relative: true, ..Beta::fixed(4.) }, spreads(&model, [x]));
    for (attack_name, loss) in all_attacks().into_iter().filter(|(_, loss)| !loss.gradient_free()) {
        for (method_name, method) in all_methods() {
            let told = format!("{attack_name} on {method_name}");
            let always = Always(&*loss, Mutex::new(0.));
            let by = attack(&model, &*method, &always, &*sign);
            let by = MapAttack { beta: Beta::fixed(4.), iterations: 1, ..by };
            follows(&told, &by, &batch);
            for descent in [Descent::Near, Descent::Other] {
                let by = MapAttack { beta: relative, spreads: &spreads, descent, ..by };
                if (attack_name, method_name) == ("topk", "gxi") {
                    follows(&format!("{told}, {descent:?}"), &by, &batch);
                }
            }
        }
    }
}

/// One short step of `by` beside the images of `batch` is along the slope.
fn follows(told: &str, by: &MapAttack, batch: &Batch) {
    let (step, n) = (1e-7, 16);
    // At the clean image itself a change of the logits has no slope: begin beside it.
    let beside = noise::sign(&[9], &[3, 8, 8], Device::Cpu).to_kind(Kind::Double) * 1e-3;
    let (by, start) = (MapAttack { step: Step::Same(step), ..*by }, &batch.x + beside);
    let aim = noise::uniform(&[3], &[8, 8], Device::Cpu);
    let clean = by.reference(batch, K).aiming_at(&(&aim / aim.sum(Kind::Float)));
    let (begun, room) = (begun(&start, &clean), Ball::new(Norm::L2, 1.).unwrap());
    let outcome = by.run(batch, &clean, &room, Some(&begun), &|| ());
    let slope = (&start - outcome.adversarial) / step; // the gradient, but for its length
    let along = noise::sign(&[5], &[n, 3, 8, 8], Device::Cpu).squeeze_dim(0);
    let along = along.to_kind(Kind::Double);
    let at = |steps: f64| objective(&by, batch, &clean, &(&start + &along * (steps * 1e-6)));
    let found = ((at(1.) - at(-1.)) * 8. - (at(2.) - at(-2.))) / 12e-6;
    let expected = (slope * along).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
    let unit = |t: &Tensor| t / t.norm();
    let far = (unit(&found) - unit(&expected)).abs().max().double_value(&[]);
    assert!(far < 1e-5, "{told}: {far:e} off");
}

/// An outcome from which a walk begins at `start`, and that anything beats.
fn begun(start: &Tensor, clean: &Reference) -> Outcome {
    let most = Tensor::from_slice(&[f64::INFINITY]);
    Outcome {
        adversarial: start.shallow_clone(),
        success: clean.prediction.zeros_like().to_kind(Kind::Bool),
        has_map: clean.prediction.ones_like().to_kind(Kind::Bool),
        trace: most.unsqueeze(1),
        measure: most.shallow_clone(),
        loss: most,
    }
}

#[test]
fn steps_agree_with_the_formulas_of_the_paper() {
    let tiny = Tiny::new(7);
    let target = Target::logit(&Tensor::from_slice(&[0i64]));
    let (method, ball, k) = (method("gxi"), linf(0.05), 4);
    let (topk, sign) = (goal("topk"), rule("sign"));
    for iterations in [1, 3] {
        let always = Always(&*topk, Mutex::new(0.));
        let by = MapAttack {
            beta: Beta::fixed(5.),
            iterations,
            step: Step::Same(0.02),
            ..attack(&tiny, &*method, &always, &*sign)
        };
        let x0 = tiny.image();
        let batch = Batch::new(&tiny.tensor(&x0), &target);
        let outcome = by.run(&batch, &by.reference(&batch, k), &ball, None, &|| ());
        let clean = tiny.heat(&x0, None);
        let mut x = x0.clone();
        for _ in 0..iterations {
            let slope = tiny.slope_of_mass(&x, &clean, k as usize, 5.);
            for (p, (x, slope)) in x.iter_mut().zip(slope).enumerate() {
                let moved = *x - 0.02 * slope.signum();
                *x = moved.clamp(x0[p] - 0.05, x0[p] + 0.05).clamp(0., 1.);
            }
        }
        let expected = tiny.tensor(&x);
        let far = (&outcome.adversarial - expected).abs().max().double_value(&[]);
        assert!(far < 1e-12, "after {iterations} steps: {far:e} off");
        let attacked = method.attribute(&tiny, &batch.at(&outcome.adversarial));
        let found = heat(&attacked).contiguous().view(-1);
        let found = Vec::<f64>::try_from(found).unwrap();
        for (found, expected) in found.iter().zip(tiny.heat(&x, None)) {
            assert!((found - expected).abs() < 1e-12, "the heat on the real network");
        }
    }
}

#[test]
fn k_is_within_the_map() {
    for (side, k) in [(4, 16), (28, 20), (32, 20), (64, 80), (224, 1000)] {
        assert_eq!(default_k(side, side), k);
        assert!(check_k(k, side, side).is_ok());
    }
    assert!(check_k(1, 5, 7).is_ok() && check_k(35, 5, 7).is_ok());
    for k in [0, -1, 36] {
        let told = check_k(k, 5, 7).unwrap_err().to_string();
        assert!(told.contains(&format!("`k` is {k}; the maps have 1 to 35 pixels")), "{told}");
    }
    let told = attack::map_objective(registry::parse("topk:k=3").unwrap()).err().unwrap();
    assert!(format!("{told:#}").contains("attack `topk`"), "{told:#}");
}

#[test]
fn on_a_trained_network_it_beats_random_signs_by_far() {
    let (model, accuracy, x) = tiny::trained();
    assert!(accuracy > 0.9, "the network learns its task: {accuracy}");
    let target = Target::predicted(&model, &x, Score::Logit);
    let (topk, sign) = (goal("topk"), rule("sign"));
    let (method, ball, k) = (method("gxi"), linf(8. / 255.), 10);
    let by = attack(&model, &*method, &*topk, &*sign);
    let by = MapAttack { iterations: 15, step: Step::Same(ball.eps / 4.), ..by };
    let batch = Batch::new(&x, &target);
    let clean = by.reference(&batch, k);
    let outcome = by.run(&batch, &clean, &ball, None, &|| ());
    let k_in = |x: &Tensor| {
        let maps = method.attribute(&model, &batch.at(x));
        let kept = top_intersection(&clean.heat, &heat(&maps), k);
        kept.mean(Kind::Double).double_value(&[])
    };
    let attacked = k_in(&outcome.adversarial);
    let signs = noise::sign(&[1], &x.size(), Device::Cpu).squeeze_dim(0);
    let random = k_in(&ball.project(&x, &(&x + signs * ball.eps)));
    let measured = outcome.measure.mean(Kind::Double).double_value(&[]);
    assert!((measured - attacked).abs() < 1e-12, "topk is judged by k-in");
    assert!(attacked < random - 0.2, "k-in is {attacked} attacked, {random} with random signs");
}

/// Two 3×4 heat maps that sum to one, and what an attacker of the first knows.
pub(crate) fn two_maps() -> (Tensor, Tensor) {
    let map = |values: [f64; 12]| {
        let t = Tensor::from_slice(&values).view([1, 3, 4]);
        &t / t.sum(Kind::Double)
    };
    (
        map([5., 1., 1., 1., 1., 4., 1., 1., 1., 1., 1., 2.]),
        map([1., 1., 2., 1., 1., 1., 9., 1., 0., 0., 1., 2.]),
    )
}

/// What is known where a method gave the map `heat`.
pub(crate) fn knowing(heat: &Tensor) -> Reference {
    let (tiny, method) = (Tiny::new(7), method("gxi"));
    let x = tiny.tensor(&tiny.image());
    let batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])));
    let mut known = Reference::new(&*method, &tiny, &batch, 3);
    known.heat = heat.shallow_clone();
    known
}

#[test]
fn goals_are_what_they_say() {
    let (clean, other) = two_maps();
    let known = knowing(&clean).aiming_at(&other);
    let number = |t: Tensor| t.double_value(&[0]);
    let measure = |name: &str, at: &Tensor| number(goal(name).measure(at, &known));
    let values = |t: &Tensor| Vec::<f64>::try_from(t.contiguous().view(-1)).unwrap();
    let near = |found: f64, expected: f64, told: &str| {
        assert!(
            (found - expected).abs() < 1e-9 * expected.abs().max(1.),
            "{told}: {found} {expected}"
        );
    };

    let mean_square: f64 =
        values(&clean).iter().zip(values(&other)).map(|(a, b)| (a - b).powi(2) / 12.).sum();
    near(measure("manipulate", &clean), mean_square, "mean squared difference");
    near(measure("manipulate", &other), 0., "the map aimed at");
    let loss = |name: &str| number(goal(name).loss(&clean, &known));
    near(loss("manipulate:scaled=false"), 1e11 * mean_square, "as in the paper");
    let scaled = 1e11 * (12f64 / 50176.).powi(2);
    near(loss("manipulate"), scaled * mean_square, "for twelve pixels");

    let centre = |t: &Tensor| {
        let all = values(t);
        let sum = |by: &dyn Fn(usize) -> usize| -> f64 {
            all.iter().enumerate().map(|(i, v)| v * by(i) as f64).sum()
        };
        [sum(&|i| i / 4), sum(&|i| i % 4)]
    };
    let (a, b) = (centre(&clean), centre(&other));
    near(measure("mass-centre", &other), -(a[0] - b[0]).hypot(a[1] - b[1]), "centre of mass");
    near(measure("mass-centre", &clean), 0., "the clean centre");
    let push = number(goal("mass-centre:push=0.5").loss(&clean, &known));
    near(push, -0.25, "at the clean centre the push alone is left");

    let inside = |range: &[usize]| range.iter().map(|&i| values(&other)[i]).sum::<f64>();
    near(measure("targeted:region=[1,2,1,2]", &other), 1. - inside(&[6, 7]), "row, column, sides");
    near(measure("targeted:region=top-left", &other), 1. - inside(&[0, 1]), "a quarter");
    near(measure("targeted:region=bottom-right", &other), 1. - inside(&[10, 11]), "a quarter");
    near(measure("targeted", &other), 1. - inside(&[5, 6]), "the middle");
    let told = goal("targeted:region=[2,0,2,1]").check(3, 4).unwrap_err().to_string();
    assert!(told.contains("3×4"), "{told}");
}

#[test]
fn outputs_are_held_by_softmax_or_by_logits() {
    let known = knowing(&two_maps().0);
    let moved = &known.logits + Tensor::from_slice(&[0.5, -1.]);
    let cost = |name: &str| {
        let cost = goal(name).output_loss(&moved, &known);
        cost.map(|cost| cost.double_value(&[0]))
    };
    let logits = cost("manipulate:outputs=logits,scaled=false,gamma_outputs=2").unwrap();
    assert!((logits - 1.25).abs() < 1e-12, "{logits}");
    let p = |logits: &Tensor| logits.softmax(1, Kind::Double).double_value(&[0, 0]);
    let expected = (p(&moved) - p(&known.logits)).powi(2) * 1e6 * 2. / 1000.;
    let softmax = cost("manipulate").unwrap();
    assert!((softmax - expected).abs() < 1e-9 * expected, "{softmax} {expected}");
    assert!(cost("manipulate:gamma_outputs=0").is_none());
    assert!(cost("topk").is_none());
}

#[test]
fn any_method_can_be_searched_without_gradients() {
    let (model, x, target) = subject();
    let (batch, topk, sign, square) =
        (Batch::new(&x, &target), goal("topk"), rule("sign"), rule("square"));
    let optimal = method("noisy-baseline:samples=60");
    let with = |rule| attack(&model, &*optimal, &*topk, rule);
    let told = with(&*sign).check([3, 8, 8]).unwrap_err().to_string();
    assert!(told.contains("`square`"), "{told}");
    let by = MapAttack { iterations: 20, ..with(&*square) };
    by.check([3, 8, 8]).unwrap();
    let found = run(&by, &batch, &linf(0.1));
    let before = topk.measure(&by.reference(&batch, K).heat, &by.reference(&batch, K));
    let gained = (before - &found.measure).mean(Kind::Double).double_value(&[]);
    assert!(gained > 0.1, "k-in falls by {gained}");
}

/// A search follows a goal, which the control does not have; its random steps need no derivatives.
#[test]
fn the_control_makes_random_steps() {
    let ((model, ..), control) = (subject(), goal("random"));
    let [saliency, mask] = ["saliency", "mask:steps=1"].map(method);
    let [sign, square] = ["sign", "square"].map(rule);
    let told = attack(&model, &*saliency, &*control, &*square).check([3, 8, 8]).unwrap_err();
    assert!(told.to_string().contains("use a rule that makes steps"), "{told}");
    attack(&model, &*mask, &*control, &*sign).check([3, 8, 8]).unwrap();
}

#[test]
fn a_weight_may_be_a_large_whole_number() {
    goal("manipulate:gamma_map=100000000000");
}
