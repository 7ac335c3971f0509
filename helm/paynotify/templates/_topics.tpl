{{/* The system's topics with the configuration's overrides applied, as the product applies them. As JSON {"topics": [...]}. */}}
{{- define "paynotify.topics" -}}
{{- $settings := .Values.configuration.topics -}}
{{- $overrides := $settings.overrides | default dict -}}
{{- $replicas := $settings.replication_factor | default 3 | int -}}
{{- $insync := $settings.min_insync_replicas | default (max 1 (sub $replicas 1)) | int -}}
{{- $topics := list -}}
{{- $file := .Files.Get "files/topics.yaml" | fromYaml -}}
{{- range $file.topics -}}
  {{- $override := get $overrides .name | default dict -}}
  {{- $copies := $override.replication_factor | default $replicas | int -}}
  {{- $seconds := $override.retention_seconds | default .retention_seconds -}}
  {{- $config := dict
      "cleanup.policy" (ternary (ternary "compact,delete" "compact" (not (empty $seconds))) "delete" .compacted)
      "retention.ms" (ternary "-1" (mul (int64 $seconds) 1000 | toString) (empty $seconds))
      "min.insync.replicas" (min $insync $copies | toString) -}}
  {{- with $override.retention_bytes | default .retention_bytes -}}
    {{- $config = mergeOverwrite $config $file.bounded (dict "retention.bytes" (int64 . | toString)) -}}
  {{- end -}}
  {{- $config = mergeOverwrite $config .settings ($override.settings | default dict) -}}
  {{- $partitions := include "paynotify.partitions" (dict "root" $ "topic" (.follows | default .name)) | int -}}
  {{- $topics = append $topics (dict "name" .name "partitions" $partitions "replicas" $copies "config" $config) -}}
{{- end -}}
{{- dict "topics" $topics | toJson -}}
{{- end -}}

{{/* How many bytes a partition of each used provider's notifications may have, as JSON {"PROVIDER": {"bytes"}}; those
without a bound are left out. */}}
{{- define "paynotify.callBounds" -}}
{{- $bounds := dict -}}
{{- $topics := get (include "paynotify.topics" . | fromJson) "topics" -}}
{{- range $provider := get (include "paynotify.providersInUse" . | fromJson) "providers" -}}
{{- range $topics -}}
{{- $bytes := get .config "retention.bytes" | default "-1" | float64 -}}
{{- if and (eq .name (printf "notifications.%s" $provider)) (gt $bytes 0.0) -}}
{{- $bounds = set $bounds $provider (dict "bytes" $bytes) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $bounds | toJson -}}
{{- end -}}

{{/* The rights of files/tools-rights.yaml as rules of a user, as a JSON list; given prefix and given. */}}
{{- define "paynotify.rules" -}}
{{- $prefix := .prefix -}}
{{- $rules := list -}}
{{- range .given -}}
{{- $rules = append $rules (dict "type" .type "name" (printf "%s%s" $prefix .name) "patternType" (ternary "prefix" "literal" (eq .type "group")) "operations" .operations) -}}
{{- end -}}
{{- $rules | toJson -}}
{{- end -}}

{{/* One access rule; given type, name, operations and perhaps patternType. */}}
{{- define "paynotify.acl" -}}
- resource: {type: {{ .type }}, name: {{ .name | quote }}, patternType: {{ .patternType | default "literal" }}}
  operations: [{{ join ", " .operations }}]
{{- end -}}
