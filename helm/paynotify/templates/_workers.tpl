{{/* The groups of workers that have a stage to run, with their defaults filled in. */}}

{{/* The stages that run once for each provider; the others serve all providers. */}}
{{- define "paynotify.providerStages" -}}
verify fetch interpret
{{- end -}}

{{/* The providers that have a merchant, as JSON {"providers": [...]}. */}}
{{- define "paynotify.providersInUse" -}}
{{- $used := list -}}
{{- range .Values.configuration.merchants -}}{{- $used = append $used .provider -}}{{- end -}}
{{- dict "providers" ($used | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{/* As JSON {"NAME": group, ...}; each group with its `runners` (verify.omnikassa, resolve, ...) and `merchants`. */}}
{{- define "paynotify.groups" -}}
{{- $values := .Values -}}
{{- $used := get (include "paynotify.providersInUse" . | fromJson) "providers" -}}
{{- $ofProvider := splitList " " (include "paynotify.providerStages" .) -}}
{{- $charging := list -}}
{{- range (.Files.Get "files/topics.yaml" | fromYaml).providers -}}
  {{- if .charges -}}{{- $charging = append $charging .name -}}{{- end -}}
{{- end -}}
{{- $groups := dict -}}
{{- range $name, $given := $values.workers -}}
  {{- if $given -}}
  {{- $group := mergeOverwrite (deepCopy $values.workerDefaults) (deepCopy $given) -}}
  {{- range $which, $amounts := $given.resources -}}
    {{- range $what, $amount := $amounts -}}
      {{- if kindIs "invalid" $amount -}}{{- $_ := unset (get $group.resources $which) $what -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $runners := list -}}
  {{- $served := list -}}
  {{- range $stage := $group.stages -}}
    {{- if has $stage $ofProvider -}}
      {{- range $provider := $group.providers -}}
        {{- if has $provider $used -}}
          {{- $runners = append $runners (printf "%s.%s" $stage $provider) -}}
          {{- $served = append $served $provider -}}
        {{- end -}}
      {{- end -}}
    {{- else -}}
      {{- $runners = append $runners $stage -}}
      {{- if eq $stage "charge" -}}{{- $served = concat $served $charging -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if $runners -}}
    {{- $merchants := list -}}
    {{- range $values.configuration.merchants -}}
      {{- if has .provider $served -}}{{- $merchants = append $merchants . -}}{{- end -}}
    {{- end -}}
    {{- $group = merge (dict "runners" $runners "merchants" $merchants) $group -}}
    {{- $_ := set $groups $name $group -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- $groups | toJson -}}
{{- end -}}

{{/* The topics that a stage runner reads, its source first, as JSON {"topics": [...]}; given {"root", "runner"}. Without retry topics: their records
wait until they are due, which more pods would not shorten, and come back through `lookups`. */}}
{{- define "paynotify.inputs" -}}
{{- $parts := splitList "." .runner -}}
{{- $stage := index $parts 0 -}}
{{- $provider := rest $parts | join "." -}}
{{- $inputs := get (dict
    "verify" (list (printf "notifications.%s" $provider))
    "fetch" (list (printf "lookups.%s" $provider))
    "interpret" (list (printf "responses.%s" $provider))
    "resolve" (list "observations")
    "orders" (list "payments.orders" "payments.expected")
    "charge" (list "payments.charges" "payments.requested")) $stage -}}
{{- /* where calls may be unsigned, verify reads which ids the provider knows */}}
{{- $accepting := list -}}
{{- range .root.Values.configuration.merchants -}}
  {{- if .accept_unsigned -}}{{- $accepting = append $accepting .provider -}}{{- end -}}
{{- end -}}
{{- range (.root.Files.Get "files/topics.yaml" | fromYaml).providers -}}
  {{- if and (or .unsigned (has .name $accepting)) (eq $stage "verify") (eq $provider .name) -}}
    {{- $inputs = append $inputs (printf "lookups.%s.known" $provider) -}}
  {{- end -}}
{{- end -}}
{{- dict "topics" $inputs | toJson -}}
{{- end -}}

{{/* The topic whose partitions the runner shares among its pods. */}}
{{- define "paynotify.source" -}}
{{- get (include "paynotify.inputs" . | fromJson) "topics" | first -}}
{{- end -}}
