#!/bin/sh
# Parallel efficiency of training on MPI: images a second of two ranks over twice those of one rank, one
# thread and as many images a step each, one after the other in every round. Needs a program built with `--features mpi`
# and two idle cores. Prints one line a network: medians, and the efficiency of every round.
#     benches/mpi.sh target/release/gradproof [ROUNDS]
set -eu
program=$1
rounds=${2:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_NUM_THREADS=1

speed() { # ARCH RANKS IMAGES_A_RANK STEPS: images a second of the second epoch
    batch=$(($2 * $3))
    cat >"$folder/run.toml" <<END
epochs = 2
batch_size = $batch
[data]
train = 'shapes:train=$((batch * $4)),test=2'
augment = { crop = 4, flip = true }
[model]
arch = '$1'
[optimizer]
name = 'sgd'
learning_rate = 0.01
END
    mpirun --allow-run-as-root -n "$2" "$program" train --quiet --json --config "$folder/run.toml" --out "$folder/$1-$2-$round" \
        --device cpu >"$folder/result.json"
    sed 's/.*"images_per_second":\([0-9.]*\).*/\1/' "$folder/result.json"
}

for network in 'resnet20 64 8' 'resnet18 32 4'; do
    set -- $network
    round=1
    while [ "$round" -le "$rounds" ]; do
        echo "$(speed "$1" 1 "$2" "$3") $(speed "$1" 2 "$2" "$3")"
        rm -r "$folder/$1"-*
        round=$((round + 1))
    done >"$folder/speeds"
    awk -v network="$1" "$(cat "${0%/*}/median.awk")"'
        { one[NR] = $1; two[NR] = $2; ratio[NR] = $2 / (2 * $1); all = all sprintf(" %.3f", ratio[NR]) }
        END { printf "%s: %.1f images/s on one rank, %.1f on two, efficiency %.3f (rounds:%s)\n", network, median(one, NR), median(two, NR), median(ratio, NR), all }
    ' "$folder/speeds"
done
