//! Tables from training to measuring, and what is refused of them.

use crate::place::{Place, mean, says};

const RUN: &str = "\
epochs = 4
batch_size = 16
[data]
train = \"csv:points.csv\"
label_column = \"class\"
[model]
arch = \"mlp\"
[optimizer]
name = \"adamw\"
learning_rate = 0.03
";

/// 200 rows: the class is whether u + v is positive, a constant and a word say nothing, and so does
/// u where it is missing.
fn points() -> String {
    let mut text = "class,u,word,v,same\n".to_owned();
    for i in 0..200 {
        let (u, v) = ((f64::from(i) * 0.7).sin(), (f64::from(i) * 1.3).cos());
        let class = if u + v > 0. { "yes" } else { "no" };
        let cell = if i % 20 == 0 { "?".into() } else { format!("{u:.4}") };
        text += &format!("{class},{cell},w{},{v:.4},7\n", i % 3);
    }
    text
}

fn trained(name: &str) -> Place {
    let place = Place::new(name);
    place.write("points.csv", points());
    place.write("run.toml", RUN);
    place.ok("train --config run.toml --out run");
    place
}

const SUBJECT: &str = "--weights run/last.safetensors --data csv:points.csv --label-column class";

#[test]
fn a_table_is_learnt_explained_and_measured() {
    let place = trained("tables");
    let info = place.ok("data info csv:points.csv --label-column class");
    says(&info.stdout, &["40 rows of 3 columns", "  u: ", "not used: word", "yes", "no"]);
    let found = place.ok(&format!("eval {SUBJECT} --json")).json();
    assert!(mean(&found, &[("quantity", "accuracy")]) > 0.85, "{found}");
    let balanced = mean(&found, &[("quantity", "balanced-accuracy")]);
    assert!((0.85..=1.).contains(&balanced), "{balanced}");
    place.ok(&format!(
        "explain {SUBJECT} --method saliency,clime:samples=50 --out maps.safetensors"
    ));
    let measured = place.ok(&format!(
        "measure --preset agarwal21 {SUBJECT} --method smoothgrad:sigma=1,samples=20 --json \
         lipschitz:norm=l1,ratio=false,draws=fresh,samples=2,gap:samples=20,norm=l1,relative=false"
    ));
    let measured = measured.json();
    for name in ["distance", "gap-distance"] {
        let keys = [("quantity", name), ("method", "smoothgrad:sigma=1,samples=20")];
        assert!(mean(&measured, &keys) > 0., "{name}: {measured}");
    }
    // A made file is the test part, scaled as it was.
    place.write("two.csv", points().replace(",word,", ",w,").replace("same", "rest"));
    place.ok("data make csv:two.csv,columns=u+v --label-column class --out two.safetensors");
    assert_eq!(place.tensors("two.safetensors").tensors["images"].size(), [40, 2, 1, 1]);
}

#[test]
fn the_plane_of_two_columns_is_drawn() {
    let place = trained("tables-plane");
    let line = "train --config run.toml --set data.train=csv:points.csv,columns=u+v --out two";
    place.ok(line);
    let subject = "--weights two/last.safetensors --data csv:points.csv,columns=u+v \
                   --label-column class";
    place.ok(&format!("eval {subject} --figure plane.png"));
    assert!(place.read("plane.png").len() > 10_000);
    let refused = place.refused(&format!("eval {SUBJECT} --figure plane3.png"));
    says(&refused, &["tables with two columns", "has 3"]);
}

#[test]
fn what_needs_pixels_is_refused() {
    let place = trained("tables-refused");
    let adversary = "[objective]\nname = \"adversarial\"\nattack = { steps = 1, eps = 0.1 }\n";
    place.write("pgd.toml", format!("{RUN}{adversary}"));
    for (line, what) in [
        (
            format!("attack {SUBJECT} --method gxi --attack topk --out new/a.safetensors"),
            "an attack",
        ),
        (format!("transfer {SUBJECT} --from gxi --attack topk"), "an attack"),
        (format!("eval {SUBJECT} --pgd 2"), "an attack"),
        (format!("measure retrieval {SUBJECT} --method saliency"), "a metric of attacked maps"),
        (format!("explain {SUBJECT} --method gxi --figure new/f.png"), "`--figure`"),
        ("train --config pgd.toml --out new/run".into(), "training against an adversary"),
        // A shifted row of one pixel would be zeros.
        (
            "train --config run.toml --set data.augment.crop=1 --set data.augment.flip=false --out new/run".into(),
            "`data.augment`",
        ),
    ] {
        says(&place.refused(&line), &[what, "`csv:points.csv,split=0` is a table"]);
    }
    let other = "eval --weights run/last.safetensors --data csv:points.csv";
    says(
        &place.refused(&format!("{other} --label-column colour")),
        &["no column `colour`", "class, u"],
    );
    let fewer = place.refused(&format!("{other},columns=u --label-column class"));
    says(&fewer, &["`columns=` leaves out `v`", "the network takes 3: u, v, same"]);
}
