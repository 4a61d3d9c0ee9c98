{{/*
What the schema can't say, or not so that a person understands: each fault is one sentence, and all are told
at once. `helm lint` passes over them.
*/}}
{{- define "orion-k8s.checks" -}}
{{- $faults := list -}}
{{- $e := .Values.experiment -}}
{{- if not $e.name -}}
{{- $faults = append $faults "experiment.name is missing: name the experiment, as in --set experiment.name=digits." -}}
{{- end -}}
{{- if kindIs "string" $e.command -}}
{{- $faults = append $faults "experiment.command is a text: write it as a list of words, as in [python, train.py, \"--lr~loguniform(1e-5, 1)\"]." -}}
{{- else if not $e.command -}}
{{- $faults = append $faults "experiment.command is missing: say how your program is started, as a list of words, as in [python, train.py, \"--lr~loguniform(1e-5, 1)\"]." -}}
{{- else -}}
{{- $priors := or (not (empty $e.space)) (not (empty $e.filesConfigMap)) -}}
{{- range $e.command -}}
{{- if regexMatch "(?:^|[^/])~ *[A-Za-z_]\\w* *\\(" (toString .) -}}
{{- $priors = true -}}
{{- if not (regexMatch "\\) *$" (toString .)) -}}
{{- $faults = append $faults (printf "experiment.command has the word %q: a prior ends with a parenthesis, as in --lr~loguniform(1e-5, 1)." (toString .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $e.files -}}
{{- if contains "~" (toString .) -}}{{- $priors = true -}}{{- end -}}
{{- end -}}
{{- if not $priors -}}
{{- $faults = append $faults "The experiment searches nothing: write a prior into experiment.command, as in --lr~loguniform(1e-5, 1), or into experiment.space, as in {lr: \"loguniform(1e-5, 1)\"}." -}}
{{- end -}}
{{- end -}}
{{- range $name, $prior := $e.space -}}
{{- if not (regexMatch "^ *[A-Za-z_]\\w* *\\(.*\\) *$" (toString $prior)) -}}
{{- $faults = append $faults (printf "experiment.space.%s is %q: a prior looks like uniform(0, 1) or choices(['a', 'b'])." $name (toString $prior)) -}}
{{- end -}}
{{- end -}}
{{- if and $e.files $e.filesConfigMap -}}
{{- $faults = append $faults "experiment.files and experiment.filesConfigMap are both there: take one of them." -}}
{{- end -}}

{{- $external := .Values.externalMongodb -}}
{{- $there := or $external.uri $external.uriKey -}}
{{- if and .Values.mongodb.enabled $there -}}
{{- $faults = append $faults "There are two databases: set mongodb.enabled=false to use externalMongodb, or take externalMongodb.uri and uriKey away." -}}
{{- else if not (or .Values.mongodb.enabled $there) -}}
{{- $faults = append $faults "There is no database: set mongodb.enabled=true, or name your own by externalMongodb.uri, or by externalMongodb.existingSecret and uriKey." -}}
{{- else if and $external.uri $external.uriKey -}}
{{- $faults = append $faults "externalMongodb.uri and externalMongodb.uriKey are both there: take one of them." -}}
{{- else if and $external.uriKey (not $external.existingSecret) -}}
{{- $faults = append $faults "externalMongodb.uriKey names a key, but externalMongodb.existingSecret names no Secret." -}}
{{- end -}}
{{- if regexMatch "//[^/@]*:[^/@]*@" $external.uri -}}
{{- $faults = append $faults "externalMongodb.uri holds a password, which `helm get values` would show: put the password into a Secret and name it by externalMongodb.existingSecret." -}}
{{- else if and $external.uri (not (regexMatch "^mongodb(\\+srv)?://[^/?]+" $external.uri)) -}}
{{- $faults = append $faults (printf "externalMongodb.uri is %q: it looks like mongodb://HOST:PORT/DATABASE." $external.uri) -}}
{{- end -}}
{{- if and .Values.mongodb.enabled .Values.mongodb.tls.enabled (not .Values.mongodb.tls.existingSecret) -}}
{{- $faults = append $faults "mongodb.tls.enabled needs mongodb.tls.existingSecret: a Secret with tls-combined.pem and ca.crt." -}}
{{- end -}}

{{- $groups := dict -}}
{{- include "orion-k8s.groups" (list . $groups) -}}
{{- if not $groups -}}
{{- $faults = append $faults "There are no workers: set worker.enabled=true, or name a group in workerGroups." -}}
{{- end -}}
{{- range $component, $w := $groups -}}
{{- $where := eq $component "worker" | ternary "worker" (printf "workerGroups.%s" (trimPrefix "worker-" $component)) -}}
{{- if lt (float64 $w.terminationGracePeriodSeconds) (addf $w.grace 20) -}}
{{- $faults = append $faults (printf "%s.terminationGracePeriodSeconds is %v: a program has %v seconds of grace, and its worker needs 20 more to give the trial back." $where $w.terminationGracePeriodSeconds $w.grace) -}}
{{- end -}}
{{- if and (eq $.Values.executor.type "dask") (eq $.Values.executor.dask.mode "ephemeral") (not (kindIs "invalid" $w.slots)) -}}
{{- $faults = append $faults (printf "%s.slots is there, but executor.dask.mode is ephemeral: the size of each worker's cluster is executor.dask.workers.replicas." $where) -}}
{{- end -}}
{{- with $w.programImage -}}
{{- if not (and .repository (or .tag .digest)) -}}
{{- $faults = append $faults (printf "%s.programImage names no image: it needs repository, and tag or digest, as in {repository: pytorch/pytorch, tag: 2.4.0-cuda12.4-cudnn9-runtime}." $where) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $component) -}}
{{- $faults = append $faults (printf "%s: a group is named by small letters, digits and dashes." $where) -}}
{{- end -}}
{{- end -}}

{{- $dask := .Values.executor.dask -}}
{{- if eq .Values.executor.type "dask" -}}
{{- if and (eq $dask.mode "external") (not $dask.address) -}}
{{- $faults = append $faults "executor.dask.mode is external: give the scheduler's address by executor.dask.address, as in tcp://dask-scheduler:8786." -}}
{{- end -}}
{{- if and (ne $dask.mode "external") $dask.address -}}
{{- $faults = append $faults (printf "executor.dask.address is there, but executor.dask.mode is %s: the mode external takes an address." $dask.mode) -}}
{{- end -}}
{{- if and (has $dask.mode (list "cluster" "ephemeral")) (not (.Capabilities.APIVersions.Has "kubernetes.dask.org/v1")) -}}
{{- $faults = append $faults (printf "executor.dask.mode is %s, but this cluster has no DaskCluster (kubernetes.dask.org/v1): install Dask's operator, or take the mode chart, which needs none." $dask.mode) -}}
{{- end -}}
{{- end -}}

{{- $prometheus := .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- range $name := list "podMonitor" "prometheusRule" -}}
{{- if (get $.Values.metrics $name).enabled -}}
{{- if not $prometheus -}}
{{- $faults = append $faults (printf "metrics.%s.enabled is true, but this cluster has no monitoring.coreos.com/v1: install Prometheus' operator, or set it to false." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- if not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- $faults = append $faults "autoscaling.enabled is true, but this cluster has no ScaledObject (keda.sh/v1alpha1): install KEDA, or set it to false." -}}
{{- end -}}
{{- if not (and .Values.worker.enabled (eq .Values.worker.kind "Deployment")) -}}
{{- $faults = append $faults "autoscaling.enabled scales the workers of worker: it needs worker.enabled and worker.kind Deployment." -}}
{{- end -}}
{{- if gt (float64 .Values.autoscaling.minReplicas) (float64 .Values.autoscaling.maxReplicas) -}}
{{- $faults = append $faults (printf "autoscaling.minReplicas is %v, more than autoscaling.maxReplicas, %v." .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and (not .Values.mongodb.enabled) (not $external.uriKey) -}}
{{- $faults = append $faults "autoscaling.enabled with an external MongoDB needs the whole URI in a Secret, for KEDA to read: externalMongodb.existingSecret and uriKey." -}}
{{- end -}}
{{- end -}}

{{- if $faults -}}
{{- fail (printf "\n\n  %s\n" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}
