{{/* Images of programs. One that has no orion-k8s gets it, with a Python of its own, from an init container. */}}

{{/* Image and pull policy: (list root image). */}}
{{- define "orion-k8s.pulled" -}}
image: {{ include "orion-k8s.image" . }}
imagePullPolicy: {{ (index . 1).pullPolicy | default (index . 0).Values.image.pullPolicy }}
{{- end -}}

{{/* The image of orion-k8s: (list root settings). */}}
{{- define "orion-k8s.ownImage" -}}
{{- $root := index . 0 -}}
{{- include "orion-k8s.pulled" (list $root (merge (dict) (index . 1).image $root.Values.image)) -}}
{{- end -}}

{{/* The image that a trial's Job runs: (list root settings). */}}
{{- define "orion-k8s.jobImage" -}}
{{- $w := index . 1 -}}
{{- if $w.programImage -}}
{{- include "orion-k8s.pulled" (list (index . 0) $w.programImage) -}}
{{- else -}}
{{- include "orion-k8s.ownImage" . -}}
{{- end -}}
{{- end -}}

{{/* "yes" if orion-k8s is brought into another image: (list root settings). A Job's program does without it. */}}
{{- define "orion-k8s.brings" -}}
{{- if and (index . 1).programImage (ne (index . 0).Values.executor.type "kubernetes") -}}yes{{- end -}}
{{- end -}}

{{/* The image of workers and Dask workers, where programs run: (list root settings). */}}
{{- define "orion-k8s.runImage" -}}
{{- ternary (include "orion-k8s.jobImage" .) (include "orion-k8s.ownImage" .) (eq (include "orion-k8s.brings" .) "yes") -}}
{{- end -}}

{{/* How a script of orion-k8s' environment is called there: (list root settings name). */}}
{{- define "orion-k8s.script" -}}
{{- if include "orion-k8s.brings" . -}}
/opt/orion-k8s/{{ eq (index . 2) "orion-k8s" | ternary "code/" "" }}bin/
{{- end -}}
{{- index . 2 -}}
{{- end -}}

{{- define "orion-k8s.initContainers" -}}
{{- $root := index . 0 -}}
{{- $w := index . 1 -}}
{{- $brings := include "orion-k8s.brings" . -}}
{{- if or $brings $w.initContainers }}
initContainers:
  {{- if $brings }}
  - name: orion-k8s
    {{- include "orion-k8s.ownImage" . | nindent 4 }}
    command: [orion-k8s]
    args: [k8s, init-environment, /environment]
    terminationMessagePolicy: FallbackToLogsOnError
    resources:
      requests:
        cpu: 10m
        memory: 64Mi
    securityContext:
      {{- toYaml $w.securityContext | nindent 6 }}
    volumeMounts:
      - name: environment
        mountPath: /environment
      - name: tmp
        mountPath: /tmp
  {{- end }}
  {{- with $w.initContainers }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "orion-k8s.broughtMounts" -}}
{{- if include "orion-k8s.brings" . }}
- name: environment
  mountPath: /opt/orion-k8s
  readOnly: true
{{- end }}
{{- end -}}

{{- define "orion-k8s.broughtVolumes" -}}
{{- if include "orion-k8s.brings" . }}
- name: environment
  emptyDir: {}
{{- end }}
{{- end -}}
