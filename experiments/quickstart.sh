#!/bin/sh
# The whole path: train on `shapes` (or take the shipped CIFAR-10 weights), explain, attack, report.
# quickstart.sh PROGRAM [CIFAR-10 PATH]        about 4 minutes on two cores
set -eu
gradproof=$1
data=${2:-}
out=results/quickstart
say() { printf '\n== %s\n' "$*" >&2; }

if [ -n "$data" ]; then
    weights=weights/resnet20-cifar10-natural.safetensors
    say "using the shipped CIFAR-10 weights: $weights"
else
    data=shapes
    weights=$out/natural/last.safetensors
    say 'training resnet20 on the procedural shapes (about 1 minute)'
    "$gradproof" train --config experiments/train/quickstart-natural.toml --out "$out/natural" --resume
fi

say 'explaining 8 test images by seven methods (seconds)'
"$gradproof" explain --weights "$weights" --data "$data" --limit 8 \
    --method gxi,smoothgrad,ig,deeplift,gradcam,lime,random \
    --figure "$out/maps.png"

say 'attacking the maps of 32 test images at four radii (about 2 minutes)'
"$gradproof" attack --weights "$weights" --data "$data" --limit 32 --method gxi --attack topk \
    --eps 2/255,4/255,8/255,16/255 --out "$out/topk-gxi/natural.safetensors"

say 'writing the report'
"$gradproof" report "$out"
