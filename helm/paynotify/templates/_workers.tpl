{{/* The groups of stages that have something to do, with their defaults filled in. */}}

{{/* Stages that belong to each provider; the others serve all. */}}
{{- define "paynotify.providerStages" -}}
verify fetch interpret
{{- end -}}

{{/* As JSON {"providers": [...]}: those that have a merchant. */}}
{{- define "paynotify.providersInUse" -}}
{{- $used := list -}}
{{- range .Values.configuration.merchants -}}{{- $used = append $used .provider -}}{{- end -}}
{{- dict "providers" ($used | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{/* As JSON {"NAME": group, ...}; each group with `units` (verify.omnikassa, resolve, ...) and `merchants`. */}}
{{- define "paynotify.groups" -}}
{{- $values := .Values -}}
{{- $used := get (include "paynotify.providersInUse" . | fromJson) "providers" -}}
{{- $ofProvider := splitList " " (include "paynotify.providerStages" .) -}}
{{- $groups := dict -}}
{{- range $name, $given := $values.workers -}}
  {{- if $given -}}
  {{- $group := mergeOverwrite (deepCopy $values.workerDefaults) (deepCopy $given) -}}
  {{- range $which, $amounts := $given.resources -}}
    {{- range $what, $amount := $amounts -}}
      {{- if kindIs "invalid" $amount -}}{{- $_ := unset (get $group.resources $which) $what -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $units := list -}}
  {{- $served := list -}}
  {{- range $stage := $group.stages -}}
    {{- if has $stage $ofProvider -}}
      {{- range $provider := $group.providers -}}
        {{- if has $provider $used -}}
          {{- $units = append $units (printf "%s.%s" $stage $provider) -}}
          {{- $served = append $served $provider -}}
        {{- end -}}
      {{- end -}}
    {{- else -}}
      {{- $units = append $units $stage -}}
      {{- if eq $stage "charge" -}}{{- $served = append $served "nevogate" -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if $units -}}
    {{- $merchants := list -}}
    {{- range $values.configuration.merchants -}}
      {{- if has .provider $served -}}{{- $merchants = append $merchants . -}}{{- end -}}
    {{- end -}}
    {{- $group = merge (dict "units" $units "merchants" $merchants) $group -}}
    {{- $_ := set $groups $name $group -}}
  {{- end -}}
  {{- end -}}
{{- end -}}
{{- $groups | toJson -}}
{{- end -}}

{{/* The topics a unit reads, the one it works through first, as JSON {"topics": [...]}. Without retry topics: what lies
there waits for its time, which more pods would not shorten, and comes back through `lookups` when it is due. */}}
{{- define "paynotify.inputs" -}}
{{- $parts := splitList "." . -}}
{{- $stage := index $parts 0 -}}
{{- $provider := rest $parts | join "." -}}
{{- $inputs := get (dict
    "verify" (list (printf "notifications.%s" $provider))
    "fetch" (list (printf "lookups.%s" $provider))
    "interpret" (list (printf "responses.%s" $provider))
    "resolve" (list "observations")
    "orders" (list "payments.orders" "payments.expected")
    "charge" (list "payments.charges" "payments.requested")) $stage -}}
{{- /* only this one's calls are unsigned: verify learns which ids are known */}}
{{- if eq . "verify.nevogate" -}}{{- $inputs = append $inputs "lookups.nevogate.known" -}}{{- end -}}
{{- dict "topics" $inputs | toJson -}}
{{- end -}}

{{/* The topic a unit works through. */}}
{{- define "paynotify.source" -}}
{{- get (include "paynotify.inputs" . | fromJson) "topics" | first -}}
{{- end -}}
