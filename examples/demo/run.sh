#!/bin/sh
# What `make demo` runs: 40 trials on four workers, then what to type next.
# Usage: run.sh FOLDER, with orion-k8s and scikit-learn installed for the `python` of PATH.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-orion-demo}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# Nothing of this shell's own configuration should turn the demo to another database.
unset ORION_DB_URL ORION_DB_TYPE ORION_DB_NAME ORION_DB_PORT ORION_EXECUTOR ORION_EXECUTOR_CONFIGURATION
ORION_DB_ADDRESS=$folder/demo.db
# Four programs share the cores: one thread of linear algebra each.
OMP_NUM_THREADS=1
OPENBLAS_NUM_THREADS=1
export ORION_DB_ADDRESS OMP_NUM_THREADS OPENBLAS_NUM_THREADS
rm -f "$folder"/demo.db "$folder"/demo.db-wal "$folder"/demo.db-shm
rm -rf "$folder"/trials

started=$(date +%s)
orion-k8s hunt -n demo --max-trials 40 --n-workers 4 --working-dir "$folder/trials" \
    python "$here/train.py" \
    --lr~'loguniform(1e-5, 1)' \
    --alpha~'loguniform(1e-6, 1)' \
    --hidden~'uniform(4, 64, discrete=True)' \
    --activation~"choices(['relu', 'tanh', 'logistic'])"
seconds=$(($(date +%s) - started))

echo
orion-k8s info -n demo
cat <<END

40 trials in $seconds s, all in one file: $folder/demo.db
What to type next:

    export PATH="$(dirname "$(command -v orion-k8s)"):\$PATH" ORION_DB_ADDRESS="$folder/demo.db"
    orion-k8s status -n demo                     # how many trials are in which state
    orion-k8s hunt -n demo --max-trials 60       # go on: 20 more trials, same command
    less "$here/train.py"   # the program: it reports one number, that is all
END
