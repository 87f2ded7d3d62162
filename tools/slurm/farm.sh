#!/usr/bin/env bash
# A whole run as Slurm jobs: merge, the trainings that it misses as an array, merge, ... until the
# report is there. Start it again after whatever ended it: nothing that is finished is done again.
# usage: tools/slurm/farm.sh RECIPE --out DIR [options of hacscale run]
# HACSCALE: the program (default: hacscale). HAC_CPUS: of a task (1). What sbatch reads from the
# environment decides the rest: SBATCH_PARTITION, SBATCH_TIMELIMIT, SBATCH_ACCOUNT, ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export HACSCALE=${HACSCALE:-hacscale}

out=
for ((i = 1; i <= $#; ++i)); do
  case ${!i} in
    --out) next=$((i + 1)); out=${!next-} ;;
    --out=*) out=${!i#--out=} ;;
  esac
done
[[ -n $out ]] || { echo "usage: $0 RECIPE --out DIR [options of hacscale run]" >&2; exit 2; }
mkdir -p "$out/slurm"

submit() { sbatch --parsable --cpus-per-task="${HAC_CPUS:-1}" "$@" | cut -d ';' -f 1; }
# Until squeue has not known the job three times in a row: a controller that is busy answers nothing.
wait_for() {
  local gone=0
  while ((gone < 3)); do
    [[ -n $(squeue --noheader --jobs="$1" 2>/dev/null) ]] && gone=0 || gone=$((gone + 1))
    sleep 5
  done
}

previous=
while :; do
  job=$(submit --output="$out/slurm/merge-%j.log" "$here/merge.sbatch" run "$@")
  wait_for "$job"
  log=$out/slurm/merge-$job.log
  tasks=$(sed -n 's/^next: //p' "$log" | tail -n 1)
  if [[ -z $tasks ]]; then
    tail -n 3 "$log"
    [[ -e $out/report/index.html ]] && grep -q '^report: ' "$log"
    exit
  fi
  if [[ $tasks == "$previous" ]]; then
    echo "tasks $tasks: none of them was finished; see $out/slurm/hacscale-*.log" >&2
    exit 1
  fi
  previous=$tasks
  array=$(submit --array="$tasks" --output="$out/slurm/%x-%A_%a.log" "$here/task.sbatch" run "$@")
  echo "merge $job: next $tasks, array $array"
  wait_for "$array"
done
