#!/bin/sh
# Every method whose maps have a product with the Jacobian, under topk, on the natural training.
# attack-methods.sh PROGRAM [scale=smoke|cpu|paper] [data=CIFAR-10 PATH]
set -eu
# POSIX: a sourced file sees the words of its caller.
set -- attack-methods "$@"
. experiments/scale.sh

for method in saliency gxi "smoothgrad:samples=$samples" "unigrad:samples=$samples" "ig:points=$points" \
    "expected-gradients:samples=$samples" "smooth:samples=$samples" "lime:samples=$((2 * samples))" \
    "kernelshap:samples=$((2 * samples))" "clime:samples=$((2 * samples)),ridge=1" \
    occlusion "relex:steps=$points,samples=$samples"; do
    attack natural "$method" topk "topk-${method%%:*}"
done

say 'writing the report'
"$gradproof" report "$out"
