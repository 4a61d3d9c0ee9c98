{{/* The arguments of executors that make objects of their own: (list root component settings). */}}

{{- define "orion-k8s.ephemeral" -}}
{{- $root := index . 0 -}}
{{- $dask := $root.Values.executor.dask -}}
n_workers: {{ int64 $dask.workers.replicas }}
idle_timeout: {{ int64 $dask.idleTimeout }}
{{- if $dask.autoscaler.enabled }}
adapt:
  minimum: {{ int64 $dask.autoscaler.minimum }}
  maximum: {{ int64 $dask.autoscaler.maximum }}
{{- end }}
custom_cluster_spec:
  apiVersion: kubernetes.dask.org/v1
  kind: DaskCluster
  metadata:
    labels:
      {{- include "orion-k8s.selector" (list $root "dask") | nindent 6 }}
  spec:
    {{- include "orion-k8s.daskCluster" (list $root "") | nindent 4 }}
{{- end -}}

{{- define "orion-k8s.jobs" -}}
{{- $root := index . 0 -}}
{{- $k := $root.Values.executor.kubernetes -}}
{{- $pod := include "orion-k8s.trialPod" . | fromYaml -}}
{{- $said := tpl (toYaml $k.template) $root | fromYaml -}}
{{- $trial := first $pod.spec.containers -}}
{{- $containers := list -}}
{{- range ($said.spec | default dict).containers -}}
{{- if eq .name "trial" -}}
{{- range $key, $value := . -}}
{{- if and (kindIs "slice" $value) (kindIs "slice" (get $trial $key)) -}}
{{- $_ := set $trial $key (concat (get $trial $key) $value) -}}
{{- else -}}
{{- $_ := set $trial $key $value -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $containers = append $containers . -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $said.spec -}}
{{- if eq $key "volumes" -}}
{{- $_ := set $pod.spec $key (concat $pod.spec.volumes $value) -}}
{{- else if ne $key "containers" -}}
{{- $_ := set $pod.spec $key $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set $pod.spec "containers" (prepend $containers $trial) -}}
{{- $_ := set $pod "metadata" (mustMergeOverwrite $pod.metadata ($said.metadata | default dict)) -}}
{{- $arguments := dict "template" (dict "apiVersion" "batch/v1" "kind" "Job" "spec" (dict "template" $pod)) -}}
{{- with $k.queueName -}}{{- $_ := set $arguments "queue" . -}}{{- end -}}
{{- if not (kindIs "invalid" $k.deadline) -}}{{- $_ := set $arguments "deadline" $k.deadline -}}{{- end -}}
{{- toYaml $arguments -}}
{{- end -}}

{{/* The pod of a trial's Job, before executor.kubernetes.template: (list root component settings). */}}
{{- define "orion-k8s.trialPod" -}}
{{- $root := index . 0 -}}
{{- $w := index . 2 -}}
metadata:
  labels:
    {{- include "orion-k8s.podLabels" (list $root "trial" $w.podLabels) | nindent 4 }}
spec:
  {{- include "orion-k8s.pullSecrets" $root | nindent 2 }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- toYaml $w.podSecurityContext | nindent 4 }}
  {{- include "orion-k8s.placement" (list $root $w) | nindent 2 }}
  {{- with $w.tolerations }}
  tolerations:
    {{- tpl (toYaml .) $root | nindent 4 }}
  {{- end }}
  containers:
    - name: trial
      {{- include "orion-k8s.jobImage" (list $root $w) | nindent 6 }}
      {{- with $w.extraEnv }}
      env:
        {{- tpl (toYaml .) $root | nindent 8 }}
      {{- end }}
      {{- with $w.extraEnvFrom }}
      envFrom:
        {{- tpl (toYaml .) $root | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $root.Values.executor.kubernetes.resources | nindent 8 }}
      securityContext:
        {{- toYaml $w.securityContext | nindent 8 }}
      volumeMounts:
        {{- include "orion-k8s.programMounts" $root | nindent 8 }}
        {{- with $w.extraVolumeMounts }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "orion-k8s.programVolumes" $root | nindent 4 }}
    {{- with $w.extraVolumes }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
{{- end -}}
