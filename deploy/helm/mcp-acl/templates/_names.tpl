{{/* What things are called, and the labels they have. */}}

{{- define "mcp-acl.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mcp-acl.fullname" -}}
{{- $name := include "mcp-acl.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "mcp-acl.headless" -}}
{{ include "mcp-acl.fullname" . }}-headless
{{- end }}

{{- define "mcp-acl.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "mcp-acl.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "mcp-acl.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "mcp-acl.kind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.memory.persistent }}
{{- end }}

{{/* The Secret of the certificate; empty without TLS. */}}
{{- define "mcp-acl.tlsSecret" -}}
{{- if not .Values.insecure -}}
{{ default (printf "%s-tls" (include "mcp-acl.fullname" .)) .Values.tls.secretName }}
{{- end -}}
{{- end }}

{{/* By these the pods that decide are found: by Services, budget, NetworkPolicy. They never change. */}}
{{- define "mcp-acl.selector" -}}
app.kubernetes.io/name: {{ include "mcp-acl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: decisions
{{- end }}

{{- define "mcp-acl.testSelector" -}}
app.kubernetes.io/name: {{ include "mcp-acl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{/* Of everything that is no pod. */}}
{{- define "mcp-acl.labels" -}}
app.kubernetes.io/name: {{ include "mcp-acl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What every container of ours may do: nothing but run. */}}
{{- define "mcp-acl.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}
