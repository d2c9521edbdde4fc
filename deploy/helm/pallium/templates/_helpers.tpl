{{- define "pallium.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{/* Labels that choose pods. Arguments: root, name of the workload */}}
{{- define "pallium.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "pallium.labels" -}}
{{ include "pallium.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "pallium.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.overrides }}{{ $config = mergeOverwrite (dict "runtime_config" (dict "file" "/etc/pallium/overrides.yaml")) $config }}{{ end }}
{{- toYaml $config }}
{{- end }}

{{/* A pod. Arguments: root, name, spec of the target, zone (or ""), service of its own name */}}
{{- define "pallium.pod" -}}
{{- $root := .root }}{{ $spec := .spec }}
{{- if and $spec.clustered (not $root.Values.peer.keySecret) }}
{{- fail (printf "targets.%s.clustered wants peer.keySecret: kubectl create secret generic pallium-peer --from-literal=key=$(openssl rand -hex 32), and peer.keySecret=pallium-peer" .name) }}
{{- end }}
metadata:
  labels:
    {{- include "pallium.labels" . | nindent 4 }}
    {{- if .zone }}
    pallium/zone: {{ .zone }}
    {{- end }}
  annotations:
    checksum/config: {{ include "pallium.config" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "pallium.name" $root }}{{ if $spec.ingester }}-ingester{{ end }}
  automountServiceAccountToken: {{ and $spec.ingester $spec.clustered | default false }}
  terminationGracePeriodSeconds: {{ $spec.gracePeriodSeconds | default 120 }}
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .zone }}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
          - matchExpressions:
              - {key: topology.kubernetes.io/zone, operator: In, values: [{{ .zone | quote }}]}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "pallium.selector" . | nindent 10 }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: pallium
      image: {{ printf "%s:%s" $root.Values.image.repository ($root.Values.image.tag | default $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - -config.file=/etc/pallium/pallium.yaml
        - -config.expand-env
        - -target={{ $spec.target }}
        - -data.dir=/data
        - -server.http-listen-address=0.0.0.0
        {{- if $spec.clustered }}
        - -server.peer-listen-address=0.0.0.0:9095
        - -server.peer-key-file=/etc/pallium-peer/key
        - -ring.instance-name=$(POD_NAME)
        {{- if $spec.ingester }}
        - -server.peer-advertise-address=$(POD_NAME).{{ .service }}.$(POD_NAMESPACE).svc:9095
        {{- else }}
        - -server.peer-advertise-address=$(POD_IP):9095
        {{- end }}
        {{- if .zone }}
        - -ring.instance-zone={{ .zone }}
        {{- end }}
        {{- end }}
        {{- range $spec.args }}
        - {{ tpl . $root | quote }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        - name: POD_IP
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
      {{- with $root.Values.secretEnv }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      ports:
        - {name: http, containerPort: 9009}
        {{- if $spec.clustered }}
        - {name: peer, containerPort: 9095}
        {{- end }}
      # a log that is read back may take minutes; the process answers meanwhile
      startupProbe: {httpGet: {path: /-/healthy, port: http}, periodSeconds: 2, failureThreshold: 60}
      livenessProbe: {httpGet: {path: /-/healthy, port: http}, periodSeconds: 15, timeoutSeconds: 5, failureThreshold: 8}
      readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 5, timeoutSeconds: 3}
      {{- if and $spec.ingester $spec.clustered }}
      # one that goes for good hands its part on first; one that is restarted does not
      lifecycle:
        preStop:
          exec:
            command: [/usr/bin/node, /app/deploy/image/pre-stop.mjs]
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      {{- with $spec.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: config, mountPath: /etc/pallium}
        {{- if $spec.clustered }}
        - {name: peer, mountPath: /etc/pallium-peer, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "pallium.name" $root }}}
    {{- if $spec.clustered }}
    - name: peer
      secret: {secretName: {{ $root.Values.peer.keySecret }}}
    {{- end }}
    {{- if not $spec.ingester }}
    - name: data
      emptyDir: {}
    {{- end }}
{{- end }}
