# Every recipe works as `just RECIPE` with torch 2.11.0 in the first python3 on PATH, or as
# `./do RECIPE`, which sets that up.

# How OpenMP threads of a training wait, the only work with barriers (docs/decisions/threads.md).
export GOMP_SPINCOUNT := env("GOMP_SPINCOUNT", "0")
gradproof := "target/release/gradproof"

# list the recipes
[private]
default:
    @just --list

# the whole path in one command: train, explain, attack, transfer, report -> results/quickstart/index.html
[group('start')]
quickstart data="": build
    sh experiments/quickstart.sh {{ quote(gradproof) }} {{ quote(trim_start_match(data, "data=")) }}

# compile the program: target/release/gradproof (the first time 5 to 10 minutes)
[group('start')]
build:
    @test -x {{ gradproof }} || echo "compiling gradproof: 5 to 10 minutes the first time" >&2
    @cargo build --release --quiet

# your own network, ONNX or not, fine-tuned until its maps withstand more: `just harden mine.onnx data=PATH normalise=cifar10 [with=pgd|ssr]` -> runs/harden
[group('start')]
harden weights *args: build
    sh experiments/harden.sh {{ gradproof }} {{ quote(weights) }} {{ args }}

# what is here and what is missing
[group('start')]
doctor: build
    {{ gradproof }} doctor

# every test; with GRADPROOF_DATA=DIR also those on real data
[group('work')]
test *args:
    @test -d target/release || echo "compiling gradproof and its tests: 5 to 15 minutes the first time" >&2
    OMP_NUM_THREADS=1 cargo test --release --quiet --workspace {{ args }}

# the tests of the command line on a GPU that is not there (tests/pretend-gpu/README.md): all, or `-- maps:: train::`
[group('work')]
test-gpu *args:
    sh tests/pretend-gpu/build.sh target/tmp/pretend-gpu
    GRADPROOF_PRETEND_GPU="$PWD/target/tmp/pretend-gpu/libtorch_cuda.so" OMP_NUM_THREADS=1 \
        cargo test --release --quiet --test cli {{ args }}

# memory of a training step by network and objective, counted without a GPU
[group('work')]
gpu-memory *args: build
    sh tests/pretend-gpu/build.sh target/tmp/pretend-gpu
    python3 benches/memory.py {{ gradproof }} target/tmp/pretend-gpu/libtorch_cuda.so {{ args }}

# a wheel for pip: the program, weights, experiments and the Python door (python/README.md) -> target/wheel
[group('work')]
wheel: build
    python3 -m pip wheel --quiet --no-deps --wheel-dir target/wheel ./python

# the wheel in an environment of its own that sees nothing else of this checkout, and the door's tests there
[group('work')]
test-wheel: wheel
    sh python/tests/fresh.sh target/wheel target/wheel-env

# a GPU proved, ten minutes: the self-test, then the same rates in PyTorch -> docs/results/gpu.md
[group('work')]
gpu-check device="cuda:0": build
    {{ gradproof }} doctor --self-test --device {{ device }} --out target/self-test.json
    python3 benches/gpu.py target/self-test.json --device {{ device }} --out docs/results/gpu.md

# the tests of several ranks, with Open MPI and libclang (docs/scale.md); two cores are enough
[group('work')]
test-mpi:
    OMP_NUM_THREADS=1 cargo test --release --quiet --workspace --features mpi --test mpi -- --test-threads 1

# libFuzzer on one reader of src/readers.rs, with a nightly Rust and cargo-fuzz (docs/fuzzing.md): `just fuzz csv runs=1000000`
[group('work')]
fuzz reader runs="runs=0" *options:
    @mkdir -p fuzz/found/{{ reader }}
    cd fuzz && READER={{ reader }} cargo +nightly fuzz run --sanitizer none {{ options }} reader found/{{ reader }} corpus/{{ reader }} \
        -- -{{ runs }} -timeout=1 -rss_limit_mb=1024 -max_len=65536

