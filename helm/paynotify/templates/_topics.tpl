{{/* The system's topics with the configuration's overrides applied, as the product applies them. As JSON {"topics": [...]}. */}}
{{- define "paynotify.topics" -}}
{{- $settings := .Values.configuration.topics -}}
{{- $overrides := $settings.overrides | default dict -}}
{{- $replicas := $settings.replication_factor | default 3 | int -}}
{{- $insync := $settings.min_insync_replicas | default (max 1 (sub $replicas 1)) | int -}}
{{- $topics := list -}}
{{- range (.Files.Get "files/topics.yaml" | fromYaml).topics -}}
  {{- $override := get $overrides .name | default dict -}}
  {{- $copies := $override.replication_factor | default $replicas | int -}}
  {{- $seconds := $override.retention_seconds | default .retention_seconds -}}
  {{- $config := dict
      "cleanup.policy" (ternary (ternary "compact,delete" "compact" (not (empty $seconds))) "delete" .compacted)
      "retention.ms" (ternary "-1" (mul (int64 $seconds) 1000 | toString) (empty $seconds))
      "min.insync.replicas" (min $insync $copies | toString) -}}
  {{- $config = mergeOverwrite $config .settings ($override.settings | default dict) -}}
  {{- $partitions := include "paynotify.partitions" (dict "root" $ "topic" (.follows | default .name)) | int -}}
  {{- $topics = append $topics (dict "name" .name "partitions" $partitions "replicas" $copies "config" $config) -}}
{{- end -}}
{{- dict "topics" $topics | toJson -}}
{{- end -}}

{{/* One access rule; given type, name, operations and perhaps patternType. */}}
{{- define "paynotify.acl" -}}
- resource: {type: {{ .type }}, name: {{ .name | quote }}, patternType: {{ .patternType | default "literal" }}}
  operations: [{{ join ", " .operations }}]
{{- end -}}
