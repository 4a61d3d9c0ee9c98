"""Plug-ins of orion-k8s, one of each kind, to be copied."""
