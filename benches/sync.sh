#!/bin/sh
# Host synchronisations an attack makes per iteration: reads of a tensor's value and operations whose
# result has a size that depends on values, counted by gdb in a run of 3 and one of 9 iterations. Prints one line
# an attack and rule; all should say 0.
#     benches/sync.sh target/release/gradproof CIFAR10_FOLDER
set -eu
program=$1
data=$2
counted='_local_scalar_dense is_nonzero equal nonzero masked_select _unique2'

count() { # ATTACK RULE ITERATIONS
    words='-ex "set breakpoint pending on" -ex "handle all nostop noprint pass"'
    number=1
    for name in $counted; do
        words="$words -ex 'break at::_ops::$name::call' -ex 'ignore $number 1000000000'"
        number=$((number + 1))
    done
    eval "gdb -batch $words -ex run -ex 'info breakpoints'" --args '"$program"' attack --device cpu --threads 1 --limit 4 \
        --weights weights/resnet20-cifar10-natural.safetensors --data '"$data"' --method smoothgrad:samples=2 \
        --attack "$1" --rule "$2" --eps 8/255 --iters "$3" --quiet 2>&1 |
        awk '/already hit/ { hits += $4 } END { print hits + 0 }'
}

for attack in manipulate mass-centre random targeted topk; do
    for rule in adam apgd sign square; do
        few=$(count "$attack" "$rule" 3)
        many=$(count "$attack" "$rule" 9)
        [ "$few" -gt 0 ] || { echo "nothing was counted: is gdb there, and does the attack run?" >&2; exit 1; }
        printf '%-12s %-7s %s synchronisations in 6 more iterations (%s in all)\n' "$attack" "$rule" $((many - few)) "$many"
    done
done
