"""What a worker tells whoever watches it: probes of its health, and metrics for Prometheus."""

from orion_k8s.monitoring.server import Monitor

__all__ = ["Monitor"]
