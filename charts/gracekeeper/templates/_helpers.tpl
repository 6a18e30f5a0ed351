{{- define "gracekeeper.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/*
Legal for a Service before Kubernetes 1.35: a letter first, no dots; 53 characters, so that "-metrics" fits into 63.
What had to be changed is told apart by a hash, so that two releases never meet.
*/}}
{{- define "gracekeeper.fullname" -}}
{{- $name := include "gracekeeper.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- $full := default $default .Values.fullnameOverride -}}
{{- $legal := regexMatch "^[0-9]" $full | ternary (printf "r%s" $full) $full | replace "." "-" -}}
{{- if or (ne $legal $full) (gt (len $legal) 53) -}}
{{- printf "%s-%s" (trunc 44 $legal | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
{{- $legal -}}
{{- end -}}
{{- end -}}

{{/* Name of what has no namespace. A namespace holds no dot: no two namespaces and names meet in one. */}}
{{- define "gracekeeper.clusterName" -}}
{{- .Release.Namespace }}.{{ include "gracekeeper.fullname" . -}}
{{- end -}}

{{/* Behind every usual name: the API server calls webhooks in the order of their configurations' names. */}}
{{- define "gracekeeper.lastConfigurationName" -}}
zzz.{{ include "gracekeeper.clusterName" . }}
{{- end -}}

{{/* Not the same for our own Secret and for cert-manager's: who changes the source has both for a moment. */}}
{{- define "gracekeeper.secretName" -}}
{{- $made := .Values.certManager.enabled | ternary "certificate" "tls" | printf "%s-%s" (include "gracekeeper.fullname" .) -}}
{{- default $made .Values.certificate.existingSecret -}}
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

{{/* The address of health probes and metrics where it is not all of them, in the host's network; else empty. */}}
{{- define "gracekeeper.healthHost" -}}
{{- if and .Values.hostNetwork.enabled (not (has .Values.hostNetwork.healthHost (list "" "0.0.0.0" "::"))) -}}
{{- .Values.hostNetwork.healthHost -}}
{{- end -}}
{{- end -}}

{{/* Not empty where the Service for metrics leads nowhere. */}}
{{- define "gracekeeper.healthOnLoopback" -}}
{{- $host := include "gracekeeper.healthHost" . -}}
{{- if or (hasPrefix "127." $host) (has $host (list "::1" "localhost")) -}}
yes
{{- end -}}
{{- end -}}

{{/* What never changes in the life of a release. */}}
{{- define "gracekeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gracekeeper.name" . | quote }}
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

{{/* Name of an image: of the chart, one of its `image` values, and the registry where those name none. */}}
{{- define "gracekeeper.imageName" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := coalesce $root.Values.global.imageRegistry $image.registry (index . 2) | default "" | trimSuffix "/" -}}
{{- $name := empty $registry | ternary $image.repository (printf "%s/%s" $registry $image.repository) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "gracekeeper.image" -}}
{{- include "gracekeeper.imageName" (list . .Values.image "") -}}
{{- end -}}

{{/* What runs in OSMO task pods, as the server reads it; empty where they are not converted. */}}
{{- define "gracekeeper.superviseImage" -}}
{{- dig "supervise" "image" "" (include "gracekeeper.config" . | fromYaml) -}}
{{- end -}}

{{- define "gracekeeper.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.imagePullSecrets .Values.global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The configuration file: `config`, where `mode` and `observer.enabled` win, with supervise's image where none is named. */}}
{{- define "gracekeeper.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.mode -}}
{{- $_ := set $config "mode" .Values.mode -}}
{{- end -}}
{{- if .Values.supervise.enabled -}}
{{- $image := include "gracekeeper.imageName" (list . .Values.supervise.image .Values.image.registry) -}}
{{- $_ := set $config "supervise" (merge (default (dict) $config.supervise) (dict "image" $image)) -}}
{{- end -}}
{{- $_ := set $config "observer" (merge (dict "enabled" .Values.observer.enabled) (default (dict) $config.observer)) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Runs the image that OSMO task pods get: where it cannot be pulled or run, the pod does not become ready. */}}
{{- define "gracekeeper.superviseContainer" -}}
image: {{ include "gracekeeper.superviseImage" . | quote }}
imagePullPolicy: {{ .Values.supervise.image.pullPolicy }}
resources:
  {{- toYaml .Values.supervise.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/*
What a container needs to call the API server, where client libraries look for it. Kubernetes mounts the same volume by
itself (automountServiceAccountToken), but into every container of the pod. The kubelet renews the token in place.
*/}}
{{- define "gracekeeper.apiAccessMount" -}}
- name: api-access
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{- define "gracekeeper.apiAccessVolume" -}}
- name: api-access
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                apiVersion: v1
                fieldPath: metadata.namespace
{{- end -}}

{{/* The name of the DaemonSet that keeps supervise's image on the nodes. */}}
{{- define "gracekeeper.prePullName" -}}
{{- include "gracekeeper.fullname" . }}-prepull
{{- end -}}

{{/* The names of the observer, of its account, and of the ConfigMap in which it keeps what it learned. */}}
{{- define "gracekeeper.observerName" -}}
{{- include "gracekeeper.fullname" . }}-observer
{{- end -}}

{{- define "gracekeeper.observerAccountName" -}}
{{- .Values.serviceAccount.create | ternary (include "gracekeeper.observerName" .) (include "gracekeeper.serviceAccountName" .) -}}
{{- end -}}

{{- define "gracekeeper.memoryName" -}}
{{- include "gracekeeper.fullname" . }}-terminations
{{- end -}}

{{/* The names of the check that the installation runs, and of its ServiceAccount. */}}
{{- define "gracekeeper.checkName" -}}
{{- include "gracekeeper.fullname" . }}-check
{{- end -}}

{{- define "gracekeeper.checkAccountName" -}}
{{- .Values.serviceAccount.create | ternary (include "gracekeeper.checkName" .) (include "gracekeeper.serviceAccountName" .) -}}
{{- end -}}

{{/* Empty, unless the ValidatingAdmissionPolicies are to be rendered. */}}
{{- define "gracekeeper.admissionPolicies" -}}
{{- $served := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- $auto := and $served .Values.serviceAccount.create -}}
{{- eq (toString .Values.admissionPolicy.enabled) "auto" | ternary $auto .Values.admissionPolicy.enabled | ternary "yes" "" -}}
{{- end -}}

{{/* What the schema cannot say in words that help. */}}
{{- define "gracekeeper.check" -}}
{{- if and (dig "supervise" "image" "" .Values.config) (not .Values.supervise.enabled) -}}
{{- fail "config.supervise.image needs supervise.enabled=true" -}}
{{- end -}}
{{- if and .Values.supervise.prePull.enabled (not .Values.supervise.enabled) -}}
{{- fail "supervise.prePull.enabled needs supervise.enabled=true" -}}
{{- end -}}
{{- $observer := .Values.config.observer | default dict -}}
{{- if and (hasKey $observer "enabled") (ne $observer.enabled .Values.observer.enabled) -}}
{{- fail "config.observer.enabled differs from observer.enabled, which sets both: leave config.observer.enabled out" -}}
{{- end -}}
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
{{- if and .Values.priorityQuota.enabled (not .Values.priorityClassName) -}}
{{- fail "priorityQuota.enabled needs a priorityClassName" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled=true" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (include "gracekeeper.healthOnLoopback" .) -}}
{{- fail "metrics.serviceMonitor.enabled in the host's network needs an address that Prometheus reaches: hostNetwork.healthHost=0.0.0.0" -}}
{{- end -}}
{{- end -}}
