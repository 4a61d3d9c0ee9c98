"""An Experiment of Katib as values for the chart.

Katib's format, as its API describes it (kubeflow.org/v1beta1, `Experiment`):
https://www.kubeflow.org/docs/components/katib/user-guides/hp-tuning/configure-experiment/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.k8s.katib_space import number_of, priors_of
from orion_k8s.k8s.values import ChartValues

Object = Mapping[str, Any]

ALGORITHMS = {
    "random": "random",
    "grid": "gridsearch",
    "sobol": "sobol",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "cmaes": "cmaes",
}
"""Katib's name → ours. The rest is named as lost."""

SETTINGS = {
    ("tpe", "random_state"): "seed",
    ("tpe", "n_startup_trials"): "n_initial_points",
    ("tpe", "n_EI_candidates"): "n_ei_candidates",
    ("tpe", "n_ei_candidates"): "n_ei_candidates",
    ("multivariate-tpe", "n_ei_candidates"): "n_ei_candidates",
    ("multivariate-tpe", "random_state"): "seed",
    ("multivariate-tpe", "n_startup_trials"): "n_initial_points",
    ("random", "random_state"): "seed",
    ("sobol", "random_state"): "seed",
    ("cmaes", "random_state"): "seed",
}
"""Katib's algorithm and its setting → a parameter of ours."""

_SLOT = re.compile(r"\$\{trialParameters\.([^}]+)\}")
_TASKS = {
    "Job": ("template", "spec"),
    "PyTorchJob": ("pytorchReplicaSpecs", "Master", "template", "spec"),
    "TFJob": ("tfReplicaSpecs", "Worker", "template", "spec"),
}
"""Kind of a trial → where its pod's spec is below its own spec."""


def chart_values(manifest: Any, origin: str) -> ChartValues:
    """Return a Katib Experiment as values; what could not be carried over is in `lost`.

    Args:
        manifest: the Experiment as plain data.
        origin: what it came from, for the first line.

    Raises:
        ConfigurationError: it is no such manifest, or one that no worker could run.
    """
    if not isinstance(manifest, Mapping) or manifest.get("kind") != "Experiment":
        raise ConfigurationError(
            f"{origin} is no Experiment of Katib: it needs `kind: Experiment` and an apiVersion "
            "of kubeflow.org."
        )
    if not str(manifest.get("apiVersion", "")).startswith("kubeflow.org/"):
        raise ConfigurationError(
            f"{origin} has the apiVersion {manifest.get('apiVersion')!r}, not one of kubeflow.org."
        )
    return _Translation(manifest, origin).made


