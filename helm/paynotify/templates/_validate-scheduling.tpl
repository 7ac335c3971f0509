{{/* What the API server would refuse of Kubernetes' own words in values, but only after the topics job has run. */}}

{{/* What labels must be like; given key and expressions. */}}
{{- define "paynotify.checkExpressions" -}}
{{- range $index, $one := .expressions | default list -}}
{{- $values := .values | default list -}}
{{- $wanted := get (dict "In" "values, a list of at least one" "NotIn" "values, a list of at least one" "Gt" "values, a list of one number in quotes" "Lt" "values, a list of one number in quotes") .operator -}}
{{- $right := not $values -}}
{{- if has .operator (list "In" "NotIn") -}}{{- $right = not (not $values) -}}{{- end -}}
{{- if has .operator (list "Gt" "Lt") -}}{{- $right = and (eq (len $values) 1) (regexMatch "^-?[0-9]+$" (first $values | default "")) -}}{{- end -}}
{{- if not $right -}}
{{- fail (printf "%s[%d] has the operator %s. Give it %s." $.key $index .operator ($wanted | default "no values")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkSelector" -}}
{{- include "paynotify.checkExpressions" (dict "key" (printf "%s.matchExpressions" .key) "expressions" (.selector | default dict).matchExpressions) -}}
{{- end -}}

{{- define "paynotify.checkNodeTerm" -}}
{{- range $which := list "matchExpressions" "matchFields" -}}
{{- include "paynotify.checkExpressions" (dict "key" (printf "%s.%s" $.key $which) "expressions" (get $.term $which)) -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkPodTerm" -}}
{{- range $which := list "labelSelector" "namespaceSelector" -}}
{{- include "paynotify.checkSelector" (dict "key" (printf "%s.%s" $.key $which) "selector" (get $.term $which)) -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkScheduling" -}}
{{- range $index, $one := .Values.pod.tolerations -}}
{{- $key := printf "pod.tolerations[%d]" $index -}}
{{- $exists := eq (.operator | default "Equal") "Exists" -}}
{{- if not (or .key $exists) -}}
{{- fail (printf "%s has no key. Give the taint's, or operator: Exists for every taint." $key) -}}
{{- end -}}
{{- if and $exists .value -}}
{{- fail (printf "%s has a value, which operator: Exists does not compare. Leave it out, or set operator: Equal." $key) -}}
{{- end -}}
{{- if and (hasKey . "tolerationSeconds") (ne (.effect | default "") "NoExecute") -}}
{{- fail (printf "%s has tolerationSeconds, which are for effect: NoExecute only. Set that, or leave them out." $key) -}}
{{- end -}}
{{- end -}}
{{- $required := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $preferred := "preferredDuringSchedulingIgnoredDuringExecution" -}}
{{- with .Values.pod.affinity.nodeAffinity -}}
{{- range $index, $term := (get . $required | default dict).nodeSelectorTerms -}}
{{- include "paynotify.checkNodeTerm" (dict "key" (printf "pod.affinity.nodeAffinity.%s.nodeSelectorTerms[%d]" $required $index) "term" $term) -}}
{{- end -}}
{{- range $index, $one := get . $preferred | default list -}}
{{- include "paynotify.checkNodeTerm" (dict "key" (printf "pod.affinity.nodeAffinity.%s[%d].preference" $preferred $index) "term" .preference) -}}
{{- end -}}
{{- end -}}
{{- range $which := list "podAffinity" "podAntiAffinity" -}}
{{- $given := get $.Values.pod.affinity $which | default dict -}}
{{- range $index, $term := get $given $required | default list -}}
{{- include "paynotify.checkPodTerm" (dict "key" (printf "pod.affinity.%s.%s[%d]" $which $required $index) "term" $term) -}}
{{- end -}}
{{- range $index, $one := get $given $preferred | default list -}}
{{- include "paynotify.checkPodTerm" (dict "key" (printf "pod.affinity.%s.%s[%d].podAffinityTerm" $which $preferred $index) "term" .podAffinityTerm) -}}
{{- end -}}
{{- end -}}
{{- end -}}
