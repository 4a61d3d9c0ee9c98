{{/* How pods reach the shared history. */}}

{{- define "orion-k8s.databaseSecret" -}}
{{- if .Values.mongodb.enabled -}}
{{- .Values.mongodb.auth.existingSecret | default (include "orion-k8s.mongodb" .) -}}
{{- else -}}
{{- .Values.externalMongodb.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the certificate authority of MongoDB's certificate; empty without TLS. */}}
{{- define "orion-k8s.caSecret" -}}
{{- if not .Values.mongodb.enabled -}}
{{- .Values.externalMongodb.tls.caSecret -}}
{{- else if .Values.mongodb.tls.enabled -}}
{{- .Values.mongodb.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* The service that gives each member a name of its own. */}}
{{- define "orion-k8s.memberService" -}}
{{- include "orion-k8s.object" (list . "mongodb-members" 63) -}}
{{- end -}}

{{/* HOST:PORT of every member, with commas. Names without a namespace are found by the first query. */}}
{{- define "orion-k8s.members" -}}
{{- $hosts := list -}}
{{- range $i := until (int .Values.mongodb.replicaSet.members) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s:27017" (include "orion-k8s.mongodb" $) $i (include "orion-k8s.memberService" $)) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{/*
The URI, without a password. It names the Service, whose address is there before a member is, and stays when
its pod is replaced, while DNS remembers the lack of a name. Members are behind it once they are set up.
*/}}
{{- define "orion-k8s.uri" -}}
{{- if .Values.mongodb.enabled -}}
mongodb://{{ include "orion-k8s.mongodb" . }}:27017/{{ .Values.mongodb.database }}?
{{- eq (int .Values.mongodb.replicaSet.members) 1 | ternary "directConnection=true" (printf "replicaSet=%s" .Values.mongodb.replicaSet.name) -}}
{{- if .Values.mongodb.tls.enabled }}&tls=true&tlsCAFile=/etc/orion-k8s/ca/ca.crt{{ end }}
{{- else -}}
{{- $uri := .Values.externalMongodb.uri -}}
{{- $uri -}}
{{- if .Values.externalMongodb.tls.caSecret -}}
{{- if not (contains "?" $uri) -}}
{{- if not (regexMatch "^[^/]+//[^/]+/" $uri) }}/{{ end }}?
{{- else }}&
{{- end -}}
tls=true&tlsCAFile=/etc/orion-k8s/ca/ca.crt
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "orion-k8s.databaseEnv" -}}
- name: ORION_DB_ADDRESS
{{- if and (not .Values.mongodb.enabled) .Values.externalMongodb.uriKey }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.externalMongodb.existingSecret }}
      key: {{ .Values.externalMongodb.uriKey }}
{{- else }}
  value: {{ include "orion-k8s.uri" . | quote }}
{{- end }}
{{- with .Values.mongodb.enabled | ternary .Values.mongodb.auth.username .Values.externalMongodb.username }}
- name: ORION_DB_USERNAME
  value: {{ . | quote }}
{{- end }}
{{- if include "orion-k8s.passwordKey" . }}
- name: ORION_DB_PASSWORD_FILE
  value: /etc/orion-k8s/database/password
{{- end }}
{{- end -}}

{{/* The key of the workers' password; empty if there is none, or if it stands in the URI. */}}
{{- define "orion-k8s.passwordKey" -}}
{{- if .Values.mongodb.enabled -}}
mongodb-password
{{- else if and .Values.externalMongodb.existingSecret (not .Values.externalMongodb.uriKey) -}}
{{- .Values.externalMongodb.passwordKey -}}
{{- end -}}
{{- end -}}

{{- define "orion-k8s.databaseMounts" -}}
{{- if include "orion-k8s.passwordKey" . }}
- name: database
  mountPath: /etc/orion-k8s/database
  readOnly: true
{{- end }}
{{- if include "orion-k8s.caSecret" . }}
- name: database-ca
  mountPath: /etc/orion-k8s/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "orion-k8s.databaseVolumes" -}}
{{- with include "orion-k8s.passwordKey" . }}
- name: database
  secret:
    secretName: {{ include "orion-k8s.databaseSecret" $ }}
    defaultMode: 0440
    items:
      - key: {{ . }}
        path: password
{{- end }}
{{- with include "orion-k8s.caSecret" . }}
- name: database-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0444
    items:
      - key: {{ $.Values.mongodb.enabled | ternary "ca.crt" $.Values.externalMongodb.tls.caKey }}
        path: ca.crt
{{- end }}
{{- end -}}
