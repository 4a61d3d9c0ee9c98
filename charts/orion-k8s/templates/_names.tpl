{{/* Names, labels and images. */}}

{{- define "orion-k8s.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "orion-k8s.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The name of a component's object: (list root component limit). A name that is too long is refused rather
than cut: two that are cut could be the same.
*/}}
{{- define "orion-k8s.object" -}}
{{- $root := index . 0 -}}
{{- $limit := index . 2 -}}
{{- $name := printf "%s-%s" (include "orion-k8s.fullname" $root) (index . 1) -}}
{{- if gt (len $name) $limit -}}
{{- fail (printf "The name %s has %d characters, and Kubernetes takes %d at most: set fullnameOverride to a shorter name." $name (len $name) $limit) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "orion-k8s.mongodb" -}}
{{- include "orion-k8s.object" (list . "mongodb" 52) -}}
{{- end -}}

{{- define "orion-k8s.dask" -}}
{{- include "orion-k8s.object" (list . "dask" 40) -}}
{{- end -}}

{{/* What selects a component's pods: (list root component). Selectors can't change: no more than this. */}}
{{- define "orion-k8s.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "orion-k8s.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of a component's object: (list root component). */}}
{{- define "orion-k8s.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "orion-k8s.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: orion-k8s
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end -}}

{{/* The metadata of a component's object: (list root name component annotations labels). */}}
{{- define "orion-k8s.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "orion-k8s.labels" (list $root (index . 2)) | nindent 2 }}
  {{- with index . 4 }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict) (index . 3) $root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The labels of a component's pods: (list root component more). Not the chart's version: a new one alone is no
reason to start MongoDB anew.
*/}}
{{- define "orion-k8s.podLabels" -}}
{{- $root := index . 0 -}}
{{- include "orion-k8s.selector" . }}
app.kubernetes.io/part-of: orion-k8s
{{- range list $root.Values.commonLabels (index . 2) }}
{{- with . }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end }}
{{- end -}}

{{/* An image by tag or digest: (list root image). */}}
{{- define "orion-k8s.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.global.imageRegistry | default $image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default $root.Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "orion-k8s.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {{ kindIs "map" . | ternary . (dict "name" .) | toJson }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "orion-k8s.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "orion-k8s.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* "yes" if workers talk to Kubernetes: nothing else gets a token. */}}
{{- define "orion-k8s.needsApi" -}}
{{- $ephemeral := and (eq .Values.executor.type "dask") (eq .Values.executor.dask.mode "ephemeral") -}}
{{- if or $ephemeral (eq .Values.executor.type "kubernetes") -}}yes{{- end -}}
{{- end -}}

{{/* Where a component's pods go: (list root settings). Tolerations are each component's own. */}}
{{- define "orion-k8s.placement" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 1 -}}
{{- range $field := list "nodeSelector" "affinity" "topologySpreadConstraints" "priorityClassName" "runtimeClassName" }}
{{- with get $settings $field }}
{{ $field }}: {{ kindIs "string" . | ternary (tpl (toString .) $root) (tpl (toYaml .) $root | nindent 2) }}
{{- end }}
{{- end }}
{{- end -}}
