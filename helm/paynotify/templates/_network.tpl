{{/* Ports of the brokers, as JSON {"ports": [...]}. */}}
{{- define "paynotify.brokerPorts" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.configuration.kafka.bootstrap_servers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) -}}
{{- end -}}
{{- range .Values.networkPolicy.brokerPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- dict "ports" ($ports | uniq) | toJson -}}
{{- end -}}

{{/* What every process must reach: DNS, the brokers, and the collector of traces if there is one. */}}
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
{{- with (.Values.configuration.kafka.sasl_oauth | default dict).token_endpoint }}
{{ include "paynotify.ruleFor" (dict "url" . "peers" $.Values.networkPolicy.tokenEndpoint) }}
{{- end }}
{{- with .Values.traces.endpoint }}
# the collector of traces
{{ include "paynotify.ruleFor" (dict "url" . "peers" $.Values.networkPolicy.collector) }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The URLs that a merchant's workers call without a proxy: the provider's API, and its public keys; given root and
merchant. As JSON {"urls": [...]}. */}}
{{- define "paynotify.calledURLs" -}}
{{- $urls := list -}}
{{- range $url := list (.merchant.base_url | default .merchant.webservices_url | default "") .merchant.jwks_url | compact -}}
{{- if include "paynotify.goesDirectly" (dict "root" $.root "url" $url) -}}{{- $urls = append $urls $url -}}{{- end -}}
{{- end -}}
{{- dict "urls" $urls | toJson -}}
{{- end -}}

{{/* Whether a URL is called without the proxy, as the product decides; an address counts wherever a network is listed. */}}
{{- define "paynotify.goesDirectly" -}}
{{- $proxy := .root.Values.configuration.worker.provider_proxy -}}
{{- if not $proxy -}}
yes
{{- else -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse .url).host "" | lower | trimPrefix "[" | trimSuffix "]" -}}
{{- range $entry := $proxy.no_proxy -}}
{{- $entry = lower $entry -}}
{{- $listed := or (eq $host $entry) (and (hasPrefix "." $entry) (hasSuffix $entry $host)) -}}
{{- if or $listed (and (contains "/" $entry) (regexMatch "^([0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*)$" $host)) -}}
yes
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The way to the forward proxy of the calls to providers, if there is one. */}}
{{- define "paynotify.proxyRule" -}}
{{- with .Values.configuration.worker.provider_proxy -}}
# the forward proxy
{{ include "paynotify.ruleFor" (dict "url" .url "peers" $.Values.networkPolicy.providerProxy) }}
{{- end -}}
{{- end -}}

{{/* The ways to the subscribers of outbound webhooks: one rule for each port of their URLs, and one for the proxy. */}}
{{- define "paynotify.subscriberRules" -}}
{{- $ports := list -}}
{{- range .Values.configuration.deliver.subscriptions -}}
{{- $ports = append $ports (include "paynotify.portOf" .url) -}}
{{- end -}}
- ports:
    {{- range $ports | uniq | sortAlpha }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- if .Values.networkPolicy.subscribers }}
    {{- toYaml .Values.networkPolicy.subscribers | nindent 4 }}
    {{- else }}
    {{- include "paynotify.internet" . | nindent 4 }}
    {{- end }}
{{- with .Values.configuration.deliver.proxy }}
# the forward proxy of the calls to subscribers
{{ include "paynotify.ruleFor" (dict "url" .url "peers" $.Values.networkPolicy.subscriberProxy) }}
{{- end }}
{{- end -}}

{{/* All public addresses, as peers. */}}
{{- define "paynotify.internet" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
- ipBlock:
    cidr: ::/0
    except: ["fc00::/7", "fe80::/10"]
{{- end -}}

{{/* The rule that lets a process call a URL; given url and peers, of which none means anywhere. */}}
{{- define "paynotify.ruleFor" -}}
- ports:
    - {port: {{ include "paynotify.portOf" .url }}, protocol: TCP}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "paynotify.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end -}}

{{/* The hosts and ports of these merchants' providers, as JSON {"HOST": [PORT, ...]}; given root and merchants. */}}
{{- define "paynotify.providerHosts" -}}
{{- $hosts := dict -}}
{{- range .merchants -}}
{{- range $url := get (include "paynotify.calledURLs" (dict "root" $.root "merchant" .) | fromJson) "urls" -}}
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
