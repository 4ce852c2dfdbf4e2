#!/bin/sh
# Training on a class folder that stays in its files against the same folder in memory: png files of 64×64 pixels, of which
# about a quarter may wait decoded (64 MB of 246 MB for 20,000). Images a second of the second epoch, one after the other in every round,
# and whether the weights are the same. Prints one line a network: medians, the ratio of every round, and the most memory of both.
#     benches/stream.sh target/release/gradproof [ROUNDS]
set -eu
program=$1
rounds=${2:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

make_set() { # IMAGES: the folders $folder/set/train and test
    rm -rf "$folder/set" "$folder/small"
    "$program" data make "shapes:train=$1,test=10" --split train --folder "$folder/small" --quiet >"$folder/made"
    "$program" data make "folder:$folder/small" --size 64 --folder "$folder/set/train" --quiet >"$folder/made"
    for class in "$folder"/set/train/*; do
        mkdir -p "$folder/set/test/${class##*/}"
        cp "$(ls -d "$class"/* | head -n 1)" "$folder/set/test/${class##*/}/"
    done
}

speed() { # OUT MEMORY: images a second of the second epoch, and the most memory in MB
    "$program" train --quiet --json --config "$folder/run.toml" --out "$folder/$1" --device cpu --memory "$2" >"$folder/result.json" &
    process=$!
    while kill -0 "$process" 2>"$folder/gone"; do
        awk '/VmHWM/ { print int($2 / 1000) }' "/proc/$process/status" >>"$folder/memory-$1" 2>"$folder/gone" || true
        sleep 0.2
    done
    wait "$process"
    sed 's/.*"images_per_second":\([0-9.]*\).*/\1/' "$folder/result.json"
}

for network in 'mlp 20000' 'cnn 20000' 'resnet20 2000'; do
    set -- $network
    make_set "$2"
    rm -f "$folder"/memory-*
    round=1
    while [ "$round" -le "$rounds" ]; do
        cat >"$folder/run.toml" <<END
epochs = 2
batch_size = 128
[data]
train = 'folder:$folder/set'
augment = { crop = 4, flip = true }
[model]
arch = '$1'
[optimizer]
name = 'sgd'
learning_rate = 0.01
END
        held=$(speed held 1GB)
        streamed=$(speed streamed "$(($2 * 3200))")
        cmp "$folder/held/last.safetensors" "$folder/streamed/last.safetensors" >&2
        rm -r "$folder/held" "$folder/streamed"
        echo "$held $streamed"
        round=$((round + 1))
    done >"$folder/speeds"
    most() { sort -n "$folder/memory-$1" | tail -n 1; }
    awk -v network="$1" -v images="$2" -v held="$(most held)" -v streamed="$(most streamed)" "$(cat "${0%/*}/median.awk")"'
        { one[NR] = $1; two[NR] = $2; ratio[NR] = $2 / $1; all = all sprintf(" %.3f", ratio[NR]) }
        END { printf "%s, %d images: %.0f images/s in memory (%d MB), %.0f from files (%d MB), ratio %.3f (rounds:%s), the same weights\n", network, images, median(one, NR), held, median(two, NR), streamed, median(ratio, NR), all }
    ' "$folder/speeds"
done
