"""Stop a trial that is worse than all others were at the same step."""

from orion_k8s.stopping import Rule


class Hopeless(Rule):
    """The mildest of rules: it asks for `others` that came as far."""

    name = "hopeless"

    def __init__(self, others=5):
        self.others = others

    def stop(self, own, others, judged=float("-inf")):
        step, value = own.last_step, own.values[-1]
        theirs = [other.value_at(step) for other in others if other.last_step >= step]
        theirs = [known for known in theirs if known is not None]
        if len(theirs) >= self.others and value > max(theirs):
            return f"the worst of {len(theirs) + 1} at step {step:g}"
        return None

    @property
    def configuration(self):
        return {"others": self.others}
