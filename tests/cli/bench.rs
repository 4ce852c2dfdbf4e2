//! `bench`: every contestant gets its numbers; words that mean nothing are refused.

use crate::place::{Place, says};

#[test]
fn training_steps_are_timed() {
    let place = Place::new("bench-train");
    let line = "bench train --arch mlp --batch-size 4 --rounds 2";
    let found = place.ok(&format!("{line} --json")).json();
    assert_eq!(found["rounds"], 2);
    let rows = found["benches"]["train"].as_array().expect("a list");
    let named = |name: &str| rows.iter().find(|row| row["name"] == name).expect(name);
    assert_eq!(rows[0]["name"], "natural");
    assert_eq!(rows[0]["steps"], 1.);
    for name in ["natural", "PGD-7", "PGD-30", "SSR naive", "SSR exact", "SSR warm", "IG-NORM"] {
        let row = named(name);
        let ms: Vec<f64> = serde_json::from_value(row["ms"].clone()).expect("numbers");
        assert_eq!(ms.len(), 2, "{name}");
        assert!(ms.iter().all(|ms| *ms > 0.), "{name}");
        let median = row["median_ms"].as_f64().expect("a number");
        assert!((median - (ms[0] + ms[1]) / 2.).abs() < 1e-9 * median, "{name}");
        let ratio = median / named("natural")["median_ms"].as_f64().expect("a number");
        assert!((row["steps"].as_f64().expect("a number") - ratio).abs() < 1e-9 * ratio, "{name}");
    }
    assert!(place.contents().is_empty(), "nothing is written");
    let text = place.ok(&format!("{line} --only ssr")).stdout;
    says(&text, &["median ms", "natural steps", "SSR exact", "SSR warm"]);
    assert!(!text.contains("PGD"), "{text}");
}

#[test]
fn maps_are_timed() {
    let place = Place::new("bench-explain");
    let line = "bench explain --arch cnn --batch-size 2 --rounds 1 --only saliency,lime-100";
    let found = place.ok(&format!("{line} --json")).json();
    let rows = found["benches"]["explain"].as_array().expect("a list");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["forward", "saliency", "LIME-100", "C-LIME-100"]);
    assert!(rows.iter().all(|row| row["median_ms"].as_f64().expect("a number") > 0.));
    // Only what has such a contestant is run.
    let both = place.ok("bench --arch mlp --batch-size 2 --rounds 1 --only pgd-7").stdout;
    assert!(both.contains("natural steps") && !both.contains("forward passes"), "{both}");
}

#[test]
fn less_precision_has_its_error() {
    let place = Place::new("bench-bf16");
    let line = "bench explain --arch cnn --batch-size 2 --rounds 1 --only saliency --chunk 1";
    let rows =
        |line: &str| place.ok(&format!("{line} --json")).json()["benches"]["explain"].clone();
    let both = [rows(line), rows(&format!("{line} --precision bf16"))];
    assert!(both[0].as_array().expect("a list").iter().all(|row| row.get("error").is_none()));
    for row in both[1].as_array().expect("a list") {
        let error = row["error"].as_f64().expect("a number");
        assert!(error > 1e-5 && error < 0.5, "{row}");
    }
    says(&place.ok(&format!("{line} --precision bf16")).stdout, &["error beside f32"]);
}

/// Whether this system lets a process reset its high-water mark is its own business; that samples
/// pile up is ours. A small network's buffers drown in what the allocator keeps: the bound is loose.
#[test]
fn memory_is_measured_or_not() {
    let place = Place::new("bench-memory");
    let line = "bench explain --arch mlp --batch-size 1 --rounds 1 --only saliency --peak-memory";
    let found = place.ok(&format!("{line} --json")).json()["memory"].clone();
    match found["rows"].as_array() {
        Some(rows) => {
            assert_eq!((rows.len(), found["images_a_pass"].as_i64()), (4, Some(50)));
            for row in rows {
                let [few, many] = ["few_mib", "many_mib"].map(|at| row[at].as_f64().expect(at));
                assert!(few > 0. && many < few + 100., "{row}");
            }
        }
        None => assert!(found["not_measured"].is_string(), "{found}"),
    }
}

#[test]
fn wrong_words() {
    let place = Place::new("bench-refused");
    says(&place.refused("bench trian"), &["unknown benchmark `trian`", "train"]);
    says(&place.refused("bench --only natural,pdg"), &["`--only pdg`", "PGD-7"]);
    says(&place.refused("bench --rounds 0"), &["--rounds 0"]);
    says(&place.refused("bench --batch-size 0"), &["--batch-size 0"]);
    says(&place.refused("bench --chunk 0"), &["--chunk 0"]);
    says(&place.refused("bench --arch resnet21"), &["unknown architecture `resnet21`", "resnet20"]);
}
