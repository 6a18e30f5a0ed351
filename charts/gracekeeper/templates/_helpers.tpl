{{/* A name of at most so many characters; what is cut off is told apart by a hash. (list name maximum) */}}
{{- define "gracekeeper.fit" -}}
{{- $name := index . 0 -}}
{{- $maximum := index . 1 | int -}}
{{- if gt (len $name) $maximum -}}
{{- printf "%s-%s" (trunc (sub $maximum 9 | int) $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "gracekeeper.name" -}}
{{- include "gracekeeper.fit" (list (default .Chart.Name .Values.nameOverride) 63) -}}
{{- end -}}

{{/* 53 characters, so that "-metrics" and the other endings fit into 63. */}}
{{- define "gracekeeper.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- include "gracekeeper.fit" (list (default $full .Values.fullnameOverride) 53) -}}
{{- end -}}

{{/* Name of what has no namespace: two releases of one name, in two namespaces, live side by side. */}}
{{- define "gracekeeper.clusterName" -}}
{{- include "gracekeeper.fit" (list (printf "%s-%s" .Release.Namespace (include "gracekeeper.fullname" .)) 63) -}}
{{- end -}}

{{- define "gracekeeper.secretName" -}}
{{- if .Values.certificate.existingSecret -}}
{{- .Values.certificate.existingSecret -}}
{{- else -}}
{{- include "gracekeeper.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{- define "gracekeeper.serviceAccountName" -}}
{{- $ours := .Values.serviceAccount.create | ternary (include "gracekeeper.fullname" .) "default" -}}
{{- default $ours .Values.serviceAccount.name -}}
{{- end -}}

{{- define "gracekeeper.certificateSource" -}}
{{- .Values.certManager.enabled | ternary "files" .Values.certificate.source -}}
{{- end -}}

{{- define "gracekeeper.port" -}}
{{- .Values.hostNetwork.enabled | ternary .Values.hostNetwork.port .Values.server.port | int -}}
{{- end -}}

{{- define "gracekeeper.healthPort" -}}
{{- .Values.hostNetwork.enabled | ternary .Values.hostNetwork.healthPort .Values.server.healthPort | int -}}
{{- end -}}

{{/* What never changes in the life of a release. */}}
{{- define "gracekeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gracekeeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
{{- end -}}

{{/* Ours win over commonLabels. */}}
{{- define "gracekeeper.labels" -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "gracekeeper" -}}
{{- $selector := include "gracekeeper.selectorLabels" . | fromYaml -}}
{{- toYaml (merge $selector $ours .Values.commonLabels) -}}
{{- end -}}

{{/* Without the chart's version: a new chart that changes nothing here restarts nothing. */}}
{{- define "gracekeeper.podLabels" -}}
{{- $selector := include "gracekeeper.selectorLabels" . | fromYaml -}}
{{- toYaml (merge $selector .Values.podLabels .Values.commonLabels) -}}
{{- end -}}

{{- define "gracekeeper.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- $name := empty $registry | ternary .Values.image.repository (printf "%s/%s" $registry .Values.image.repository) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "gracekeeper.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.imagePullSecrets .Values.global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The configuration file: `config`, where `mode` wins. */}}
{{- define "gracekeeper.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.mode -}}
{{- $_ := set $config "mode" .Values.mode -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the schema cannot say in words that help. */}}
{{- define "gracekeeper.check" -}}
{{- $certificate := .Values.certificate -}}
{{- if .Values.certManager.enabled -}}
{{- if or $certificate.existingSecret $certificate.caBundle -}}
{{- fail "certManager.enabled makes the certificate: leave certificate.existingSecret and certificate.caBundle empty" -}}
{{- end -}}
{{- else if eq $certificate.source "files" -}}
{{- if not $certificate.existingSecret -}}
{{- fail "certificate.source=files needs certificate.existingSecret or certManager.enabled=true" -}}
{{- end -}}
{{- else if or $certificate.existingSecret $certificate.caBundle -}}
{{- fail "certificate.existingSecret and certificate.caBundle need certificate.source=files" -}}
{{- end -}}
{{- $least := add .Values.server.drainSeconds 10 | int -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) $least -}}
{{- fail (printf "terminationGracePeriodSeconds must be at least %d: server.drainSeconds and 10 more" $least) -}}
{{- end -}}
{{- if eq (include "gracekeeper.port" .) (include "gracekeeper.healthPort" .) -}}
{{- fail "the webhook and the health probes need two different ports" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled=true" -}}
{{- end -}}
{{- end -}}
