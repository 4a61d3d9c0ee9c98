{{/* The arguments of executors that make objects of their own: (list root component settings image). */}}

{{- define "orion-k8s.ephemeral" -}}
{{- $root := index . 0 -}}
namespace: {{ $root.Release.Namespace }}
idle_timeout: {{ int64 $root.Values.executor.dask.idleTimeout }}
n_workers: {{ int64 $root.Values.executor.dask.workers.replicas }}
{{- end -}}

{{- define "orion-k8s.jobs" -}}
{{- $root := index . 0 -}}
namespace: {{ $root.Release.Namespace }}
{{- end -}}