class _Translation:
    def __init__(self, manifest: Object, origin: str) -> None:
        self.origin = origin
        self.spec = _mapping(manifest, "spec", origin)
        self.made = ChartValues(f"the Katib Experiment in {origin}")
        name = (manifest.get("metadata") or {}).get("name")
        generated = (manifest.get("metadata") or {}).get("generateName") or "katib"
        experiment: dict[str, Any] = {"name": str(name or str(generated).rstrip("-"))}
        pod, container = self._task()
        priors = priors_of(self.spec, self.origin, self.made.lost)
        experiment["command"] = self._checked(self._command(container, priors))
        experiment |= self._algorithm()
        experiment |= self._limits()
        values: dict[str, Any] = {"image": _image(str(container.get("image", "")))}
        if container.get("imagePullPolicy"):
            values["image"]["pullPolicy"] = container["imagePullPolicy"]
        if pod.get("imagePullSecrets"):
            values["global"] = {"imagePullSecrets": pod["imagePullSecrets"]}
        values["experiment"] = experiment
        values["worker"] = self._worker(pod, container)
        self.made.values = values
        experiment |= self._objective()
        self._rest()
        self.made.hints += [
            "The image must hold orion-k8s beside the program.",
            "The program reports by orion_k8s.report_objective, or writes its results to "
            "$ORION_RESULTS_PATH; Katib's metrics collectors do not exist here.",
        ]

    def lose(self, sentence: str) -> None:
        self.made.lost.append(sentence)

    # --- the command -----------------------------------------------------------------------------

    def _task(self) -> tuple[Object, Object]:
        """Return the trial's pod and its container."""
        template = _mapping(self.spec, "trialTemplate", self.origin)
        trial = template.get("trialSpec")
        if not isinstance(trial, Mapping):
            raise ConfigurationError(
                f"{self.origin} has no spec.trialTemplate.trialSpec: write the trial's Job there, "
                "in place of a reference to a ConfigMap."
            )
        kind = str(trial.get("kind"))
        if kind not in _TASKS:
            raise ConfigurationError(
                f"The trials of {self.origin} are of the kind {kind}: only {', '.join(_TASKS)} "
                "can be carried over."
            )
        if kind != "Job":
            self.lose(f"The kind {kind}: the program runs as one process, without replicas.")
        pod: Any = trial.get("spec")
        for key in _TASKS[kind]:
            pod = (pod or {}).get(key)
        containers = (pod or {}).get("containers") or []
        wanted = template.get("primaryContainerName")
        chosen = [c for c in containers if c.get("name") == wanted] or containers[:1]
        if not chosen:
            raise ConfigurationError(f"The trials of {self.origin} have no container.")
        for other in containers:
            if other is not chosen[0]:
                self.lose(f"The container {other.get('name')}: see worker.sidecars.")
        return pod, chosen[0]

    def _command(self, container: Object, priors: Mapping[str, str]) -> list[str]:
        references = {
            str(p.get("name")): str(p.get("reference"))
            for p in (self.spec.get("trialTemplate") or {}).get("trialParameters") or []
        }
        words = [
            str(w) for w in [*(container.get("command") or []), *(container.get("args") or [])]
        ]
        if not words:
            raise ConfigurationError(
                f"The container of {self.origin} has no command: write the one of its image there."
            )
        if not container.get("command"):
            self.lose("The image's own entry point: write it before the command's first word.")
        used: set[str] = set()
        made = list(self._words(words, references, priors, used))
        for name in priors.keys() - used:
            raise ConfigurationError(
                f"The parameter {name} of {self.origin} is not in the trial's command, so it "
                "would change nothing: write ${trialParameters.NAME} there."
            )
        return made

    def _words(
        self,
        words: list[str],
        references: Mapping[str, str],
        priors: Mapping[str, str],
        used: set[str],
    ) -> Iterator[str]:
        """Yield the words of a command with priors in the places of trial parameters."""
        for index, word in enumerate(words):
            slots = _SLOT.findall(word)
            meta = [slot for slot in slots if references.get(slot, "").startswith("${trialSpec.")]
            for slot in slots:
                if slot not in references or (slot not in meta and references[slot] not in priors):
                    raise ConfigurationError(
                        f"The command of {self.origin} uses {slot}, which refers to no parameter "
                        "of the experiment."
                    )
            if meta:
                self.lose(f"The word {word!r} refers to Kubernetes' names of a trial.")
                for slot in meta:
                    word = word.replace("${trialParameters." + slot + "}", "{trial.id}")
                slots = [slot for slot in slots if slot not in meta]
            if not slots:
                yield word
                continue
            [name, *more] = [references[slot] for slot in slots]
            flag, _, rest = word.partition("=")
            whole = "${trialParameters." + slots[0] + "}"
            if more or (word != whole and rest != whole):
                raise ConfigurationError(
                    f"The word {word!r} of the command of {self.origin} holds more than one "
                    "parameter, or one inside a longer text (such as a shell's line): give each "
                    "as an argument of its own, as in --lr=${trialParameters.lr}."
                )
            if name in used:
                raise ConfigurationError(
                    f"The command of {self.origin} uses the parameter {name} twice: once only."
                )
            used.add(name)
            option = flag if rest == whole else (words[index - 1] if index else "")
            if rest == whole:
                # By another name than the option's the history would be hard to read.
                self._renamed(name, flag.lstrip("-"))
                yield f"{flag}=orion~{priors[name]}"
            elif option.startswith("-") and "=" not in option:
                self._renamed(name, option.lstrip("-"))
                yield f"orion~{priors[name]}"
            else:
                yield f"{name}~{priors[name]}"

    def _checked(self, words: list[str]) -> list[str]:
        """Return the command, which a worker would take."""
        from orion_k8s.script import Command
        from orion_k8s.space import Space

        # Files that it names are in the image: none is looked for here.
        none = {"config_path": None, "config_text": None, "user_script_config": "\0"}
        Space.parse(Command.from_metadata({"argv": words, **none}).priors)
        return words

    def _renamed(self, katib: str, here: str) -> None:
        if katib != here:
            self.lose(f"The name {katib}: the parameter is called {here}, as its option.")

    # --- the experiment --------------------------------------------------------------------------

    def _algorithm(self) -> dict[str, Any]:
        algorithm = self.spec.get("algorithm") or {}
        name = str(algorithm.get("algorithmName") or "random")
        if name not in ALGORITHMS:
            self.lose(f"The algorithm {name}: random search takes its place.")
            return {"algorithm": "random"}
        ours = ALGORITHMS[name]
        given: dict[str, Any] = {}
        for setting in algorithm.get("algorithmSettings") or []:
            key = SETTINGS.get((name, str(setting.get("name"))))
            if key is None:
                self.lose(f"The setting {setting.get('name')} of the algorithm {name}.")
                continue
            given[key] = int(number_of(str(setting.get("value")), setting.get("name")))
        seed = given.pop("seed", None)
        found: dict[str, Any] = {"algorithm": {ours: given} if given else ours}
        return found if seed is None else {**found, "seed": seed}

    def _limits(self) -> dict[str, Any]:
        found = {}
        for theirs, ours in (("maxTrialCount", "maxTrials"), ("maxFailedTrialCount", "maxBroken")):
            value = self.spec.get(theirs)
            if value is not None:
                # Katib fails at one more than the limit, here the limit itself ends it.
                found[ours] = int(value) + (1 if ours == "maxBroken" else 0)
        return found

    def _worker(self, pod: Object, container: Object) -> dict[str, Any]:
        worker: dict[str, Any] = {"replicas": int(self.spec.get("parallelTrialCount") or 3)}
        for theirs, ours in (
            ("resources", "resources"),
            ("env", "extraEnv"),
            ("envFrom", "extraEnvFrom"),
            ("volumeMounts", "extraVolumeMounts"),
        ):
            if container.get(theirs):
                worker[ours] = container[theirs]
        if "resources" in worker:
            # Said here, or the chart's usual requests count, which may be above these limits.
            said = worker["resources"]
            requests = {**(said.get("limits") or {}), **(said.get("requests") or {})}
            worker["resources"] = {**said, "requests": requests}
        for theirs, ours in (
            ("volumes", "extraVolumes"),
            ("nodeSelector", "nodeSelector"),
            ("tolerations", "tolerations"),
            ("affinity", "affinity"),
            ("priorityClassName", "priorityClassName"),
            ("runtimeClassName", "runtimeClassName"),
            ("topologySpreadConstraints", "topologySpreadConstraints"),
            ("initContainers", "initContainers"),
        ):
            if pod.get(theirs):
                worker[ours] = pod[theirs]
        if "${trialParameters." in repr(worker):
            raise ConfigurationError(
                f"The trial's environment in {self.origin} uses a parameter: give it as an "
                "argument of the command, as in --lr=${trialParameters.lr}."
            )
        known = {"name", "image", "imagePullPolicy", "command", "args", "resources"}
        known |= {"env", "envFrom", "volumeMounts"}
        for key in sorted(container.keys() - known):
            self.lose(f"The container's {key}.")
        kept = {"containers", "restartPolicy", "imagePullSecrets", "volumes", *worker}
        for key in sorted(pod.keys() - kept):
            self.lose(f"The pod's {key}.")
        return worker

    def _objective(self) -> dict[str, Any]:
        objective = self.spec.get("objective") or {}
        found: dict[str, Any] = {}
        if objective.get("type") == "maximize":
            found["direction"] = "maximize"
        if objective.get("goal") is not None:
            found["goal"] = number_of(str(objective["goal"]), "the goal")
        if objective.get("additionalMetricNames"):
            self.lose("objective.additionalMetricNames: the program reports them as statistics.")
        return found

    def _rest(self) -> None:
        for key, why in (
            ("earlyStopping", "ASHA and Hyperband stop trials early by a fidelity"),
            ("metricsCollectorSpec", "the program reports its objective itself"),
            ("nasConfig", "there is no architecture search"),
            ("resumePolicy", "the history stays, and a release goes on with it"),
        ):
            if self.spec.get(key):
                self.lose(f"{key}: {why}.")
        template = self.spec.get("trialTemplate") or {}
        for key in ("successCondition", "failureCondition", "retain"):
            if template.get(key):
                self.lose(f"trialTemplate.{key}: the program's exit code tells.")


def _mapping(found: Object, key: str, origin: str) -> Object:
    value = found.get(key)
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{origin} has no {key}: is it a whole Experiment of Katib?")
    return value


def _image(reference: str) -> dict[str, str]:
    """Return an image as the chart takes it."""
    rest, _, digest = reference.partition("@")
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # a port is no tag
        path, tag = rest, ""
    found = {"repository": path, "tag": tag or ("" if digest else "latest"), "digest": digest}
    return {key: value for key, value in found.items() if value}
