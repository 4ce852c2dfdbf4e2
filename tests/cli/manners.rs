//! What a program owes its users beside results: nothing of theirs is overwritten unasked, help where
//! no command is given, completions, manual pages, settings from the environment, a word on Ctrl-C.

use crate::place::{Place, SHAPES, says};
use std::{process::Stdio, thread::sleep, time::Duration};

/// What is said of a command that would overwrite something.
fn kept(place: &Place, line: &str) -> String {
    let run = place.unforced(line).output().expect("the binary starts");
    assert_eq!(run.status.code(), Some(2), "`{line}`");
    String::from_utf8(run.stderr).expect("text")
}

#[test]
fn files_that_are_there_stay_unless_forced() {
    let place = Place::with_model("force");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 2");
    place.write("maps.safetensors", "mine");
    let explain = format!("explain {subject} --method gxi --out maps.safetensors");
    let told = kept(&place, &explain);
    assert_eq!(place.text("maps.safetensors"), "mine");
    says(&told, &["`--out`", "`maps.safetensors` is there already", "`--force` overwrites it"]);
    place.ok(&format!("{explain} --force"));
    assert!(place.tensors("maps.safetensors").tensors.contains_key("maps"));
    let twice = [
        format!(
            "attack {subject} --method gxi --attack topk --iters 1 --eps 8/255 --out a.safetensors"
        ),
        format!("measure complexity {subject} --method gxi --out m.json"),
        format!("transfer {subject} --from gxi --attack topk --iters 1 --eps 8/255 --out t.json"),
        format!("eval {subject} --pgd 1 --out e.safetensors"),
        format!("data make {SHAPES} --out d.safetensors"),
        "weights convert model.safetensors --out w.safetensors".into(),
        "plane --function ridges --method saliency --at 0.5/0.5 --figure p.png".into(),
    ];
    for line in twice {
        place.ok(&line);
        says(&kept(&place, &line), &["is there already", "--force"]);
        place.ok(&format!("{line} --force"));
    }
}

#[test]
fn without_a_command_there_is_help() {
    let place = Place::new("bare");
    for line in ["", "data", "weights"] {
        let run = place.go(line);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "`{line}`");
        says(&run.stderr, &["Usage: gradproof", "Commands:"]);
    }
}

#[test]
fn shells_and_man_know_the_words() {
    let place = Place::new("shells");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&format!("completions {shell}")).stdout;
        says(&script, &["explain", "judge-samples"]);
    }
    let told = place.ok("man --out man1").stdout;
    says(&told, &["pages in man1"]);
    says(&place.text("man1/gradproof-attack.1"), &[".TH", "judge\\-samples"]);
}

#[test]
fn the_environment_chooses_device_and_threads() {
    let place = Place::with_model("environment");
    let line = format!("eval --weights model.safetensors --data {SHAPES} --limit 2");
    let told = |name: &str, value: &str, line: &str| {
        let run = place.command(line).env(name, value).output().expect("it starts");
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (code, said) = told("GRADPROOF_THREADS", "0", &line);
    assert!(code == Some(2) && said.contains("at least one thread"), "{said}");
    let (code, said) = told("GRADPROOF_DEVICE", "gpu", &line);
    assert!(code == Some(2) && said.contains("--device"), "{said}");
    let (code, said) = told("GRADPROOF_DEVICE", "cuda:7", &format!("{line} --device cpu"));
    assert_eq!(code, Some(0), "what is typed counts: {said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_how_to_go_on() {
    let place = Place::with_model("interrupt");
    let subject = "--weights model.safetensors --data shapes:train=8,test=400";
    let kept =
        format!("attack {subject} --method ig --attack topk --batch-size 4 --out a.safetensors");
    let lost = format!("eval {subject} --pgd 1000");
    for (line, word) in [(kept, "`--resume` goes on"), (lost, "nothing was written")] {
        let mut command = place.command(&line);
        let child =
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        // Long before it is done, and after it has begun to listen.
        sleep(Duration::from_secs(4));
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.expect("kill runs").success(), "`{line}` had ended");
        let run = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(130), "`{line}`: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("gradproof: interrupted") && last.contains(word), "{said}");
    }
}

/// Results, files and messages have our names, whatever was typed.
#[test]
fn names_of_other_libraries_are_typed_and_ours_are_kept() {
    let place = Place::with_model("manners-aliases");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 2 --quiet");
    let line = "explain --method IntegratedGradients:n_steps=3,smooth:inner=InputXGradient --out maps.safetensors";
    place.ok(&format!("{line} {subject}"));
    let kept = place.text("maps.json");
    assert!(kept.contains("\"ig:points=3\"") && kept.contains("\"smooth:inner=gxi\""), "{kept}");
    let rest = kept.lines().filter(|line| !line.contains("\"command\":"));
    assert!(!rest.collect::<String>().contains("Gradient"), "{kept}");
    let own = place.ok(&format!("measure complexity --method gxi {subject}")).stdout;
    let typed = place.ok(&format!("measure Sparseness --method InputXGradient {subject}")).stdout;
    assert_eq!(own, typed);
    let own = place.ok(&format!("eval --attack pgd:steps=2,step_size=0.01 {subject}")).stdout;
    let typed = place.ok(&format!("eval --attack PGD:steps=2,alpha=0.01 {subject}")).stdout;
    assert_eq!(own, typed);
    let both = format!("explain --method ig:points=3,n_steps=4 {subject}");
    let said = place.misused(&both);
    assert!(said.contains("`points` and `n_steps` are names of one option"), "{said}");
    let said = place
        .refused(&format!("explain --method ig,IntegratedGradients --out n.safetensors {subject}"));
    assert!(said.contains("names `ig` twice"), "{said}");
    let listed = place.ok("list IntegratedGradients").stdout;
    assert!(listed.contains("; also IntegratedGradients") && listed.contains("; also n_steps"));
}
