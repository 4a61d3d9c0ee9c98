"""Slots in a Dask cluster that Dask's operator for Kubernetes makes, or has made.

The executor is that of Dask (`orion_k8s.executor.dask`) in all that concerns calls. What is added
here is the cluster: a DaskCluster object of its own (`spec`), its way from its making to a
scheduler that is ready (`place`, `scheduler`), and a tunnel to there from a laptop (`forward`).

The objects are made as `dask_kubernetes.operator.KubeCluster` makes them, and by its own builder;
`KubeCluster.from_name` finds them. The class itself is left aside: it waits without end for a
scheduler pod that can't start, its port-forward has threads that never end, and it has programs
start that distributed has no more.

Who deletes the cluster
-----------------------
*This worker*, at its end. *The garbage collector*, with the pod of a worker that runs in one: it
owns the cluster. *The operator*, when the cluster was idle for `idle_timeout`: because its worker
was killed, or a laptop went away. A worker that lives and waits says so to the scheduler
(`cluster`), or it would lose its cluster then, too.

What the operator does wrong (dask-kubernetes 2026.3), and what is done about it
------------------------------------------------------------------------------
*The status says Running before there is a scheduler pod*: the pod is looked at (`scheduler`).
*Scaling down with a scheduler that can't be reached leaves workers*: nothing is scaled down here;
the cluster is deleted whole, pods first, which needs no operator (`resources`).
*It asks the scheduler by Dask's own protocol*, for which it needs the same version of Dask: the
scheduler gets the HTTP API that the operator asks first (`spec`).
"""

from orion_k8s.errors import MissingExtra

try:
    import dask_kubernetes  # noqa: F401
    import distributed  # noqa: F401
    import kubernetes  # noqa: F401
except ImportError as error:
    raise MissingExtra(
        "The executor dask-kubernetes needs packages for Dask and Kubernetes, which cannot be "
        f"imported ({error}): pip install 'orion-k8s[dask,k8s]'."
    ) from error

from orion_k8s.executor.dask_kubernetes.executor import DaskKubernetes

__all__ = ["DaskKubernetes"]
