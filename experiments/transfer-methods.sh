#!/bin/sh
# Images made against the maps of one method, judged on those of others: Wang et al. 2020, section 5.3.
# transfer-methods.sh PROGRAM [scale=smoke|cpu|paper] [data=CIFAR-10 PATH]
set -eu
# POSIX: a sourced file sees the words of its caller.
set -- transfer-methods "$@"
. experiments/scale.sh

transfer "$(weights natural)" "gxi,ig:points=$points,smoothgrad:samples=$samples,unigrad:samples=$samples"

say 'writing the report'
"$gradproof" report "$out"
