# Every recipe works as `just RECIPE` with torch 2.11.0 in the first python3 on PATH, or as
# `./do RECIPE`, which sets that up.

# How OpenMP threads wait: sleeping at once is never far from the best, spinning can be 100 times
# slower beside another busy process (docs/decisions/threads.md).
export GOMP_SPINCOUNT := env("GOMP_SPINCOUNT", "0")
gradproof := "target/release/gradproof"

# list the recipes
[private]
default:
    @just --list

# the whole path in one command: train, explain, attack, report -> results/quickstart/index.html
[group('start')]
quickstart data="": build
    sh experiments/quickstart.sh {{ quote(gradproof) }} {{ quote(trim_start_match(data, "data=")) }}

# compile the program: target/release/gradproof (the first time 5 to 10 minutes)
[group('start')]
build:
    @test -x {{ gradproof }} || echo "compiling gradproof: 5 to 10 minutes the first time" >&2
    @cargo build --release --quiet

# what is here and what is missing
[group('start')]
doctor: build
    {{ gradproof }} doctor

# every test; with GRADPROOF_DATA=DIR also those on real data
[group('work')]
test *args:
    @test -d target/release || echo "compiling gradproof and its tests: 5 to 15 minutes the first time" >&2
    OMP_NUM_THREADS=1 cargo test --release --quiet --workspace {{ args }}

# formatting, lints and documentation, as CI checks them
[group('work')]
lint:
    cargo fmt --all --check
    cargo clippy --release --quiet --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --quiet --workspace --no-deps --document-private-items

# Recipes with `scale=smoke` (the default: a few images of `shapes`, a minute or two), `scale=cpu` (64 images) or
# `scale=paper` (500 images, 50 samples). The last two need CIFAR-10: `data=PATH`, else data/cifar-10-batches-bin. Results
# go to results/NAME-SCALE (of `paper` to results/NAME); a killed recipe goes on where it stopped.

# topk, mass-centre and manipulate on gxi, ig, smoothgrad of the four shipped ResNet-20s (cpu: most of a day on two cores)
[group('experiments')]
attack-cifar *args: (experiment "attack-cifar" args)

# topk on every method with a product with the Jacobian (cpu: hours)
[group('experiments')]
attack-methods *args: (experiment "attack-methods" args)

# images made against gxi, ig, smoothgrad, unigrad, judged on all of them: Wang et al. 2020, 5.3 (cpu: hours)
[group('experiments')]
transfer-methods *args: (experiment "transfer-methods" args)

# images made against gxi of each shipped ResNet-20, judged on all of them (cpu: half an hour)
[group('experiments')]
transfer-models *args: (experiment "transfer-models" args)

# maps that become the map of the next image, as a picture
[group('experiments')]
manipulate-demo *args: (experiment "manipulate-demo" args)

[private]
experiment name *args: build
    sh experiments/{{ name }}.sh {{ quote(gradproof) }} {{ args }}

# train experiments/train/NAME.toml into runs/NAME (or runs/NAME-SCALE); go on where a killed run stopped
[group('experiments')]
train name *args: build
    {{ gradproof }} train --config experiments/train/{{ name }}.toml --resume {{ args }} \
        --out runs/{{ name }}{{ if args =~ '--scale' { replace_regex(args, '.*--scale[ =]([a-z0-9-]+).*', '-$1') } else { "" } }}

# ResNet-20 on CIFAR-10, natural
[group('experiments')]
resnet20-natural *args: (train "resnet20-natural" args)

# ResNet-20 on the procedural shapes, natural: a minute on two cores
[group('experiments')]
quickstart-natural *args: (train "quickstart-natural" args)

# CIFAR-10 with the settings of the papers, one recipe a file of experiments/train (its header says
# what it is); add `--scale smoke` to see whether it runs, `--scale cpu` (ResNet-20) to fine-tune

[group('training')]
googlenet-natural *args: (train "googlenet-natural" args)
[group('training')]
googlenet-pgd-l2 *args: (train "googlenet-pgd-l2" args)
[group('training')]
googlenet-pgd-linf *args: (train "googlenet-pgd-linf" args)
[group('training')]
googlenet-ssr *args: (train "googlenet-ssr" args)
[group('training')]
resnet18-natural *args: (train "resnet18-natural" args)
[group('training')]
resnet18-pgd-l2 *args: (train "resnet18-pgd-l2" args)
[group('training')]
resnet18-pgd-linf *args: (train "resnet18-pgd-linf" args)
[group('training')]
resnet18-ssr *args: (train "resnet18-ssr" args)
[group('training')]
resnet20-pgd-l2 *args: (train "resnet20-pgd-l2" args)
[group('training')]
resnet20-pgd-linf *args: (train "resnet20-pgd-linf" args)
[group('training')]
resnet20-ssr *args: (train "resnet20-ssr" args)
[group('training')]
resnet50-natural *args: (train "resnet50-natural" args)
[group('training')]
resnet50-pgd-l2 *args: (train "resnet50-pgd-l2" args)
[group('training')]
resnet50-pgd-linf *args: (train "resnet50-pgd-linf" args)
[group('training')]
resnet50-ssr *args: (train "resnet50-ssr" args)
[group('training')]
swin-t-natural *args: (train "swin-t-natural" args)
[group('training')]
swin-t-pgd-l2 *args: (train "swin-t-pgd-l2" args)
[group('training')]
swin-t-pgd-linf *args: (train "swin-t-pgd-linf" args)
[group('training')]
swin-t-ssr *args: (train "swin-t-ssr" args)
[group('training')]
vgg16-natural *args: (train "vgg16-natural" args)
[group('training')]
vgg16-pgd-l2 *args: (train "vgg16-pgd-l2" args)
[group('training')]
vgg16-pgd-linf *args: (train "vgg16-pgd-linf" args)
[group('training')]
vgg16-ssr *args: (train "vgg16-ssr" args)
