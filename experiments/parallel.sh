#!/bin/sh
# An experiment as N processes on this machine, by GNU parallel, each with its share of the cores; then its page and the index
# of all runs. A process that fails or is killed is started again, twice. The same line once more makes what is missing.
#   sh experiments/parallel.sh N EXPERIMENT [scale=… data=… out=DIR NAME=VALUE … options of `gradproof run`]
#   sh experiments/parallel.sh 4 wang20-table2 scale=cpu data=cifar10:PATH
# OMP_NUM_THREADS gives each process another number of threads; GRADPROOF names another program than target/release/gradproof.
set -eu
cd "$(dirname "$0")/.."
fail() { printf 'parallel.sh: %s\n' "$*" >&2; exit 2; }
[ $# -ge 2 ] || fail 'say how many processes and which experiment: sh experiments/parallel.sh 4 wang20-table2'
n=$1 gradproof=${GRADPROOF:-target/release/gradproof}
shift
sh experiments/shards.sh "check=$n" "$gradproof" "$@"
parallel --version 2>/dev/null | grep -q '^GNU parallel' || fail 'no GNU parallel here: install it, on Debian `apt install parallel`'

sh experiments/shards.sh needed "$gradproof" "$@"
cores=$(nproc)
OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > n ? cores / n : 1))} \
    parallel --quote --jobs "$n" --retries 3 --line-buffer --tagstring "{}/$n" \
    sh experiments/shards.sh "{}/$n" "$gradproof" "$@" ::: $(seq "$n")
exec sh experiments/shards.sh rest "$gradproof" "$@"
