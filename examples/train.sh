#!/bin/sh
# Minimise Rosenbrock's function in plain shell: any language can write the result file.
#
#   orion-k8s hunt -n shell --max-trials 20 examples/train.sh -x~'uniform(-2, 2)' -y~'uniform(-1, 3)'
set -eu

while getopts x:y: option; do
    case $option in
        x) x=$OPTARG ;;
        y) y=$OPTARG ;;
        *) exit 2 ;;
    esac
done

value=$(awk -v x="$x" -v y="$y" 'BEGIN { printf "%.17g", (1 - x)^2 + 100 * (y - x^2)^2 }')

if [ -n "${ORION_RESULTS_PATH:-}" ]; then
    printf '[{"name": "rosenbrock", "type": "objective", "value": %s}]\n' "$value" \
        > "$ORION_RESULTS_PATH"
else
    echo "$value"
fi
