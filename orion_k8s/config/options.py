"""The one table of options: name, kind, default, environment variable, flag and help of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orion_k8s.config.kinds import (
    AlgorithmChoice,
    Choice,
    Integer,
    Kind,
    Seconds,
    StoppingChoice,
    Table,
    Tables,
    Target,
    Text,
)


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        section: "storage", "experiment" or "worker".
        name: inside the section; a dot goes one mapping deeper.
        kind: what values it takes.
        default: where nothing says otherwise.
        env: environment variables; the first that is set and not empty counts.
        flags: on the command line.
        help: one line for `--help` and `info --config`.
    """

    section: str
    name: str
    kind: Kind
    default: Any
    help: str
    env: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name with its section: "worker.heartbeat"."""
        return f"{self.section}.{self.name}"


_TABLE = (
    Option(
        "storage",
        "url",
        Text(optional=True, secret=True),
        None,
        "where the shared history is: mongodb://…, sqlite:///path, memory://name, or a path;"
        " without it, a SQLite file in the user's data folder",
        env=("ORION_DB_URL",),
        flags=("--storage", "--db"),
    ),
    Option(
        "storage",
        "type",
        Text(optional=True),
        None,
        "kind of the storage, as in Oríon's files ('legacy' says nothing)",
    ),
    Option(
        "storage",
        "database.type",
        Text(optional=True),
        None,
        "kind of the database: sqlite, mongodb or memory",
        env=("ORION_DB_TYPE",),
    ),
    Option(
        "storage",
        "database.host",
        Text(optional=True, secret=True),
        None,
        "host name, URL or file of the database",
        env=("ORION_DB_ADDRESS",),
    ),
    Option(
        "storage",
        "database.name",
        Text(optional=True),
        None,
        "name of the database on its server",
        env=("ORION_DB_NAME",),
    ),
    Option(
        "storage",
        "database.port",
        Integer(1, 65535, optional=True),
        None,
        "port of the database's server",
        env=("ORION_DB_PORT",),
    ),
    Option(
        "storage",
        "wait",
        Seconds(zero=True, endless=True),
        0.0,
        "seconds to wait for a database that is away when a command starts; inf for as long as it"
        " takes",
        env=("ORION_DB_WAIT",),
        flags=("--db-wait",),
    ),
    Option(
        "experiment",
        "name",
        Text(optional=True),
        None,
        "name of the experiment",
        flags=("-n", "--name"),
    ),
    Option(
        "experiment",
        "version",
        Integer(1, optional=True),
        None,
        "version of the experiment; the newest without it",
        flags=("-v", "--version"),
    ),
    Option(
        "experiment",
        "space",
        Table("{lr: 'loguniform(1e-5, 1)'}", secret=False),
        {},
        "the search space: a prior for each name",
    ),
    Option(
        "experiment",
        "algorithm",
        AlgorithmChoice(),
        {"random": {}},
        "the algorithm, with its parameters",
    ),
    Option(
        "experiment",
        "stopping",
        StoppingChoice(),
        None,
        "rules that stop a bad trial early, with their parameters: a name, or JSON; none takes"
        " them away",
        env=("ORION_EXP_STOPPING",),
        flags=("--stopping",),
    ),
    Option(
        "experiment",
        "direction",
        Choice(("minimize", "maximize"), optional=True),
        None,
        "whether the objective is to be small or large; minimize without it",
        env=("ORION_EXP_DIRECTION",),
        flags=("--direction",),
    ),
    Option(
        "experiment",
        "goal",
        Target(),
        None,
        "value of the objective that ends the experiment; none without it",
        env=("ORION_EXP_GOAL",),
        flags=("--goal",),
    ),
    Option(
        "experiment",
        "objectives",
        Table("{accuracy: maximize, latency: minimize}", secret=False),
        {},
        "several objectives: the direction of each, by the name that results have",
    ),
    Option(
        "experiment",
        "repetitions",
        Integer(1, 20),
        1,
        "how often each point is measured, to count by its mean; max_trials counts measurements",
    ),
    Option(
        "experiment",
        "enqueue",
        Tables("[{lr: 0.1}]"),
        [],
        "points to try first, each by its parameters; those that were tried are passed over",
    ),
    Option(
        "experiment",
        "max_trials",
        Integer(0, optional=True),
        None,
        "completed trials that end the experiment; endless without it",
        env=("ORION_EXP_MAX_TRIALS",),
        flags=("--max-trials", "--exp-max-trials"),
    ),
    Option(
        "experiment",
        "max_broken",
        Integer(1),
        3,
        "broken trials that end the experiment",
        env=("ORION_EXP_MAX_BROKEN",),
        flags=("--max-broken", "--exp-max-broken"),
    ),
    Option(
        "experiment",
        "working_dir",
        Text(empty=True, path=True),
        "",
        "folder that holds the trials' folders; without it, one in the user's data folder",
        env=("ORION_WORKING_DIR",),
        flags=("--working-dir",),
    ),
    Option(
        "experiment",
        "seed",
        Integer(0, 2**63 - 1, optional=True),
        None,
        "seed of all random streams of the experiment; drawn once without it",
    ),
    Option(
        "worker",
        "n_workers",
        Integer(1, also=-1, also_means="all cores"),
        1,
        "trials that run at once in this worker",
        env=("ORION_N_WORKERS",),
        flags=("--n-workers",),
    ),
    Option(
        "worker",
        "executor",
        Text(),
        "joblib",
        "where trials run: joblib, singleexecutor, poolexecutor, dask, dask-kubernetes,"
        " kubernetes, or an installed plug-in",
        env=("ORION_EXECUTOR",),
        flags=("--executor",),
    ),
    Option(
        "worker",
        "executor_configuration",
        Table('{"threads_per_worker": 1}'),
        {},
        "arguments of the executor, as JSON",
        env=("ORION_EXECUTOR_CONFIGURATION",),
        flags=("--executor-configuration",),
    ),
    Option(
        "worker",
        "heartbeat",
        Seconds(),
        15.0,
        "seconds between two heartbeats; a trial that misses two is run by another worker",
        env=("ORION_HEARTBEAT",),
        flags=("--heartbeat",),
    ),
    Option(
        "worker",
        "max_trials",
        Integer(0, optional=True),
        None,
        "trials that this worker completes before it ends; endless without it",
        env=("ORION_WORKER_MAX_TRIALS",),
        flags=("--worker-max-trials",),
    ),
    Option(
        "worker",
        "max_broken",
        Integer(1, optional=True),
        None,
        "trials that may break in this worker before it ends; without it the experiment's limit",
        env=("ORION_WORKER_MAX_BROKEN",),
        flags=("--worker-max-broken",),
    ),
    Option(
        "worker",
        "idle_timeout",
        Seconds(zero=True, endless=True),
        math.inf,
        "seconds without anything to do after which this worker ends; without it, it waits: the"
        " workers that hold the last trials may die",
        env=("ORION_IDLE_TIMEOUT", "ORION_MAX_IDLE_TIME"),
        flags=("--idle-timeout",),
    ),
    Option(
        "worker",
        "at_end",
        Choice(("exit", "wait")),
        "exit",
        "what this worker does when the experiment has ended: exit, or wait until its limits are"
        " raised, as a worker does that something would start again",
        env=("ORION_AT_END",),
        flags=("--at-end",),
    ),
    Option(
        "worker",
        "interrupt_signal_code",
        Integer(1, 255),
        130,
        "exit code by which a program says that it was interrupted",
        env=("ORION_INTERRUPT_CODE",),
        flags=("--interrupt-signal-code",),
    ),
    Option(
        "worker",
        "user_script_config",
        Text(),
        "config",
        "name of the program's argument that names its configuration file",
        env=("ORION_USER_SCRIPT_CONFIG",),
        flags=("--user-script-config",),
    ),
    Option(
        "worker",
        "grace",
        Seconds(zero=True),
        10.0,
        "seconds that a program has between SIGTERM and SIGKILL to save its checkpoint",
        env=("ORION_GRACE",),
        flags=("--grace",),
    ),
    Option(
        "worker",
        "stop_grace",
        Seconds(zero=True),
        30.0,
        "seconds that a trial has to end by itself when it is stopped early; then as above",
        env=("ORION_STOP_GRACE",),
        flags=("--stop-grace",),
    ),
    Option(
        "worker",
        "metrics_port",
        Integer(0, 65535, optional=True),
        None,
        "port where this worker serves /livez, /readyz and /metrics; none without it",
        env=("ORION_METRICS_PORT",),
        flags=("--metrics-port",),
    ),
    Option(
        "worker",
        "max_lost",
        Integer(1),
        3,
        "times that a trial may be lost with its worker before it counts as broken",
        env=("ORION_MAX_LOST",),
        flags=("--max-lost",),
    ),
)

OPTIONS: Mapping[str, Option] = MappingProxyType({option.key: option for option in _TABLE})
"""Every option by its key, in the order in which people read them."""

SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(option.section for option in _TABLE))

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "database": "storage.database",
        "experiment.algorithms": "experiment.algorithm",
        "experiment.worker_trials": "worker.max_trials",
        "worker.max_idle_time": "worker.idle_timeout",
    }
)
"""Oríon's older spellings, accepted silently."""

ORION_ONLY = frozenset(
    {"debug", "evc", "experiment.pool_size", "experiment.strategy", "frontends_uri", "producer"}
)
"""Keys of Oríon's files that mean nothing here: refused with that reason, since to ignore
them would change what the file says."""