# the same on each reader in turn
[group('work')]
fuzz-all runs="runs=0":
    for reader in fuzz/corpus/*; do just fuzz "$(basename "$reader")" {{ runs }} || exit 1; done

# formatting, lints and documentation, as CI checks them
[group('work')]
lint:
    cargo fmt --all --check
    cargo clippy --release --quiet --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --quiet --workspace --no-deps --document-private-items

# write generated tables of docs/ and the snapshots of --help, pages and printed tables anew
[group('work')]
bless:
    GRADPROOF_BLESS=1 cargo test --release --quiet --lib --test it -- snapshot docs:: pages::

# licences, advisories and sources of dependencies (deny.toml); needs cargo-deny and the network, so CI leaves it out
[group('work')]
deny:
    @cargo deny --version >/dev/null 2>&1 || { echo 'no cargo-deny here: cargo install cargo-deny --locked' >&2; exit 2; }
    cargo deny --all-features check

# spelling (_typos.toml); needs typos, so CI leaves it out
[group('work')]
typos:
    @typos --version >/dev/null 2>&1 || { echo 'no typos here: pip install typos, or cargo install typos-cli --locked' >&2; exit 2; }
    typos

# every experiment at the smoke scale -> runs/index.html (about 4 minutes on two cores)
[group('experiments')]
smoke *args: build
    {{ gradproof }} run experiments/*.toml --resume {{ args }}
    {{ gradproof }} report runs

# the tables and figures of the papers, what makes each, and how far it is
[group('experiments')]
papers: build
    @{{ gradproof }} run experiments/*.toml --list

# An experiment is a file of experiments/ and a recipe of its name. `scale=smoke` (the default) needs no data and takes a minute; `scale=cpu` and
# `scale=paper` need CIFAR-10: `data=PATH`, else data/cifar-10-batches-bin. Results go to runs/NAME-SCALE (of `paper` to runs/NAME);
# a killed recipe goes on where it stopped. docs/experiments.md says more.

# topk, mass-centre and manipulate on gxi, ig, smoothgrad of the four shipped ResNet-20s
[group('experiments')]
attack-cifar *args: (experiment "attack-cifar" args)
# topk on every method with a product with the Jacobian
[group('experiments')]
attack-methods *args: (experiment "attack-methods" args)
# what is certain of smoothed maps beside what an attack finds, for five trainings of ResNet-20
[group('experiments')]
certify-cifar *args: (experiment "certify-cifar" args)
# images made against gxi, ig, smoothgrad, unigrad, judged on all of them: Wang et al. 2020, 5.3
[group('experiments')]
transfer-methods *args: (experiment "transfer-methods" args)
# images made against gxi of each shipped ResNet-20, judged on all of them
[group('experiments')]
transfer-models *args: (experiment "transfer-models" args)
# maps that become the map of the next image, as a picture
[group('experiments')]
manipulate-demo *args: (experiment "manipulate-demo" args)

# the networks of Agarwal et al. 2021: `scale=cpu bankruptcy=arff:FILE,columns=complete shopping=csv:FILE`
[group('papers')]
agarwal21-networks *args: (experiment "agarwal21-networks" args)
# Agarwal et al. 2021, Figures 1 to 9, on the same tables
[group('papers')]
agarwal21-figure2 *args: (experiment "agarwal21-figure2" args)
# Lim et al. 2021, Table S1; Lim et al. 2021, Table S2
[group('papers')]
lim21-attacked *args: (experiment "lim21-attacked" args)
# Lim et al. 2021, Figure 1; Lim et al. 2021, Figure S8; Lim et al. 2021, Figure S9
[group('papers')]
lim21-figure1 *args: (experiment "lim21-figure1" args)
# Lim et al. 2021, Figure 3; Lim et al. 2021, Figure 5; Lim et al. 2021, Figure S1
[group('papers')]
lim21-figure3 *args: (experiment "lim21-figure3" args)
# Lim et al. 2021, Figure 4; Lim et al. 2021, Figure 5; Lim et al. 2021, Figure S2
[group('papers')]
lim21-figure5 *args: (experiment "lim21-figure5" args)
# Lim et al. 2021, Figure 6; Lim et al. 2021, Figure S5
[group('papers')]
lim21-figure6 *args: (experiment "lim21-figure6" args)
# Lim et al. 2021, Table 1; Lim et al. 2021, Figure S3; Lim et al. 2021, Figure S4
[group('papers')]
lim21-table1 *args: (experiment "lim21-table1" args)
# Lim et al. 2021, Table S3
[group('papers')]
lim21-tables3 *args: (experiment "lim21-tables3" args)
# Tan & Tian 2023, Figure 1
[group('papers')]
tan23-figure1 *args: (experiment "tan23-figure1" args)
# Tan & Tian 2023, Figure 2
[group('papers')]
tan23-figure2 *args: (experiment "tan23-figure2" args)
# Tan & Tian 2023, Figure 3
[group('papers')]
tan23-figure3 *args: (experiment "tan23-figure3" args)
# Tan & Tian 2023, Figure 4; Tan & Tian 2023, Figure 5
[group('papers')]
tan23-figure4 *args: (experiment "tan23-figure4" args)
# Tan & Tian 2023, Table 1; Tan & Tian 2023, Figure 6
[group('papers')]
tan23-table1 *args: (experiment "tan23-table1" args)
# Wang et al. 2020, Figure 1
[group('papers')]
wang20-figure1 *args: (experiment "wang20-figure1" args)
# Wang et al. 2020, Figure 2
[group('papers')]
wang20-figure2 *args: (experiment "wang20-figure2" args)
# Wang et al. 2020, Figure 3
[group('papers')]
wang20-figure3 *args: (experiment "wang20-figure3" args)
# Wang et al. 2020, Figure 5
[group('papers')]
wang20-figure5 *args: (experiment "wang20-figure5" args)
# Wang et al. 2020, Figure 6
[group('papers')]
wang20-figure6 *args: (experiment "wang20-figure6" args)
# Wang et al. 2020, Table 1
[group('papers')]
wang20-table1 *args: (experiment "wang20-table1" args)
# Wang et al. 2020, Table 2
[group('papers')]
wang20-table2 *args: (experiment "wang20-table2" args)
# Wang et al. 2020, Table 4; Wang et al. 2020, Figure 4
[group('papers')]
wang20-table4 *args: (experiment "wang20-table4" args)
# Wang et al. 2020, Table 5
[group('papers')]
wang20-table5 *args: (experiment "wang20-table5" args)
# Wang et al. 2020, Table 6
[group('papers')]
wang20-table6 *args: (experiment "wang20-table6" args)
# Yeh et al. 2019, Figure 5
[group('papers')]
yeh19-figure5 *args: (experiment "yeh19-figure5" args)
# Yeh et al. 2019, Figure 6; Yeh et al. 2019, Figure 8
[group('papers')]
yeh19-figure6 *args: (experiment "yeh19-figure6" args)
# Yeh et al. 2019, Figure 7; Yeh et al. 2019, Figure 9
[group('papers')]
yeh19-figure9 *args: (experiment "yeh19-figure9" args)
# Yeh et al. 2019, Figure 10
[group('papers')]
yeh19-figure10 *args: (experiment "yeh19-figure10" args)
# Two networks for MNIST
[group('papers')]
yeh19-networks *args: (experiment "yeh19-networks" args)
# Yeh et al. 2019, Table 4
[group('papers')]
yeh19-table4 *args: (experiment "yeh19-table4" args)

# an experiment as n processes side by side, by GNU parallel: `just parallel 4 wang20-table2 scale=cpu data=PATH`
[group('experiments')]
parallel n name *args: build
    @GRADPROOF={{ quote(gradproof) }} sh experiments/parallel.sh {{ n }} {{ name }} {{ args }}

[private]
experiment name *args: build
    @sh experiments/run.sh {{ quote(gradproof) }} {{ name }} {{ args }}

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
# from its weights, `--set model.weights=runs/quickstart-natural/last.safetensors`: PGD within 8/255
[group('experiments')]
quickstart-adversarial *args: (train "quickstart-adversarial" args)
# from the same weights: SSR
[group('experiments')]
quickstart-ssr *args: (train "quickstart-ssr" args)

# CIFAR-10 and MNIST with the settings of the papers, one recipe a file of experiments/train (its header says
# what it is); add `--scale smoke` to see whether it runs, `--scale cpu` (ResNet-20) to fine-tune

[group('training')]
agarwal-mlp *args: (train "agarwal-mlp" args)
[group('training')]
googlenet-natural *args: (train "googlenet-natural" args)
[group('training')]
googlenet-pgd-l2 *args: (train "googlenet-pgd-l2" args)
[group('training')]
googlenet-pgd-linf *args: (train "googlenet-pgd-linf" args)
[group('training')]
googlenet-ssr *args: (train "googlenet-ssr" args)
[group('training')]
mnist-cnn-natural *args: (train "mnist-cnn-natural" args)
[group('training')]
mnist-cnn-robust *args: (train "mnist-cnn-robust" args)
[group('training')]
resnet18-natural *args: (train "resnet18-natural" args)
[group('training')]
resnet18-pgd-l2 *args: (train "resnet18-pgd-l2" args)
[group('training')]
resnet18-pgd-linf *args: (train "resnet18-pgd-linf" args)
[group('training')]
resnet18-ssr *args: (train "resnet18-ssr" args)
[group('training')]
resnet20-noise *args: (train "resnet20-noise" args)
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
