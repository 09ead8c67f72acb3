{{/* Values that do not go together, each with what to do. What is wrong by itself the schema says. */}}

{{- define "mcp-acl.checks" -}}
{{- $policies := list -}}
{{- if .Values.policies.files }}{{ $policies = append $policies "files" }}{{ end -}}
{{- if .Values.policies.configMap }}{{ $policies = append $policies "configMap" }}{{ end -}}
{{- if .Values.policies.volume }}{{ $policies = append $policies "volume" }}{{ end -}}
{{- if .Values.policies.remote.from }}{{ $policies = append $policies "remote.from" }}{{ end -}}
{{- if not $policies }}{{ fail "policies: there are none; give `policies.files`, or name a `policies.configMap`, a `policies.volume` or a `policies.remote.from`" }}{{ end -}}
{{- if gt (len $policies) 1 }}{{ fail (printf "policies: `%s` are given; give one" (join "` and `" $policies)) }}{{ end -}}

{{- $ways := list -}}
{{- if .Values.insecure }}{{ $ways = append $ways "insecure" }}{{ end -}}
{{- if .Values.tls.secretName }}{{ $ways = append $ways "tls.secretName" }}{{ end -}}
{{- if .Values.tls.certificate.issuer }}{{ $ways = append $ways "tls.certificate.issuer" }}{{ end -}}
{{- if not $ways }}{{ fail "tls: there is no certificate; name a `tls.secretName` or a `tls.certificate.issuer`, or say `insecure: true` where a mesh encrypts" }}{{ end -}}
{{- if gt (len $ways) 1 }}{{ fail (printf "tls: `%s` are given; give one" (join "` and `" $ways)) }}{{ end -}}

{{- $clients := .Values.tls.clients -}}
{{- if and (or .Values.insecure (not $clients.required)) (or $clients.names $clients.operators $clients.ca.secretName) }}
{{- fail "tls.clients: names and authorities count only where clients show certificates; leave them out, or use TLS with `tls.clients.required`" }}
{{- end -}}

{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.callers) }}
{{- fail "networkPolicy.callers: nobody could ask; name the gateways' pods, or say `networkPolicy.enabled: false` where something else keeps others out" }}
{{- end -}}

{{- with .Values.policies.remote }}
{{- if and .from $.Values.networkPolicy.enabled (not $.Values.networkPolicy.egress) }}
{{- fail "networkPolicy.egress: policies come from elsewhere, and nothing may be connected to; say where that is" }}
{{- end -}}
{{- if ne (not .secretName) (not .files) }}
{{- fail "policies.remote: `secretName` and `files` belong together: the Secret, and what is in it" }}
{{- end -}}
{{- if and .files (not .from) }}
{{- fail "policies.remote.from: it is missing; `files` are for whoever is asked there" }}
{{- end -}}
{{- end -}}

{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling: `minReplicas` is more than `maxReplicas`" }}
{{- end -}}

{{- range $name, $one := .Values.ports }}
{{- if and $.Values.networkPolicy.enabled (not $one.from) }}
{{- fail (printf "ports.%s.from: nobody could connect; say who may" $name) }}
{{- end -}}
{{- if or (eq $name "grpc") (eq (int $one.port) 9191) (eq (int $one.port) (int $.Values.service.port)) }}
{{- fail (printf "ports.%s: gateways ask there; choose another name and port" $name) }}
{{- end -}}
{{- end -}}

{{- $own := keys (include "mcp-acl.variables" . | fromYaml) -}}
{{- range .Values.extraEnv }}
{{- if has .name $own }}{{ fail (printf "extraEnv: `%s` is said by other values; leave it out there" .name) }}{{ end -}}
{{- end -}}
{{- end }}
