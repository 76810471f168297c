{{- define "txstream.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "txstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Labels and selectors of a part: (dict "root" $ "part" "api") */ -}}
{{- define "txstream.selector" -}}
app.kubernetes.io/name: txstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "txstream.labels" -}}
{{ include "txstream.selector" . }}
app.kubernetes.io/part-of: txstream
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- /* For the profile "restricted" of Pod Security. */ -}}
{{- define "txstream.podSecurity" -}}
automountServiceAccountToken: false
{{- /* A Service called kafka would put KAFKA_PORT and the like into the environment, which are no settings of ours. */}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "txstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Settings that all parts share, then those of the part. Later ones win, so that each name is there once. */ -}}
{{- define "txstream.environment" -}}
{{- $values := .root.Values -}}
{{- $part := index $values .part -}}
{{- $kafka := has .part (list "relay" "console") -}}
{{- $env := dict
    "DATABASE_HOST" $values.database.host
    "DATABASE_PORT" $values.database.port
    "DATABASE_NAME" $values.database.name
    "DATABASE_SSL_MODE" $values.database.sslMode
    "DATABASE_USER" $part.databaseUser
    "DATABASE_PASSWORD_FILE" "/run/secrets/txstream/database/password"
    "LOGGING_FORMAT" "json" -}}
{{- if $values.database.caSecret -}}
{{- $_ := set $env "PGSSLROOTCERT" "/run/secrets/txstream/database-ca/ca.crt" -}}
{{- end -}}
{{- if $kafka -}}
{{- $_ := set $env "KAFKA_BROKERS" $values.kafka.brokers -}}
{{- $_ := set $env "KAFKA_SECURITY_PROTOCOL" $values.kafka.securityProtocol -}}
{{- with $values.kafka.sasl -}}
{{- if .mechanism -}}
{{- $_ := set $env "KAFKA_SASL_MECHANISM" .mechanism -}}
{{- $_ := set $env "KAFKA_SASL_USERNAME" .username -}}
{{- $_ := set $env "KAFKA_SASL_PASSWORD_FILE" "/run/secrets/txstream/kafka/password" -}}
{{- end -}}
{{- end -}}
{{- if $values.kafka.clientSecret -}}
{{- $_ := set $env "KAFKA_SSL_CERTIFICATE_LOCATION" "/run/secrets/txstream/kafka-client/tls.crt" -}}
{{- $_ := set $env "KAFKA_SSL_KEY_LOCATION" "/run/secrets/txstream/kafka-client/tls.key" -}}
{{- end -}}
{{- if $values.kafka.caSecret -}}
{{- $_ := set $env "KAFKA_SSL_CA_LOCATION" "/run/secrets/txstream/kafka-ca/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- with $part.shutdownDelaySeconds -}}
{{- $_ := set $env "SHUTDOWN_DELAY" (printf "%ds" (int .)) -}}
{{- end -}}
{{- with $part.shutdownTimeoutSeconds -}}
{{- $_ := set $env "SHUTDOWN_TIMEOUT" (printf "%ds" (int .)) -}}
{{- end -}}
{{- $env = mergeOverwrite $env (deepCopy $values.settings) (deepCopy ($part.settings | default dict)) .own -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end -}}
{{- end -}}

{{- define "txstream.mounts" -}}
- name: database
  mountPath: /run/secrets/txstream/database
  readOnly: true
{{- if .root.Values.database.caSecret }}
- name: database-ca
  mountPath: /run/secrets/txstream/database-ca
  readOnly: true
{{- end }}
{{- if has .part (list "relay" "console") }}
{{- if .root.Values.kafka.sasl.mechanism }}
- name: kafka
  mountPath: /run/secrets/txstream/kafka
  readOnly: true
{{- end }}
{{- if .root.Values.kafka.clientSecret }}
- name: kafka-client
  mountPath: /run/secrets/txstream/kafka-client
  readOnly: true
{{- end }}
{{- if .root.Values.kafka.caSecret }}
- name: kafka-ca
  mountPath: /run/secrets/txstream/kafka-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "txstream.secretVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: {{ .path }}
{{- end -}}

{{- define "txstream.tlsVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
{{- end -}}

{{- define "txstream.volumes" -}}
{{- $values := .root.Values -}}
{{ include "txstream.secretVolume" (dict "name" "database" "secret" $values.database.passwordSecret "key" (printf "%s-password" .part) "path" "password") }}
{{- with $values.database.caSecret }}
{{ include "txstream.secretVolume" (dict "name" "database-ca" "secret" . "key" "ca.crt" "path" "ca.crt") }}
{{- end }}
{{- if has .part (list "relay" "console") }}
{{- if $values.kafka.sasl.mechanism }}
{{ include "txstream.secretVolume" (dict "name" "kafka" "secret" $values.kafka.sasl.passwordSecret "key" "sasl-password" "path" "password") }}
{{- end }}
{{- with $values.kafka.clientSecret }}
{{ include "txstream.tlsVolume" (dict "name" "kafka-client" "secret" .) }}
{{- end }}
{{- with $values.kafka.caSecret }}
{{ include "txstream.secretVolume" (dict "name" "kafka-ca" "secret" . "key" "ca.crt" "path" "ca.crt") }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The end of a process: SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT, the 2 s after which it ends itself, and 3 s for the kubelet. */ -}}
{{- define "txstream.gracePeriod" -}}
{{- add (.shutdownDelaySeconds | default 0) .shutdownTimeoutSeconds 5 -}}
{{- end -}}

{{- /* Startup and liveness ask whether the process answers, never for Kafka or the database: a restart brings neither back. */ -}}
{{- define "txstream.probes" -}}
{{- $scheme := "" -}}
{{- if eq .port "https" -}}{{- $scheme = "HTTPS" -}}{{- end -}}
startupProbe:
  httpGet:
    path: /livez
    port: {{ .port }}
    {{- with $scheme }}
    scheme: {{ . }}
    {{- end }}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /livez
    port: {{ .port }}
    {{- with $scheme }}
    scheme: {{ . }}
    {{- end }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: {{ .ready }}
    port: {{ .port }}
    {{- with $scheme }}
    scheme: {{ . }}
    {{- end }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{- define "txstream.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "txstream.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "txstream.selector" . | nindent 8 }}
{{- end -}}
