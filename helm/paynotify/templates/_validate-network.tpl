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
{{- $bits := splitList "/" .cidr | last | int -}}
{{- $network := get (include "paynotify.masked" (dict "address" $address "bits" $bits) | fromJson) "is" -}}
{{- if ne $network (get (include "paynotify.masked" (dict "address" $address "bits" 128) | fromJson) "is") -}}
{{- fail (printf "%s is %s, whose address goes on beyond its first %d bits. Give %s/%d for all of them, or %s/%d for the one." .key .cidr $bits $network $bits $address (ternary 128 32 (contains ":" $address))) -}}
{{- end -}}
{{- end -}}

{{/* An address whose bits beyond the first are 0, in full; given address and bits. As JSON {"is": "203.0.113.0"}. */}}
{{- define "paynotify.masked" -}}
{{- $six := contains ":" .address -}}
{{- $width := ternary 16 8 $six -}}
{{- $groups := splitList "." .address -}}
{{- if $six -}}
{{- $halves := splitList "::" .address -}}
{{- $left := splitList ":" (first $halves) | compact -}}
{{- $right := splitList ":" (rest $halves | join ":") | compact -}}
{{- $groups = $left -}}
{{- range until (sub 8 (len (concat $left $right)) | int) -}}{{- $groups = append $groups "0" -}}{{- end -}}
{{- $groups = concat $groups $right -}}
{{- end -}}
{{- $masked := list -}}
{{- range $index, $group := $groups -}}
{{- $number := int64 (ternary (printf "0x%s" $group) $group $six) -}}
{{- $block := 1 -}}
{{- range until (sub (mul (add1 $index) $width) $.bits | min $width | max 0 | int) -}}{{- $block = mul $block 2 -}}{{- end -}}
{{- $masked = append $masked (printf (ternary "%x" "%d" $six) (sub $number (mod $number $block))) -}}
{{- end -}}
{{- dict "is" (join (ternary ":" "." $six) $masked) | toJson -}}
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
{{- include "paynotify.checkCidr" (dict "key" (printf "%s.ipBlock.cidr" $key) "cidr" .cidr) -}}
{{- $bits := splitList "/" .cidr | last | int -}}
{{- $network := get (include "paynotify.masked" (dict "address" (splitList "/" .cidr | first) "bits" $bits) | fromJson) "is" -}}
{{- $within := .cidr -}}
{{- range $place, $part := .except -}}
{{- $its := printf "%s.ipBlock.except[%d]" $key $place -}}
{{- include "paynotify.checkCidr" (dict "key" $its "cidr" $part) -}}
{{- $around := get (include "paynotify.masked" (dict "address" (splitList "/" $part | first) "bits" $bits) | fromJson) "is" -}}
{{- if or (ne $around $network) (le (splitList "/" $part | last | int) $bits) -}}
{{- fail (printf "%s is %s and no part of %s. Give a smaller range within it, or leave it out." $its $part $within) -}}
{{- end -}}
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
