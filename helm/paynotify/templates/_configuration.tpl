{{/* The product's configuration file, rendered from the values: secrets become paths, and each process has its own Kafka user. */}}

{{/* The value with each secret replaced by {file: PATH}; as JSON {"is": value}, since a template can only return text. */}}
{{- define "paynotify.withFiles" -}}
{{- if kindIs "map" . -}}
  {{- if hasKey . "existingSecret" -}}
    {{- dict "is" (dict "file" (include "paynotify.secretPath" .)) | toJson -}}
  {{- else -}}
    {{- $copy := dict -}}
    {{- range $key, $value := . -}}
      {{- $_ := set $copy $key (get (include "paynotify.withFiles" $value | fromJson) "is") -}}
    {{- end -}}
    {{- dict "is" $copy | toJson -}}
  {{- end -}}
{{- else if kindIs "slice" . -}}
  {{- $copy := list -}}
  {{- range . -}}
    {{- $copy = append $copy (get (include "paynotify.withFiles" . | fromJson) "is") -}}
  {{- end -}}
  {{- dict "is" $copy | toJson -}}
{{- else -}}
  {{- dict "is" . | toJson -}}
{{- end -}}
{{- end -}}

{{/* The names of all Secrets that a value refers to, as JSON {"names": [...]}. */}}
{{- define "paynotify.secretsIn" -}}
{{- $names := list -}}
{{- if kindIs "map" . -}}
  {{- if hasKey . "existingSecret" -}}
    {{- $names = append $names .existingSecret -}}
  {{- else -}}
    {{- range $key, $value := . -}}
      {{- $names = concat $names (get (include "paynotify.secretsIn" $value | fromJson) "names") -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "slice" . -}}
  {{- range . -}}
    {{- $names = concat $names (get (include "paynotify.secretsIn" . | fromJson) "names") -}}
  {{- end -}}
{{- end -}}
{{- dict "names" ($names | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{/* The file of one process; given (dict "root" $ "user" ingest|worker|topics|deliver|console|tools). */}}
{{- define "paynotify.configuration" -}}
{{- $values := .root.Values -}}
{{- $user := get $values.kafkaAccess .user | default dict -}}
{{- $kafka := deepCopy $values.configuration.kafka -}}
{{- if not (hasPrefix "SASL" $kafka.security_protocol) -}}
  {{- $kafka = omit $kafka "sasl_mechanism" "sasl_oauth" -}}
{{- end -}}
{{- if eq ($kafka.sasl_mechanism | default "") "OAUTHBEARER" -}}
  {{- $oauth := $kafka.sasl_oauth | default dict -}}
  {{- with $user.username -}}{{- $oauth = set $oauth "client_id" . -}}{{- end -}}
  {{- with $user.password -}}{{- $oauth = set $oauth "client_secret" . -}}{{- end -}}
  {{- with $values.kafkaAccess.tokenCa -}}{{- $oauth = set $oauth "ca_file" (include "paynotify.secretPath" .) -}}{{- end -}}
  {{- if $values.kafkaAccess.serviceAccountToken.audience -}}{{- $oauth = set $oauth "token_file" "/run/secrets/kafka/token" -}}{{- end -}}
  {{- $kafka = set $kafka "sasl_oauth" $oauth -}}
{{- else -}}
  {{- with $user.username -}}{{- $kafka = set $kafka "sasl_plain_username" . -}}{{- end -}}
  {{- with $user.password -}}{{- $kafka = set $kafka "sasl_plain_password" . -}}{{- end -}}
{{- end -}}
{{- with $values.kafkaAccess.ca -}}{{- $kafka = set $kafka "ssl_cafile" (include "paynotify.secretPath" .) -}}{{- end -}}
{{- with $user.certificate -}}{{- $kafka = set $kafka "ssl_certfile" (include "paynotify.secretPath" .) -}}{{- end -}}
{{- with $user.privateKey -}}{{- $kafka = set $kafka "ssl_keyfile" (include "paynotify.secretPath" .) -}}{{- end -}}
{{- $file := set (deepCopy $values.configuration) "kafka" $kafka -}}
{{- $file = set $file "state_directory" "/var/lib/paynotify" -}}
{{- $secret := include "paynotify.tlsSecret" . -}}
{{- if $secret -}}
{{- $section := get $file .user | default dict -}}
{{- range $key, $name := dict "tls_certfile" "tls.crt" "tls_keyfile" "tls.key" -}}
{{- $section = set $section $key (include "paynotify.secretPath" (dict "existingSecret" $secret "key" $name)) -}}
{{- end -}}
{{- $file = set $file .user $section -}}
{{- end -}}
{{- $urls := include "paynotify.publicURLs" .root | fromJson -}}
{{- if and $urls.urls (not (hasKey ($file.ingest | default dict) "public_urls")) -}}
{{- $file = set $file "ingest" (set ($file.ingest | default dict) "public_urls" $urls.urls) -}}
{{- end -}}
{{- get (include "paynotify.withFiles" $file | fromJson) "is" | toYaml -}}
{{- end -}}

{{/* The Secret of the certificate with which a process terminates TLS itself; given root and user. */}}
{{- define "paynotify.tlsSecret" -}}
{{- if has .user (list "ingest" "console") -}}{{ get (get .root.Values .user) "tlsSecret" }}{{- end -}}
{{- end -}}

{{/* The Secrets that one process may read; given root, user, the merchants it serves, and whether it serves the subscribers,
as deliver does and the doctor's checks do. As JSON {"names": [...]}. Those of the workers' own section, such as the proxy's
credentials, are every worker's, and those of the console's users the console's; the keys of the encryption are the workers',
the ingress's and the console's. */}}
{{- define "paynotify.secrets" -}}
{{- $access := .root.Values.kafkaAccess -}}
{{- $subscribers := ternary .root.Values.configuration.deliver dict (.subscribers | default false) -}}
{{- $section := get (pick .root.Values.configuration "worker" "deliver" "console") (ternary "worker" .user (eq .user "tools")) | default dict -}}
{{- $keys := ternary dict .root.Values.configuration.encryption (has .user (list "topics" "deliver")) -}}
{{- $served := list -}}
{{- with include "paynotify.tlsSecret" . -}}
{{- $served = append $served (dict "existingSecret" .) -}}
{{- end -}}
{{- include "paynotify.secretsIn" (list $access.ca $access.tokenCa (get $access .user) $section $subscribers $keys .merchants $served) -}}
{{- end -}}

{{/* The number of partitions of a topic, by the rules of the product: its override, else the default. Given root and topic. */}}
{{- define "paynotify.partitions" -}}
{{- $topics := .root.Values.configuration.topics -}}
{{- $override := get ($topics.overrides | default dict) .topic | default dict -}}
{{- $override.partitions | default $topics.partitions | default 4 -}}
{{- end -}}

{{/* The URLs that providers call, as JSON {"urls": [...]}: what the doctor judges. Whether a Gateway's listener has TLS is not
known here, so its hosts are named as https, and the doctor looks whether they take calls without. */}}
{{- define "paynotify.publicURLs" -}}
{{- $urls := list -}}
{{- if .Values.httpIngress.enabled -}}
{{- $scheme := ternary "http" "https" (empty .Values.httpIngress.tlsSecret) -}}
{{- range .Values.httpIngress.hosts -}}{{- if not (hasPrefix "*" .) -}}{{- $urls = append $urls (printf "%s://%s" $scheme .) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
{{- range .Values.httpRoute.hostnames -}}{{- if not (hasPrefix "*" .) -}}{{- $urls = append $urls (printf "https://%s" .) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- dict "urls" ($urls | uniq) | toJson -}}
{{- end -}}
