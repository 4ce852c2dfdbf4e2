#!/bin/sh
# A part of an experiment in N shards, for parallel.sh and slurm/array.sh. Cells that are there are not made again.
# shards.sh PART PROGRAM EXPERIMENT [words of run.sh]
#   check=N   whether the words make sense, before anything is started
#   needed    the experiments that this one needs
#   I/N       shard I of N
#   rest      the cells that the shards left out, the page, the index of all runs
set -eu
part=$1 gradproof=$2 experiment=$3
shift
fail() { printf 'gradproof: %s\n' "$*" >&2; exit 2; }

case $part in
    check=*)
        case ${part#check=} in
            '' | 0* | *[!0-9]*) fail "\`${part#check=}\` is no number of shards; write one from 1, such as 4" ;;
        esac
        [ -f "experiments/$experiment.toml" ] ||
            fail "no experiment \`$experiment\`; there are $(ls experiments/*.toml | sed 's|.*/||; s|\.toml$||' | paste -sd ' ')"
        [ -x "$gradproof" ] || fail "no program \`$gradproof\`; \`just build\` makes it, GRADPROOF=PATH names another"
        sh experiments/run.sh "$@" --list >/dev/null
        ;;
    needed) exec sh experiments/run.sh "$@" --needed ;;
    rest)
        sh experiments/run.sh "$@"
        out=runs
        for word; do
            case $word in out=*) out=${word#out=} ;; esac
        done
        exec "$gradproof" report "$out"
        ;;
    *) exec sh experiments/run.sh "$@" --shard "$part" ;;
esac
