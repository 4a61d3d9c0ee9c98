"""Compare tuners on tables of measured problems: `python -m tests.benchmarks.quality --help`.

Each run is a line in a CSV file. What is there already is not run again, so a comparison can be
stopped at any moment, and go on.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.quality.crew import Tuner, run
from tests.benchmarks.quality.tables import Table
from tests.benchmarks.quality.tuners import TUNERS, interval

TABLES = (
    "hpolib/protein_structure",
    "hpolib/slice_localization",
    "hpobench/segment",
    "hpobench/vehicle",
    "nasbench201/cifar100",
)
"""Those that no default was chosen by. The others were looked at while TPE was written."""

MARKS = (25, 50, 100)
FIELDS = ("table", "workers", "tuner", "seed", *(f"after {mark}" for mark in MARKS), "seconds")


class Run(NamedTuple):
    """One tuner on one table with one seed."""

    table: str
    workers: int
    tuner: str
    seed: int


Found = dict[Run, list[float]]


def read(path: Path) -> Found:
    """Return the shares after each of `MARKS` by run."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            Run(row["table"], int(row["workers"]), row["tuner"], int(row["seed"])): [
                float(row[f"after {mark}"]) for mark in MARKS
            ]
            for row in csv.DictReader(file)
        }


def work(wanted: list[Run], path: Path, minutes: float) -> None:
    """Do the runs that the file lacks, until the time is over."""
    known, ends = read(path), time.monotonic() + 60 * minutes
    path.parent.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Table] = {}
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not known:
            writer.writerow(FIELDS)
        for one in wanted:
            if one in known:
                continue
            if time.monotonic() > ends:
                return
            if one.table not in tables:
                tables[one.table] = Table(one.table)
            table = tables[one.table]
            make, options = TUNERS[one.tuner]
            tuner: Tuner = make(table.space, one.seed, **options)
            began = time.process_time()
            found = run(tuner, table, MARKS[-1], one.workers, one.seed)
            shares = [table.better(found[:mark]) for mark in MARKS]
            writer.writerow([*one, *shares, round(time.process_time() - began, 3)])
            file.flush()


def summary(found: Found, wanted: list[Run], mark: int) -> str:
    """Return a table in Markdown, after `mark` trials: medians in 1/10,000 and intervals."""
    shares: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for one in wanted:
        if one in found:
            share = found[one][MARKS.index(mark)]
            shares[one.workers, one.table, one.tuner].append(1e4 * share)
    tuners = list(dict.fromkeys(one.tuner for one in wanted))
    lines = [
        "| in flight | table | " + " | ".join(tuners) + " |",
        "|---|---|" + "---|" * len(tuners),
    ]
    for workers in dict.fromkeys(one.workers for one in wanted):
        for table in dict.fromkeys(one.table for one in wanted):
            runs = [shares[workers, table, tuner] for tuner in tuners]
            cells = [
                "{:.1f} ({:.1f}–{:.1f})".format(*interval(run)) if run else "" for run in runs
            ]
            lines.append(f"| {workers} | {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality", description=__doc__
    )
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--tuners", nargs="+", default=list(TUNERS), choices=list(TUNERS))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--out", type=Path, default=Path(".cache/quality/tables.csv"))
    chosen = parser.parse_args()
    # Seed by seed: whenever it is stopped, all tuners have come equally far.
    wanted = [
        Run(table, workers, tuner, seed)
        for seed, workers, table, tuner in itertools.product(
            range(chosen.seeds), chosen.workers, chosen.tables, chosen.tuners
        )
    ]
    work(wanted, chosen.out, chosen.minutes)
    found = read(chosen.out)
    missing = sum(one not in found for one in wanted)
    print("Share of the table that is better than the best point found, in 1/10,000 (lower is")
    print("better): median over the seeds and its 95 % interval.")
    for mark in MARKS:
        print(f"\nAfter {mark} trials:\n\n{summary(found, wanted, mark)}")
    if missing:
        print(f"\n{missing} of {len(wanted)} runs are still to be done: run it again.")


if __name__ == "__main__":
    main()
