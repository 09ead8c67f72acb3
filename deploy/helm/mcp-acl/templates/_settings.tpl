{{/*
Every setting as its variable, in one mapping: those that the chart says, and `settings`. Numbers of values are floats in templates, and whole
ones of many digits would be written with an exponent.
*/}}
{{- define "mcp-acl.variables" -}}
{{- with .Values.policies }}
{{- if .remote.from }}
MCP_ACL_POLICIES: "/memory/policies"
MCP_ACL_POLICIES_FROM: {{ .remote.from | quote }}
{{- with .remote.ref }}
MCP_ACL_POLICIES_REF: {{ . | quote }}
{{- end }}
{{- with .path }}
MCP_ACL_POLICIES_PATH: {{ . | quote }}
{{- end }}
{{- range .remote.files }}
MCP_ACL_POLICIES_{{ upper . }}: "/remote/{{ . }}"
{{- end }}
{{- else }}
MCP_ACL_POLICIES: {{ clean (printf "/policies/%s" .path) | quote }}
{{- end }}
{{- end }}
MCP_ACL_HOST: {{ .Values.host | quote }}
MCP_ACL_LISTEN: "0.0.0.0:9191"
MCP_ACL_ADMIN_LISTEN: "unix:/run/mcp-acl/people.sock"
MCP_ACL_DRAIN: {{ .Values.drain | quote }}
MCP_ACL_STORE: {{ printf "/memory/%s" .Values.memory.file | quote }}
TMPDIR: "/run/mcp-acl"
{{- if .Values.insecure }}
MCP_ACL_INSECURE: "true"
{{- else }}
MCP_ACL_TLS_CERT: "/tls/tls.crt"
MCP_ACL_TLS_KEY: "/tls/tls.key"
{{- with .Values.tls.clients }}
{{- if .required }}
MCP_ACL_TLS_CLIENT_CA: {{ ternary (printf "/clients/%s" .ca.key) (printf "/tls/%s" .ca.key) (ne .ca.secretName "") | quote }}
{{- with .names }}
MCP_ACL_CLIENT_NAMES: {{ join "," . | quote }}
{{- end }}
{{- with .operators }}
MCP_ACL_ADMIN_NAMES: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
MCP_ACL_{{ upper $name }}: {{ include "mcp-acl.text" $value | quote }}
{{- end }}
{{- end }}

{{- define "mcp-acl.text" -}}
{{- if kindIs "slice" . -}}
{{ join "," . }}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{ printf "%d" (int64 .) }}
{{- else -}}
{{ toString . }}
{{- end -}}
{{- end }}

{{- define "mcp-acl.env" -}}
{{- range $name, $value := include "mcp-acl.variables" . | fromYaml }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
