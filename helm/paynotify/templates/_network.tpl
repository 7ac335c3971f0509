{{/* Ports of the brokers, as JSON {"ports": [...]}. */}}
{{- define "paynotify.brokerPorts" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.configuration.kafka.bootstrap_servers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) -}}
{{- end -}}
{{- range .Values.networkPolicy.brokerPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- dict "ports" ($ports | uniq) | toJson -}}
{{- end -}}

{{/* What every process must reach: DNS and the brokers. */}}
{{- define "paynotify.egress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
- ports:
    {{- range get (include "paynotify.brokerPorts" . | fromJson) "ports" }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.brokers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The URLs that a merchant's workers call: the provider's API, and its public keys; as JSON {"urls": [...]}. */}}
{{- define "paynotify.calledURLs" -}}
{{- dict "urls" (list (.base_url | default .webservices_url | default "") .jwks_url | compact) | toJson -}}
{{- end -}}

{{- define "paynotify.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}

{{/* The hosts and ports of these merchants' providers, as JSON {"HOST": [PORT, ...]}. */}}
{{- define "paynotify.providerHosts" -}}
{{- $hosts := dict -}}
{{- range . -}}
{{- range $url := get (include "paynotify.calledURLs" . | fromJson) "urls" -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse $url).host "" -}}
{{- $_ := set $hosts $host (append (get $hosts $host | default list) (include "paynotify.portOf" $url | int) | uniq) -}}
{{- end -}}
{{- end -}}
{{- $hosts | toJson -}}
{{- end -}}

{{/* Whether a group of workers calls providers: for lookups and charges, beside verify for public keys, or as doctor. */}}
{{- define "paynotify.callsProviders" -}}
{{- $keyed := list -}}
{{- range .merchants -}}{{- if .jwks_url -}}{{- $keyed = append $keyed (printf "verify.%s" .provider) -}}{{- end -}}{{- end -}}
{{- range .runners -}}
{{- if or (hasPrefix "fetch." .) (eq . "charge") (eq . "doctor") (has . $keyed) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.metricsRule" -}}
- ports:
    - {port: 9090, protocol: TCP}
  from:
    {{- toYaml (.Values.networkPolicy.metricsFrom | default (list (dict "podSelector" dict))) | nindent 4 }}
{{- end -}}
