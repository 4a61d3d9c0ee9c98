"""Search around the best: every second trial is a small step from the best point so far."""

import numpy as np

from orion_k8s.algorithm import Algorithm, Finished, Suggestion
from orion_k8s.trial import dump_values


class AroundTheBest(Algorithm):
    """Steps of normal length `width`, in a space whose every side has length 1."""

    name = "aroundbest"

    def __init__(self, space, seed, width=0.1):
        super().__init__(space, seed)
        self.width = width

    def suggest(self, number, attempt, history):
        known = history.known_values()
        if len(known) >= self.space.cardinality:
            return Finished()
        # No other source of chance: whichever worker draws trial `number`, it is the same.
        rng = np.random.default_rng([self.seed, number, attempt])
        best = history.best()
        for draw in range(1000):
            point = rng.random(self.space.width)
            if best is not None and number % 2 and draw < 10:
                step = self.width * rng.standard_normal(self.space.width)
                point = np.clip(history.points[best[0]] + step, 0, 1)
            [values] = self.space.decode(point)
            if dump_values(values) not in known:
                break
        return Suggestion(values)

    @property
    def configuration(self):
        return {"width": self.width}
