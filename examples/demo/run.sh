#!/bin/sh
# What `make demo` runs: 30 trials by four identical workers, then what to type next.
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

# Each worker is started by the same words; on another machine they would be the same, too.
work() {
    orion-k8s hunt "$@" -n demo --max-trials 30 --working-dir "$folder/trials" \
        python "$here/train.py" \
        --lr~'loguniform(1e-5, 1)' \
        --alpha~'loguniform(1e-6, 1)' \
        --hidden~'uniform(4, 64, discrete=True)' \
        --activation~"choices(['relu', 'tanh', 'logistic'])"
}

started=$(date +%s)
workers=
trap 'for worker in $workers; do kill "$worker" 2>/dev/null || true; done' EXIT
for _ in 1 2 3; do
    work --quiet &
    workers="$workers $!"
done
work
for worker in $workers; do
    wait "$worker"
done
workers=
seconds=$(($(date +%s) - started))

cat <<END

30 trials by four workers in $seconds s; they met in one file, $folder/demo.db.
To type the lines above in this shell, type this one first:

    export PATH="$(dirname "$(command -v orion-k8s)"):\$PATH" ORION_DB_ADDRESS="$folder/demo.db"

The program that was tuned reports one number, that is all: $here/train.py
END
