"""One Kubernetes Job a trial.

Each attempt of a trial's program is a Job of one pod, made from a template: image, resources,
volumes and sidecars are the person's, and what the protocol depends on is ours (`template`,
`manifest`). A program gets its command, its environment and its filled configuration file, and
leaves its result in the termination message of its container; so any image will do.

The life of an attempt (`attempt`)
----------------------------------
*Older attempts first.* The Job of an earlier attempt, whoever made it, is deleted and gone with
its pods before the next one is made (`takeover`). So attempts of a trial never meet, also where a
worker was killed. Only a node that doesn't answer is not waited for without end: then the result
of the older attempt is refused by its token.

*One watch.* Two streams (Jobs, pods) tell of all Jobs of an executor (`watch`); nothing is asked
again and again. A trial costs a `create` and a read of its log.

*How it ends.* What a pod's status means is decided by pure functions: why it does not run yet
(`starting`), and how it ended (`ending`). A program that ended by itself is judged as on this
machine. Eviction, preemption, a lost node, a pod that somebody deleted: the trial runs again.

*What is wrong for every trial* (an image that doesn't exist, rights that are missing, a request
that no node can meet) breaks none of them: the worker ends with one sentence, and its trials are
given back. What may pass (a full cluster, a used-up quota, Kueue, an API server that is away) is
waited for, and said.
"""

from orion_k8s.executor.kubernetes.executor import KubernetesJobs

__all__ = ["KubernetesJobs"]
