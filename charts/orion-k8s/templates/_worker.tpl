{{/* The pod of a worker: (list root component settings). */}}
{{- define "orion-k8s.workerPod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $w := index . 2 -}}
{{- $image := include "orion-k8s.runImage" (list $root $w) | fromYaml -}}
{{- $needsApi := include "orion-k8s.needsApi" $root -}}
metadata:
  labels:
    {{- include "orion-k8s.podLabels" (list $root $component $w.podLabels) | nindent 4 }}
  annotations:
    checksum/config: {{ printf "%s%s" (include "orion-k8s.configuration" $root) (toJson $root.Values.experiment.files) | sha256sum }}
    {{- with $w.podAnnotations }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
spec:
  {{- include "orion-k8s.pullSecrets" $root | nindent 2 }}
  serviceAccountName: {{ include "orion-k8s.serviceAccount" $root }}
  automountServiceAccountToken: {{ eq $needsApi "yes" }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int64 $w.terminationGracePeriodSeconds }}
  {{- if eq $w.kind "Job" }}
  restartPolicy: Never
  {{- end }}
  securityContext:
    {{- toYaml $w.podSecurityContext | nindent 4 }}
  {{- include "orion-k8s.placement" (list $root $w) | nindent 2 }}
  tolerations:
    {{- range list "unreachable" "not-ready" }}
    - key: node.kubernetes.io/{{ . }}
      operator: Exists
      effect: NoExecute
      tolerationSeconds: {{ int64 $w.unreachableSeconds }}
    {{- end }}
    {{- with $w.tolerations }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
  {{- include "orion-k8s.initContainers" (list $root $w) | nindent 2 }}
  containers:
    - name: worker
      {{- toYaml $image | nindent 6 }}
      command: [{{ include "orion-k8s.script" (list $root $w "orion-k8s") }}]
      {{- /* A $(NAME) is the program's own, not the kubelet's. */}}
      args:
        - hunt
        - --config=/etc/orion-k8s/experiment/experiment.yaml
        {{- range kindIs "slice" $root.Values.experiment.command | ternary $root.Values.experiment.command list }}
        - {{ toString . | replace "$(" "$$(" | quote }}
        {{- end }}
      env:
        {{- include "orion-k8s.databaseEnv" $root | nindent 8 }}
        {{- /* MongoDB may start after its workers. */}}
        - name: ORION_DB_WAIT
          value: inf
        {{- /* A Deployment starts again whatever ends. */}}
        - name: ORION_AT_END
          value: {{ eq $w.kind "Job" | ternary "exit" "wait" }}
        {{- if not (kindIs "invalid" $w.slots) }}
        - name: ORION_N_WORKERS
          value: {{ int64 $w.slots | quote }}
        {{- end }}
        - name: ORION_GRACE
          value: {{ $w.grace | quote }}
        - name: ORION_HEARTBEAT
          value: {{ $w.heartbeat | quote }}
        - name: ORION_MAX_LOST
          value: {{ int64 $w.maxLost | quote }}
        {{- if not (kindIs "invalid" $w.maxTrials) }}
        - name: ORION_WORKER_MAX_TRIALS
          value: {{ int64 $w.maxTrials | quote }}
        {{- end }}
        {{- if not (kindIs "invalid" $w.idleTimeout) }}
        - name: ORION_IDLE_TIMEOUT
          value: {{ $w.idleTimeout | quote }}
        {{- end }}
        - name: ORION_LOG_FORMAT
          value: {{ $root.Values.logs.format }}
        - name: ORION_METRICS_PORT
          value: {{ int64 $root.Values.metrics.port | quote }}
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        - name: POD_UID
          valueFrom:
            fieldRef:
              fieldPath: metadata.uid
        {{- include "orion-k8s.executorEnv" (list $root $component $w) | nindent 8 }}
        {{- with $w.extraEnv }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
      {{- with $w.extraEnvFrom }}
      envFrom:
        {{- tpl (toYaml .) $root | nindent 8 }}
      {{- end }}
      {{- /* `kubectl orion status` tells the last line. */}}
      terminationMessagePolicy: FallbackToLogsOnError
      ports:
        - name: metrics
          containerPort: {{ int64 $root.Values.metrics.port }}
      {{- /* By the worker's own heart: while the database is away nothing is started anew. */}}
      startupProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 1
        timeoutSeconds: 5
        failureThreshold: 120
      livenessProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml $w.resources | nindent 8 }}
      securityContext:
        {{- toYaml $w.securityContext | nindent 8 }}
      volumeMounts:
        - name: experiment
          mountPath: /etc/orion-k8s/experiment
          readOnly: true
        {{- include "orion-k8s.programMounts" $root | nindent 8 }}
        {{- include "orion-k8s.databaseMounts" $root | nindent 8 }}
        {{- include "orion-k8s.daskTlsMounts" $root | nindent 8 }}
        {{- include "orion-k8s.broughtMounts" (list $root $w) | nindent 8 }}
        {{- with $w.extraVolumeMounts }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
    {{- with $w.sidecars }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
  volumes:
    - name: experiment
      configMap:
        name: {{ include "orion-k8s.object" (list $root "experiment" 63) }}
    {{- include "orion-k8s.programVolumes" $root | nindent 4 }}
    {{- include "orion-k8s.databaseVolumes" $root | nindent 4 }}
    {{- include "orion-k8s.daskTlsVolumes" $root | nindent 4 }}
    {{- include "orion-k8s.broughtVolumes" (list $root $w) | nindent 4 }}
    {{- with $w.extraVolumes }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
{{- end -}}
