#!/bin/sh
# Natural and robust trainings under three attacks on three methods, after Table 2 of Wang et al. 2020.
# attack-cifar.sh PROGRAM [scale=smoke|cpu|paper] [data=CIFAR-10 PATH]
set -eu
# POSIX: a sourced file sees the words of its caller.
set -- attack-cifar "$@"
. experiments/scale.sh

for kind in topk mass-centre manipulate; do
    for method in gxi "ig:points=$points" "smoothgrad:samples=$samples"; do
        for model in $models; do
            attack "$model" "$method" "$kind" "$kind-${method%%:*}"
        done
    done
done

say 'writing the report'
"$gradproof" report "$out"
