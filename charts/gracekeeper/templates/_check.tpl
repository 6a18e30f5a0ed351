{{/*
The pod of `helm test` and of the check that ends an installation: it runs files/connection_test.py.
Called with the root and the seconds that an installation's check waits, 0 for `helm test`.
*/}}
{{- define "gracekeeper.checkPod" -}}
{{- $root := index . 0 -}}
{{- $seconds := index . 1 -}}
{{- $full := include "gracekeeper.fullname" $root -}}
{{- with $root -}}
restartPolicy: Never
{{- with include "gracekeeper.imagePullSecrets" . }}
{{ . }}
{{- end }}
{{- if not $seconds }}
activeDeadlineSeconds: 120
{{- end }}
automountServiceAccountToken: false
{{- if .Values.installationCheck.enabled }}
serviceAccountName: {{ include "gracekeeper.checkAccountName" . | quote }}
{{- end }}
# The kubelet writes the Services' addresses into the environment: clusters without DNS are tested too.
enableServiceLinks: true
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
containers:
  - name: connection
    image: {{ include "gracekeeper.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [python3, -c]
    args:
      - |
        {{- .Files.Get "files/connection_test.py" | trim | nindent 8 }}
    env:
      - name: NAMESPACE
        value: {{ .Release.Namespace | quote }}
      - name: INSTANCE
        value: {{ .Release.Name | quote }}
      - name: SERVICE
        value: {{ $full | quote }}
      - name: IMAGE
        value: {{ include "gracekeeper.image" . | quote }}
      {{- if $seconds }}
      - name: INSTALLATION
        value: "true"
      - name: PATIENCE_SECONDS
        value: {{ $seconds | quote }}
      {{- else if and .Values.metrics.service.enabled (not (include "gracekeeper.healthOnLoopback" .)) }}
      - name: METRICS_SERVICE
        value: {{ $full }}-metrics
      - name: METRICS_PORT
        value: {{ .Values.metrics.service.port | int | quote }}
      {{- end }}
    resources:
      requests:
        # An installation's check must find room wherever the server did.
        cpu: {{ eq $seconds 0 | ternary "10m" "0" | quote }}
        memory: {{ eq $seconds 0 | ternary "32Mi" "0" | quote }}
      limits:
        memory: 64Mi
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - name: ca
        mountPath: /etc/gracekeeper-ca
        readOnly: true
      {{- if .Values.installationCheck.enabled }}
      {{- include "gracekeeper.apiAccessMount" . | nindent 6 }}
      {{- end }}
volumes:
  - name: ca
    secret:
      secretName: {{ include "gracekeeper.secretName" . | quote }}
      # The CA's certificate only, never the key.
      items:
        - key: ca.crt
          path: ca.crt
      optional: true
  {{- if .Values.installationCheck.enabled }}
  {{- include "gracekeeper.apiAccessVolume" . | nindent 2 }}
  {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
