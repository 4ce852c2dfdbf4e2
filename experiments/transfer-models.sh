#!/bin/sh
# Images made against the maps of one training, judged on those of the others.
# transfer-models.sh PROGRAM [scale=smoke|cpu|paper] [data=CIFAR-10 PATH]
set -eu
# POSIX: a sourced file sees the words of its caller.
set -- transfer-models "$@"
. experiments/scale.sh

files=
for model in $models; do
    files=$files${files:+,}$(weights "$model")
done
transfer "$files" gxi

say 'writing the report'
"$gradproof" report "$out"
