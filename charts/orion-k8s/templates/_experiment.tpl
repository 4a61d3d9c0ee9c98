{{/* What a worker is told of its experiment. */}}

{{/* The configuration file of `hunt -c`. */}}
{{- define "orion-k8s.configuration" -}}
{{- $e := .Values.experiment -}}
{{- $experiment := dict "name" $e.name "working_dir" .Values.trials.path -}}
{{- range $key, $value := dict "version" $e.version "max_trials" $e.maxTrials "max_broken" $e.maxBroken "seed" $e.seed "repetitions" $e.repetitions -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $experiment $key (int64 $value) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "direction" "goal" "objectives" "enqueue" -}}
{{- $value := get $e $key -}}
{{- if not (or (kindIs "invalid" $value) (and (or (kindIs "map" $value) (kindIs "slice" $value)) (empty $value))) -}}
{{- $_ := set $experiment $key $value -}}
{{- end -}}
{{- end -}}
{{- with $e.stopping -}}
{{- $_ := set $experiment "stopping" (kindIs "string" . | ternary (dict (toString .) (dict)) .) -}}
{{- end -}}
{{- with $e.algorithm -}}
{{- $_ := set $experiment "algorithm" (kindIs "string" . | ternary (dict (toString .) (dict)) .) -}}
{{- end -}}
{{- with $e.space -}}
{{- $_ := set $experiment "space" . -}}
{{- end -}}
{{- toYaml (dict "experiment" $experiment) -}}
{{- end -}}

{{- define "orion-k8s.filesConfigMap" -}}
{{- if .Values.experiment.filesConfigMap -}}
{{- tpl .Values.experiment.filesConfigMap . -}}
{{- else if .Values.experiment.files -}}
{{- include "orion-k8s.object" (list . "files" 63) -}}
{{- end -}}
{{- end -}}

{{/* The executor's environment: (list root component). */}}
{{- define "orion-k8s.executorEnv" -}}
{{- $root := index . 0 -}}
{{- $executor := $root.Values.executor -}}
{{- $name := "" -}}
{{- $arguments := dict -}}
{{- if eq $executor.type "dask" -}}
{{- if eq $executor.dask.mode "ephemeral" -}}
{{- $name = "dask-kubernetes" -}}
{{- $arguments = include "orion-k8s.ephemeral" . | fromYaml -}}
{{- else -}}
{{- $name = "dask" -}}
{{- $arguments = dict "address" (include "orion-k8s.daskAddress" $root) -}}
{{- end -}}
{{- else if eq $executor.type "kubernetes" -}}
{{- $name = "kubernetes" -}}
{{- $arguments = include "orion-k8s.jobs" . | fromYaml -}}
{{- end -}}
{{- if $name }}
- name: ORION_EXECUTOR
  value: {{ $name }}
{{- end }}
{{- $arguments = mustMergeOverwrite $arguments $executor.configuration -}}
{{- with $arguments }}
- name: ORION_EXECUTOR_CONFIGURATION
  {{- /* A $(NAME) in there is for another pod. */}}
  value: {{ toJson . | replace "$(" "$$(" | quote }}
{{- end }}
{{- if and (eq $executor.type "dask") $executor.dask.tls.secret }}
{{- include "orion-k8s.daskTlsEnv" $root }}
{{- end }}
{{- end -}}

{{/* Where programs run, the same in a worker and in a Dask worker: files, the trials' folders, /tmp. */}}
{{- define "orion-k8s.programMounts" -}}
- name: tmp
  mountPath: /tmp
- name: trials
  mountPath: {{ .Values.trials.path }}
{{- if include "orion-k8s.filesConfigMap" . }}
- name: files
  mountPath: {{ .Values.experiment.filesPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "orion-k8s.programVolumes" -}}
- name: tmp
  emptyDir: {}
- name: trials
  {{- if .Values.trials.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ tpl .Values.trials.existingClaim . }}
  {{- else }}
  emptyDir: {{ toJson .Values.trials.emptyDir }}
  {{- end }}
{{- with include "orion-k8s.filesConfigMap" . }}
- name: files
  configMap:
    name: {{ . }}
    defaultMode: 0555
{{- end }}
{{- end -}}
