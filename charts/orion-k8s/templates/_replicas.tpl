{{/*
How many workers to render: (list root kind name value). Empty leaves it to others.

`kubectl scale` is the way to scale, and an upgrade must not undo it. An annotation holds what the values
said when they were last applied. While they say the same, the live count stays; another value wins.
Under Helm 4 (server-side apply) the live count is no conflict: both managers want the same.
*/}}
{{- define "orion-k8s.replicas" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $value := index . 3 -}}
{{- if not (or (kindIs "invalid" $value) $root.Values.autoscaling.enabled) -}}
{{- $group := eq $kind "Job" | ternary "batch/v1" "apps/v1" -}}
{{- $field := eq $kind "Job" | ternary "parallelism" "replicas" -}}
{{- $live := lookup $group $kind $root.Release.Namespace (index . 2) -}}
{{- $count := int64 $value -}}
{{- if $live -}}
{{- $applied := get ($live.metadata.annotations | default dict) "orion-k8s/replicas" -}}
{{- if eq $applied (toString $count) -}}
{{- $count = int64 (get $live.spec $field) -}}
{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}
{{- end -}}

{{/* The annotation that remembers it: (list root value). */}}
{{- define "orion-k8s.applied" -}}
{{- $value := index . 1 -}}
{{- if not (or (kindIs "invalid" $value) (index . 0).Values.autoscaling.enabled) -}}
orion-k8s/replicas: {{ int64 $value | toString | quote }}
{{- end -}}
{{- end -}}

{{/*
Fill a dictionary with the groups of workers, by component: (list root dictionary). A group takes what it
does not say from `worker`; not by sprig's merge, which passes over 0, false and null.
*/}}
{{- define "orion-k8s.groups" -}}
{{- $root := index . 0 -}}
{{- $groups := index . 1 -}}
{{- if $root.Values.worker.enabled -}}
{{- $_ := set $groups "worker" $root.Values.worker -}}
{{- end -}}
{{- range $name, $said := $root.Values.workerGroups -}}
{{- $group := deepCopy $root.Values.worker -}}
{{- range $key, $value := $said -}}
{{- if and (has $key (list "image" "job" "pdb" "kueue")) (kindIs "map" $value) -}}
{{- range $inner, $setting := $value -}}
{{- $_ := set (get $group $key) $inner $setting -}}
{{- end -}}
{{- else -}}
{{- $_ := set $group $key $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set $groups (printf "worker-%s" $name) $group -}}
{{- end -}}
{{- end -}}
