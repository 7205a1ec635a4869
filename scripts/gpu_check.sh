#!/usr/bin/env bash
# What only a GPU can show, on a machine that has one and no network: scripts/gpu_check.sh STAGE [FOLDER]
#   build      compile for this GPU, in place           (Python >= 3.11 with pybind11, cmake, ninja, numpy)
#   test       pytest -m cuda                           (pytest, hypothesis; torch and cupy where they are)
#   sanitize   compute-sanitizer's four tools over the op specs at the small profile
#   bench      every op against PyTorch, and the copy rate that they are held against
# Each takes less than 8 minutes and writes one summary, FOLDER/gpu-STAGE.txt (FOLDER: benchmarks/results/gpu).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
stage=${1:?"usage: scripts/gpu_check.sh build|test|sanitize|bench [folder]"}
folder=${2:-benchmarks/results/gpu}
build=build-gpu
jobs=$(nproc)
mkdir -p "$folder"
summary=$folder/gpu-$stage.txt
export PYTHONPATH=$PWD/python RANVIER_BUILD_DIR=$PWD/$build PYTHONUNBUFFERED=1
limit() { timeout --signal=INT --kill-after=10 "$@"; } # seconds, command

header() {
  echo "stage $stage, commit $(git rev-parse --short HEAD 2> /dev/null || echo unknown), $(date -u +%FT%TZ)"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader || true
  python -c 'import ranvier as rv; print(rv.build_info()["cuda"])' 2> /dev/null || true
}

build() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .) || return 1
  cmake -S . -B "$build" -G Ninja -DRANVIER_INPLACE=ON -DRANVIER_CUDA=ON "-DRANVIER_CUDA_ARCHS=${capability}-real" \
    "-DPython_EXECUTABLE=$(command -v python)" || return 1
  limit 460 cmake --build "$build" -j "$jobs"
}

tests() {
  limit 460 python -m pytest -m cuda tests/cuda -q -x --maxfail=40 -p no:cacheprovider -rfE --tb=short
}

sanitize() { # the fixed small shapes of the derandomised profile; two minutes a tool at most
  local tool status=0
  export HYPOTHESIS_PROFILE=small
  for tool in memcheck racecheck initcheck synccheck; do
    echo "--- $tool"
    limit 115 compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 9 --print-limit 5 \
      python -m pytest -m cuda tests/cuda/test_ops.py -q -x -k "float32 and forward" -p no:cacheprovider || status=$?
  done
  return "$status"
}

bench() {
  limit 460 python scripts/gpu_bench.py
}

case $stage in
  build | sanitize | bench) run=$stage ;;
  test) run=tests ;;
  *)
    echo "unknown stage '$stage'" >&2
    exit 2
    ;;
esac
start=$SECONDS
{
  header
  "$run" 2>&1 | tail -n 400
  status=${PIPESTATUS[0]}
  echo "exit status $status after $((SECONDS - start)) s"
} | tee "$summary"
grep -q '^exit status 0 ' "$summary"
