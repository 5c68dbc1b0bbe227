#!/usr/bin/env bash
# Measure on the GPU of this machine what can be measured there, and write benchmarks/GPU.md. Takes a few minutes, and
# no network.
set -eu
cd "$(dirname "$0")/.."
python3 benchmarks/all.py --device cuda --rounds "${ROUNDS:-3}" --out benchmarks/GPU.md
grep missed benchmarks/GPU.md || echo "all goals met"
