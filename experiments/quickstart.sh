#!/bin/sh
# The whole path: train on `shapes` (or take the shipped CIFAR-10 weights), explain, attack, transfer, report.
# quickstart.sh PROGRAM [CIFAR-10 PATH]        about 5 minutes on two cores
set -eu
gradproof=$1
data=${2:-}
out=results/quickstart
say() { printf '\n== %s\n' "$*" >&2; }
train() { # NAME [options of `gradproof train`]
    config=experiments/train/quickstart-$1.toml folder=$out/$1
    shift
    "$gradproof" train --config "$config" --out "$folder" --resume "$@"
}

if [ -n "$data" ]; then
    weights=weights/resnet20-cifar10-
    file=.safetensors
    robust=pgd-linf
    say "using the shipped CIFAR-10 weights: ${weights}natural$file, $robust and ssr"
else
    data=shapes
    weights=$out/
    file=/last.safetensors
    robust=adversarial
    say 'training resnet20 on the procedural shapes (about 1 minute)'
    train natural
    say 'from there an epoch of adversarial training and one of SSR (about 1 minute)'
    for training in adversarial ssr; do train "$training" --set "model.weights=${weights}natural$file"; done
fi

say 'explaining 8 test images by seven methods (seconds)'
"$gradproof" explain --weights "${weights}natural$file" --data "$data" --limit 8 \
    --method gxi,smoothgrad,ig,deeplift,gradcam,lime,random \
    --figure "$out/maps.png"

say 'two attacks on the maps of 10 test images, three trainings, four radii (about 2 minutes)'
for attack in topk manipulate; do
    for training in natural $robust ssr; do
        "$gradproof" attack --weights "$weights$training$file" --data "$data" --limit 10 --method gxi --attack "$attack" \
            --eps 2/255,4/255,8/255,16/255 --out "$out/$attack-gxi/$training.safetensors"
    done
done

say 'what an attack on gradient x input does to other maps, of all three networks (half a minute)'
"$gradproof" transfer --weights "${weights}natural$file,$weights$robust$file,${weights}ssr$file" --data "$data" --limit 10 \
    --attack topk --eps 8/255 --from gxi --to gxi,ig,smoothgrad,unigrad --out "$out/transfer.json"

say 'writing the report'
"$gradproof" report "$out"
