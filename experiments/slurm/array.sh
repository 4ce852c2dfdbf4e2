#!/bin/sh
# An experiment as a Slurm job array of N tasks, each of which makes every Nth cell; then a job that makes what they left out and
# writes the page and the index of all runs. What the experiment needs is made by a job before. What is cut (preempted, its node
# lost, killed, its time up) is queued again and goes on with the cells that are missing (job.sh). A task that fails by itself
# ends the rest: its log says why; the same line once more goes on.
#   sh experiments/slurm/array.sh N EXPERIMENT [scale=… data=… out=DIR NAME=VALUE … options of `gradproof run`] [-- options of sbatch]
#   sh experiments/slurm/array.sh 40 wang20-table2 scale=cpu data=cifar10:PATH --device cuda -- --gres=gpu:1 --time=4:00:00
# Options of sbatch are for all jobs and hold no spaces. Logs are in runs/slurm; GRADPROOF names another program than
# target/release/gradproof.
set -eu
cd "$(dirname "$0")/../.."
fail() { printf 'array.sh: %s\n' "$*" >&2; exit 2; }
[ $# -ge 2 ] || fail 'say how many tasks and which experiment: sh experiments/slurm/array.sh 4 wang20-table2'
n=$1 experiment=$2 gradproof=${GRADPROOF:-target/release/gradproof} scale=smoke options=
shift
for word; do
    shift
    case $options$word in
        --) options=' ' ;;
        ' '*) options="$options$word " ;;
        *) set -- "$@" "$word" ;;
    esac
    case $word in scale=*) scale=${word#scale=} ;; esac
done
sh experiments/shards.sh "check=$n" "$gradproof" "$@"
command -v sbatch >/dev/null || fail 'no sbatch here: call this on a machine of a Slurm cluster, or experiments/parallel.sh on any other'
name=$experiment-$scale
[ -z "$(squeue --me --noheader --name="$name")" ] || fail "$name is queued already; \`scancel --me --name=$name\` ends it"
mkdir -p runs/slurm

# submit PART OPTIONS WORDS…: prints the number of the job.
submit() {
    part=$1 own=$2
    shift 2
    # Here words are to be split at spaces.
    # shellcheck disable=SC2086
    id=$(sbatch --parsable --job-name="$name" --output="runs/slurm/%x-%j.out" --kill-on-invalid-dep=yes $own $options \
        experiments/slurm/job.sh "$part" "$gradproof" "$@")
    echo "${id%%;*}"
}
after=
if grep -q '^needs' "experiments/$experiment.toml"; then
    # One at a time: two experiments may need the same one.
    needed=$(submit needed '--job-name=gradproof-needed --dependency=singleton' "$@")
    after=--dependency=afterok:$needed
fi
array=$(submit "$n" "$after --array=1-$n --output=runs/slurm/%x-%A_%a.out" "$@")
# Not afterany: `scancel` of the array would start this job on all its cells.
rest=$(submit rest "--dependency=afterok:$array" "$@")
echo "$name: ${needed:+job $needed makes what it needs, }array $array has $n shards, job $rest makes the rest and the page"
echo "squeue --me shows them, runs/slurm has their logs, \`scancel ${needed:+$needed }$array $rest\` ends them"
