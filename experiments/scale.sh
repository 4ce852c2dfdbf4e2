# Sourced by the experiments with a scale, as `. experiments/scale.sh NAME PROGRAM [scale=…] [data=…]`. Sets:
#   gradproof, out   the program; the folder of the results
#   data, models     images and the trainings that are asked about, natural first; `weights NAME` is the file
#   limit, iters, eps, points, samples   sizes
# Results that are there are not made again: remove their folder to begin anew, with other data for example.
name=$1
gradproof=$2
shift 2
say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf '%s: %s\n' "$name" "$*" >&2; exit 2; }

scale=smoke
data=
for word in "$@"; do
    case $word in
        scale=*) scale=${word#scale=} ;;
        data=*) data=${word#data=} ;;
        *) fail "\`$word\`: write scale=smoke, scale=cpu or scale=paper, and data=PATH" ;;
    esac
done

eps=2/255,4/255,8/255,16/255
out=results/$name-$scale
case $scale in
    smoke) limit=6 iters=3 eps=2/255,8/255 points=3 samples=3 ;;
    cpu) limit=64 iters=50 points=10 samples=10 ;;
    paper) limit=500 iters=50 points=50 samples=50 out=results/$name ;;
    *) fail "scale=$scale: write scale=smoke, scale=cpu or scale=paper" ;;
esac

if [ "$scale" = smoke ] && [ -z "$data" ]; then
    data=shapes
    models='natural other'
    weights() { printf results/quickstart/%s/last.safetensors "$1"; }
    for model in $models; do
        [ ! -e "$(weights "$model")" ] || continue
        say "training resnet20 on the procedural shapes: $model (about 1 minute, once)"
        set -- --config experiments/train/quickstart-natural.toml --out "results/quickstart/$model" --resume
        [ "$model" = natural ] || set -- "$@" --set seed=1 --set epochs=1
        "$gradproof" train "$@"
    done
else
    data=${data:-data/cifar-10-batches-bin}
    [ -e "${data#*:}" ] || fail "no CIFAR-10 at $data: run \`gradproof data fetch cifar10\`, or add data=PATH"
    [ "$scale" != smoke ] || out=$out-data # beside the results on shapes
    models='natural pgd-linf pgd-l2 ssr'
    weights() { printf weights/resnet20-cifar10-%s.safetensors "$1"; }
fi

# attack MODEL METHOD ATTACK FOLDER [OPTIONS]: one attack below $out, unless it is there
attack() {
    result=$out/$4/$1
    model=$1 method=$2 kind=$3
    shift 4
    [ ! -e "$result.json" ] || return 0
    say "$kind on $method of $model"
    "$gradproof" attack --weights "$(weights "$model")" --data "$data" --limit "$limit" --method "$method" \
        --attack "$kind" --eps "$eps" --iters "$iters" --out "$result.safetensors" --resume "$@"
}

# transfer WEIGHTS METHODS: topk made against each, judged on each, below $out, unless it is there
transfer() {
    [ ! -e "$out/transfer.json" ] || return 0
    say "topk on $2"
    "$gradproof" transfer --weights "$1" --data "$data" --limit "$limit" --from "$2" --attack topk \
        --eps "$eps" --iters "$iters" --out "$out/transfer.json" --figure "$out/transfer.png" --resume
}
