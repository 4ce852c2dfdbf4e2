#!/bin/sh
# Fine-tunes a network, ONNX or not, and attacks its maps before and after.
# harden.sh PROGRAM WEIGHTS data=PATH [normalise=STATS] [with=trades|pgd|ssr] [out=DIR] [limit=N] [options of `gradproof train`]
set -eu
gradproof=$1 weights=$2
shift 2
data= normalise= with=trades out=runs/harden limit=64
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    case $word in
        data=*) data=${word#data=} ;;
        normalise=*) normalise=${word#normalise=} ;;
        with=*) with=${word#with=} ;;
        out=*) out=${word#out=} ;;
        limit=*) limit=${word#limit=} ;;
        *) set -- "$@" "$word" ;;
    esac
    count=$((count - 1))
done
say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf 'harden: %s\n' "$*" >&2; exit 2; }
[ -n "$data" ] || fail 'say data=PATH: images with a training and a test part'
[ -f "experiments/train/harden-$with.toml" ] || fail "with=$with is not known; say with=trades, with=pgd or with=ssr"
asked=${normalise:+"--normalise $normalise"}
set -- --set "data.train='$data'" --set "model.weights='$weights'" ${normalise:+--set "model.normalise='$normalise'"} "$@"

say "fine-tuning $weights (experiments/train/harden-$with.toml)"
"$gradproof" train --config "experiments/train/harden-$with.toml" --out "$out/after" --resume "$@"
hardened=$out/after/last.onnx
[ -f "$hardened" ] || hardened=$out/after/last.safetensors

say 'maps of the first 8 test images'
"$gradproof" explain --weights "$weights" $asked --data "$data" --limit 8 --method gxi,ig,smoothgrad --figure "$out/before.png"
"$gradproof" explain --weights "$hardened" --data "$data" --limit 8 --method gxi,ig,smoothgrad --figure "$out/after.png"

say "an attack on the gradient x input of $limit test images, before and after"
attack() { # NAME=WEIGHTS [options]
    name=${1%%=*}
    "$gradproof" attack --weights "$@" --data "$data" --limit "$limit" --method gxi --attack topk \
        --eps 1/255,2/255,4/255,8/255 --out "$out/attack/$name.safetensors" --figure "$out/attacked-$name.png"
}
attack "before=$weights" $asked
attack "after=$hardened"

say 'writing the report'
"$gradproof" report "$out"
