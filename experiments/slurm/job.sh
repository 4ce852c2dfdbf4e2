#!/bin/sh
#SBATCH --requeue --open-mode=append --signal=B:USR1@60
# A job of array.sh, or a task of its array: a part of an experiment on the processors that Slurm gives. Slurm queues it again
# when it is preempted or its node is lost; this does, ten times at most, a minute before its time is up (SIGUSR1) and when the
# program was killed (SIGKILL: no memory left, say). `scancel` sends SIGTERM, which ends it.
# job.sh N|needed|rest PROGRAM EXPERIMENT [words of run.sh]
set -eu
part=${SLURM_ARRAY_TASK_ID:+$SLURM_ARRAY_TASK_ID/}$1
shift
again() {
    # Without cgroups Slurm would lose sight of the program, and two would make the same cells.
    trap '' TERM
    kill 0
    wait
    [ "${SLURM_RESTART_COUNT:-0}" -lt 10 ] || { echo "$1; not queued again after ten times" >&2; exit 1; }
    echo "$1; queued again" >&2
    # The number alone may be that of the whole array.
    exec scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
}
trap 'again "its time is up"' USR1
OMP_NUM_THREADS=$SLURM_CPUS_ON_NODE sh experiments/shards.sh "$part" "$@" &
code=0
wait $! || code=$?
[ "$code" -ne 137 ] || again "the program was killed"
exit "$code"
