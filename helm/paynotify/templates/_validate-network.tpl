{{/* What the API server would refuse of network policies, but only after the topics job has run. */}}

{{/* An address range; given key and cidr. The schema has looked at those of four numbers. */}}
{{- define "paynotify.checkCidr" -}}
{{- $address := splitList "/" .cidr | first -}}
{{- if contains ":" $address -}}
{{- $groups := splitList ":" $address | compact | len -}}
{{- $short := contains "::" $address -}}
{{- if or (contains ":::" $address) (gt (splitList "::" $address | len) 2) (regexMatch "^:[^:]|[^:]:$" $address) (ternary (gt $groups 7) (ne $groups 8) $short) -}}
{{- fail (printf "%s is %s and no CIDR. Give an address and how many of its bits count, such as 203.0.113.0/24 or 2001:db8::/32." .key .cidr) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Peers of a policy; given key and peers. */}}
{{- define "paynotify.checkPeers" -}}
{{- range $index, $peer := .peers -}}
{{- $key := printf "%s[%d]" $.key $index -}}
{{- if not $peer -}}
{{- fail (printf "%s is empty. Give podSelector, namespaceSelector (`{}` is all of them) or ipBlock." $key) -}}
{{- end -}}
{{- with $peer.ipBlock -}}
{{- if gt (len $peer) 1 -}}
{{- fail (printf "%s has an ipBlock and a selector. Make two entries of it: one peer is either addresses or pods." $key) -}}
{{- end -}}
{{- range prepend (.except | default list) .cidr -}}
{{- include "paynotify.checkCidr" (dict "key" (printf "%s.ipBlock" $key) "cidr" .) -}}
{{- end -}}
{{- end -}}
{{- range $which := list "podSelector" "namespaceSelector" -}}
{{- include "paynotify.checkSelector" (dict "key" (printf "%s.%s" $key $which) "selector" (get $peer $which)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkNetwork" -}}
{{- $policy := .Values.networkPolicy -}}
{{- range $which := list "ingressFrom" "metricsFrom" "dns" "brokers" -}}
{{- include "paynotify.checkPeers" (dict "key" (printf "networkPolicy.%s" $which) "peers" (get $policy $which)) -}}
{{- end -}}
{{- range $index, $rule := $policy.extraEgress -}}
{{- $key := printf "networkPolicy.extraEgress[%d]" $index -}}
{{- include "paynotify.checkPeers" (dict "key" (printf "%s.to" $key) "peers" .to) -}}
{{- range $at, $one := .ports -}}
{{- if and (kindIs "string" .port) (not (regexMatch "[a-z]" .port)) -}}
{{- fail (printf "%s.ports[%d].port is %q and no port's name. Give a number without quotes, or a name with a letter in it." $key $at .port) -}}
{{- end -}}
{{- if and .endPort (or (not .port) (kindIs "string" .port) (lt (float64 .endPort) (float64 .port))) -}}
{{- fail (printf "%s.ports[%d].endPort is %v. Give port as a number, too, and endPort at least as large." $key $at .endPort) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $provider, $ranges := $policy.providerCIDRs -}}
{{- range $index, $cidr := $ranges -}}
{{- include "paynotify.checkCidr" (dict "key" (printf "networkPolicy.providerCIDRs.%s[%d]" $provider $index) "cidr" $cidr) -}}
{{- end -}}
{{- end -}}
{{- end -}}
