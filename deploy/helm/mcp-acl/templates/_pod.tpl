{{/* The pod: one for both kinds of workload. */}}

{{- define "mcp-acl.podTemplate" -}}
metadata:
  labels:
    {{- include "mcp-acl.selector" . | nindent 4 }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "mcp-acl.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The drain, then half a second to answer what has come, as long again to refuse, and five for calls to end (docs/service.md).
  terminationGracePeriodSeconds: {{ add .Values.drain 15 }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "mcp-acl.selector" $ | nindent 10 }}
      # Old pods do not count while new ones are placed.
      matchLabelKeys: [{{ ternary "controller-revision-hash" "pod-template-hash" $.Values.memory.persistent }}]
    {{- end }}
    {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: mcp-acl
      image: {{ include "mcp-acl.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      env:
        {{- include "mcp-acl.env" . | trim | nindent 8 }}
      ports:
        - {name: grpc, containerPort: 9191, protocol: TCP}
        {{- range $name, $one := .Values.ports }}
        - {name: {{ $name }}, containerPort: {{ int $one.port }}, protocol: TCP}
        {{- end }}
      # There is no preStop: SIGTERM begins the drain, and a wait before it would only keep health from saying so.
      startupProbe:
        {{- include "mcp-acl.probe" (list $ .Values.probes.startup) | nindent 8 }}
      readinessProbe:
        {{- include "mcp-acl.probe" (list $ .Values.probes.readiness) | nindent 8 }}
      livenessProbe:
        {{- include "mcp-acl.probe" (list $ .Values.probes.liveness) | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "mcp-acl.containerSecurity" . | nindent 8 }}
      volumeMounts:
        # Whole volumes, no subPath: what changes in them is seen.
        {{- if not .Values.policies.remote.from }}
        - {name: policies, mountPath: /policies, readOnly: true}
        {{- else if .Values.policies.remote.secretName }}
        - {name: remote, mountPath: /remote, readOnly: true}
        {{- end }}
        - {name: memory, mountPath: /memory}
        - {name: run, mountPath: /run/mcp-acl}
        {{- if not .Values.insecure }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- if .Values.tls.clients.ca.secretName }}
        - {name: clients, mountPath: /clients, readOnly: true}
        {{- end }}
        {{- end }}
        {{- with .Values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- if not .Values.policies.remote.from }}
    - name: policies
      {{- if .Values.policies.volume }}
      {{- toYaml .Values.policies.volume | nindent 6 }}
      {{- else }}
      configMap: {name: {{ default (printf "%s-policies" (include "mcp-acl.fullname" .)) .Values.policies.configMap }}}
      {{- end }}
    {{- else if .Values.policies.remote.secretName }}
    - name: remote
      secret: {secretName: {{ .Values.policies.remote.secretName }}, defaultMode: 0440}
    {{- end }}
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- if not .Values.memory.persistent }}
    - name: memory
      emptyDir: {sizeLimit: {{ .Values.memory.size }}}
    {{- end }}
    {{- with include "mcp-acl.tlsSecret" . }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if not .Values.insecure }}
    {{- with .Values.tls.clients.ca.secretName }}
    - name: clients
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
    {{- with .Values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A probe by the kubelet, or by a command where the kubelet cannot ask. Of the service as a whole: never of `mcp_acl.policies`. */}}
{{- define "mcp-acl.probe" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.insecure -}}
grpc: {port: 9191}
{{- else -}}
exec:
  command: [mcp-acl, health, --address, "unix:/run/mcp-acl/people.sock"]
{{- end }}
{{ toYaml (index . 1) }}
{{- end }}
