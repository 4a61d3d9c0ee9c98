{{/* Dask: who computes the trials that the workers hold. */}}

{{- define "orion-k8s.daskAddress" -}}
{{- $dask := .Values.executor.dask -}}
{{- if eq $dask.mode "external" -}}
{{- tpl $dask.address . -}}
{{- else -}}
{{- ternary "tcp" "tls" (empty $dask.tls.secret) }}://{{ include "orion-k8s.dask" . }}-scheduler:8786
{{- end -}}
{{- end -}}

{{- define "orion-k8s.daskTlsEnv" -}}
{{- $folder := "/etc/orion-k8s/dask-tls" }}
- name: DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION
  value: "True"
- name: DASK_DISTRIBUTED__COMM__TLS__CA_FILE
  value: {{ $folder }}/ca.crt
{{- range list "CLIENT" "SCHEDULER" "WORKER" }}
- name: DASK_DISTRIBUTED__COMM__TLS__{{ . }}__CERT
  value: {{ $folder }}/tls.crt
- name: DASK_DISTRIBUTED__COMM__TLS__{{ . }}__KEY
  value: {{ $folder }}/tls.key
{{- end }}
{{- end -}}

{{- define "orion-k8s.daskTlsMounts" -}}
{{- if and (eq .Values.executor.type "dask") .Values.executor.dask.tls.secret }}
- name: dask-tls
  mountPath: /etc/orion-k8s/dask-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "orion-k8s.daskTlsVolumes" -}}
{{- if and (eq .Values.executor.type "dask") .Values.executor.dask.tls.secret }}
- name: dask-tls
  secret:
    secretName: {{ .Values.executor.dask.tls.secret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* The pod's spec of Dask's scheduler: root. The same image on all sides, or calls can't be unpickled. */}}
{{- define "orion-k8s.daskScheduler" -}}
{{- include "orion-k8s.pullSecrets" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.worker.podSecurityContext | nindent 2 }}
{{- include "orion-k8s.placement" (list . .Values.worker) }}
{{- with .Values.worker.tolerations }}
tolerations:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
containers:
  - name: scheduler
    image: {{ include "orion-k8s.image" (list . .Values.image) }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [dask, scheduler]
    args:
      - --port=8786
      - --dashboard-address=:8787
      {{- if .Values.executor.dask.tls.secret }}
      - --protocol=tls
      {{- end }}
    env:
      - name: DASK_TEMPORARY_DIRECTORY
        value: /tmp
      {{- if .Values.executor.dask.tls.secret }}
      {{- include "orion-k8s.daskTlsEnv" . | nindent 6 }}
      {{- end }}
    ports:
      - name: tcp-comm
        containerPort: 8786
      - name: http-dashboard
        containerPort: 8787
    startupProbe:
      tcpSocket:
        port: tcp-comm
      periodSeconds: 1
      failureThreshold: 120
    readinessProbe:
      httpGet:
        port: http-dashboard
        path: /health
      periodSeconds: 5
    livenessProbe:
      httpGet:
        port: http-dashboard
        path: /health
      periodSeconds: 20
      timeoutSeconds: 10
      failureThreshold: 6
    resources:
      {{- toYaml .Values.executor.dask.scheduler.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.worker.securityContext | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- include "orion-k8s.daskTlsMounts" . | nindent 6 }}
volumes:
  - name: tmp
    emptyDir: {}
  {{- include "orion-k8s.daskTlsVolumes" . | nindent 2 }}
{{- end -}}

{{/* The pod's spec of a Dask worker: (list root address arguments). It runs programs: the same files and folders. */}}
{{- define "orion-k8s.daskWorker" -}}
{{- $root := index . 0 -}}
{{- $w := $root.Values.worker -}}
{{- include "orion-k8s.pullSecrets" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int64 $w.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml $w.podSecurityContext | nindent 2 }}
{{- include "orion-k8s.placement" (list $root $w) }}
tolerations:
  {{- range list "unreachable" "not-ready" }}
  - key: node.kubernetes.io/{{ . }}
    operator: Exists
    effect: NoExecute
    tolerationSeconds: {{ int64 $w.unreachableSeconds }}
  {{- end }}
  {{- with $w.tolerations }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- include "orion-k8s.initContainers" (list $root $w) }}
containers:
  - name: worker
    {{- include "orion-k8s.runImage" (list $root $w) | nindent 4 }}
    command: [{{ include "orion-k8s.script" (list $root $w "dask") }}, worker]
    args:
      {{- range index . 2 }}
      - {{ quote . }}
      {{- end }}
      - --nworkers=1
      - --nthreads={{ int64 $root.Values.executor.dask.workers.threads }}
      - --local-directory=/tmp
      - --no-dashboard
    env:
      {{- with index . 1 }}
      - name: DASK_SCHEDULER_ADDRESS
        value: {{ . }}
      {{- end }}
      - name: DASK_TEMPORARY_DIRECTORY
        value: /tmp
      {{- if $root.Values.executor.dask.tls.secret }}
      {{- include "orion-k8s.daskTlsEnv" $root | nindent 6 }}
      {{- end }}
      {{- with $w.extraEnv }}
      {{- tpl (toYaml .) $root | nindent 6 }}
      {{- end }}
    {{- with $w.extraEnvFrom }}
    envFrom:
      {{- tpl (toYaml .) $root | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml $root.Values.executor.dask.workers.resources | nindent 6 }}
    securityContext:
      {{- toYaml $w.securityContext | nindent 6 }}
    volumeMounts:
      {{- include "orion-k8s.programMounts" $root | nindent 6 }}
      {{- include "orion-k8s.daskTlsMounts" $root | nindent 6 }}
      {{- include "orion-k8s.broughtMounts" (list $root $w) | nindent 6 }}
      {{- with $w.extraVolumeMounts }}
      {{- tpl (toYaml .) $root | nindent 6 }}
      {{- end }}
volumes:
  {{- include "orion-k8s.programVolumes" $root | nindent 2 }}
  {{- include "orion-k8s.daskTlsVolumes" $root | nindent 2 }}
  {{- include "orion-k8s.broughtVolumes" (list $root $w) | nindent 2 }}
  {{- with $w.extraVolumes }}
  {{- tpl (toYaml .) $root | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The spec of a DaskCluster: (list root name). Without a name its maker and the operator know it. */}}
{{- define "orion-k8s.daskCluster" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $scheme := ternary "tcp" "tls" (empty $root.Values.executor.dask.tls.secret) -}}
{{- $address := $name | empty | ternary "" (printf "%s://%s-scheduler:8786" $scheme $name) -}}
scheduler:
  spec:
    {{- include "orion-k8s.daskScheduler" $root | nindent 4 }}
  service:
    type: ClusterIP
    selector:
      {{- with $name }}
      dask.org/cluster-name: {{ . }}
      {{- end }}
      dask.org/component: scheduler
    ports:
      - name: tcp-comm
        protocol: TCP
        port: 8786
        targetPort: tcp-comm
      - name: http-dashboard
        protocol: TCP
        port: 8787
        targetPort: http-dashboard
worker:
  replicas: {{ int64 $root.Values.executor.dask.workers.replicas }}
  spec:
    {{- include "orion-k8s.daskWorker" (list $root $address (list "--name=$(DASK_WORKER_NAME)")) | nindent 4 }}
{{- end -}}
