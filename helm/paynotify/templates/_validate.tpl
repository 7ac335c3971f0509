{{/* Refuses values whose mistake would do silent harm and which a schema cannot express: it compares several of them.
Everything else is refused by values.schema.json, the API server, or the topics job, which reads the product's file. */}}
{{- define "paynotify.validate" -}}
{{- include "paynotify.validateNames" . -}}
{{- include "paynotify.validateKafka" . -}}
{{- include "paynotify.validateMerchants" . -}}
{{- include "paynotify.validateStages" . -}}
{{- range $name, $group := include "paynotify.groups" . | fromJson -}}
{{- include "paynotify.validateReplicas" (dict "root" $ "name" $name "group" $group) -}}
{{- include "paynotify.validateVolume" (dict "root" $ "name" $name "state" $group.state) -}}
{{- end -}}
{{- end -}}

{{/* A StatefulSet with a longer name gets no pods: a label made from the name would be longer than 63 characters. */}}
{{- define "paynotify.validateNames" -}}
{{- $full := include "paynotify.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$" $full) -}}
{{- fail (printf "The release's name makes objects called %s. Set fullnameOverride to at most 30 lower-case letters, digits and hyphens, beginning with a letter." $full) -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.validateKafka" -}}
{{- with .Values.configuration.topics -}}
{{- if gt (.min_insync_replicas | default 0 | int) (int .replication_factor) -}}
{{- fail (printf "configuration.topics.min_insync_replicas is %v and more than replication_factor, %v: nothing could be written. Set it to at most that, and to less if a broker may fail." .min_insync_replicas .replication_factor) -}}
{{- end -}}
{{- end -}}
{{- if eq (.Values.configuration.kafka.sasl_mechanism | default "") "OAUTHBEARER" -}}
{{- range $name, $group := include "paynotify.groups" . | fromJson -}}
{{- if $group.autoscaling.enabled -}}
{{- fail (printf "workers.%s.autoscaling: the chart gives KEDA no token for the brokers, and configuration.kafka.sasl_mechanism is OAUTHBEARER. Use another mechanism, or a number of replicas." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.strimzi.users.enabled -}}
{{- $processes := list (printf "%s-ingest" (include "paynotify.fullname" .)) (printf "%s-worker" (include "paynotify.fullname" .)) (printf "%s-deliver" (include "paynotify.fullname" .)) (printf "%s-console" (include "paynotify.fullname" .)) (printf "%s-tools" (include "paynotify.fullname" .)) -}}
{{- range $name := concat .Values.strimzi.users.consumers (keys .Values.strimzi.users.shops) -}}
{{- if has $name $processes -}}
{{- fail (printf "strimzi.users: %s is the user of one of paynotify's own processes. Choose another name." $name) -}}
{{- end -}}
{{- end -}}
{{- /* a consumer may use every group that begins with its name */}}
{{- $groups := printf "%spaynotify." (.Values.configuration.kafka.topic_prefix | default "") -}}
{{- range $index, $name := .Values.strimzi.users.consumers -}}
{{- if or (hasPrefix $name $groups) (hasPrefix $groups $name) -}}
{{- fail (printf "strimzi.users.consumers[%d] is %s, which would have rights on the workers' own consumer groups, %s*. Choose a name that neither begins like them nor is the beginning of theirs, such as erp." $index $name $groups) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cilium's policies match host names only, so calls to an address would be dropped. */}}
{{- define "paynotify.validateMerchants" -}}
{{- if and .Values.networkPolicy.enabled .Values.networkPolicy.cilium -}}
{{- range $index, $merchant := .Values.configuration.merchants -}}
{{- range $key := list "base_url" "webservices_url" "jwks_url" -}}
{{- if regexMatch "^https?://(\\[|[0-9.]+(:|/|$))" (get $merchant $key | default "") -}}
{{- fail (printf "configuration.merchants[%d].%s is an address, and networkPolicy.cilium allows host names only. Give the provider's name, or set its networkPolicy.providerCIDRs and cilium: false." $index $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every stage of every provider in use belongs to exactly one group: records of a missing one would never be processed. */}}
{{- define "paynotify.validateStages" -}}
{{- $owners := dict -}}
{{- range $name, $group := include "paynotify.groups" . | fromJson -}}
{{- range $runner := $group.runners -}}
{{- if hasKey $owners $runner -}}
{{- fail (printf "workers.%s and workers.%s both run %s. Each stage of each provider belongs to exactly one group." (get $owners $runner) $name $runner) -}}
{{- end -}}
{{- $_ := set $owners $runner $name -}}
{{- end -}}
{{- end -}}
{{- $wanted := list "resolve" "orders" "charge" -}}
{{- range $provider := get (include "paynotify.providersInUse" . | fromJson) "providers" -}}
{{- range $stage := splitList " " (include "paynotify.providerStages" $) -}}
{{- $wanted = append $wanted (printf "%s.%s" $stage $provider) -}}
{{- end -}}
{{- end -}}
{{- $missing := list -}}
{{- range $wanted -}}{{- if not (hasKey $owners .) -}}{{- $missing = append $missing . -}}{{- end -}}{{- end -}}
{{- with $missing -}}
{{- fail (printf "workers: no group runs %s. Add each to a group's stages (and its provider to that group's providers)." (join ", " .)) -}}
{{- end -}}
{{- end -}}

{{/* A pod without a partition never becomes ready, so an upgrade would stop at it. */}}
{{- define "paynotify.validateReplicas" -}}
{{- $own := (get .root.Values.workers .name).autoscaling | default dict -}}
{{- $replicas := .group.replicas | default 1 | int -}}
{{- $key := printf "workers.%s.replicas" .name -}}
{{- if .group.autoscaling.enabled -}}
{{- $replicas = int .group.autoscaling.maxReplicas -}}
{{- $key = printf "%s.autoscaling.maxReplicas" (ternary (printf "workers.%s" .name) "workerDefaults" (hasKey $own "maxReplicas")) -}}
{{- end -}}
{{- range $runner := .group.runners -}}
{{- $source := include "paynotify.source" (dict "root" $.root "runner" $runner) -}}
{{- $partitions := include "paynotify.partitions" (dict "root" $.root "topic" $source) | int -}}
{{- if gt $replicas $partitions -}}
{{- fail (printf "%s is %d, but %s has %d partitions: a pod without one is never ready. Use at most %d." $key $replicas $source $partitions $partitions) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The API server would refuse this after other objects were changed. Without a cluster, `lookup` finds nothing. */}}
{{- define "paynotify.validateVolume" -}}
{{- $name := printf "%s-%s" (include "paynotify.fullname" .root) .name -}}
{{- with lookup "apps/v1" "StatefulSet" .root.Release.Namespace $name -}}
{{- $present := "no volume" -}}
{{- range .spec.volumeClaimTemplates -}}
{{- $present = printf "%s of class %q" (include "paynotify.thousandths" .spec.resources.requests.storage) (.spec.storageClassName | default "") -}}
{{- end -}}
{{- $wanted := "no volume" -}}
{{- if not $.state.ephemeral -}}
{{- $wanted = printf "%s of class %q" (include "paynotify.thousandths" $.state.size) ($.state.storageClassName | default "") -}}
{{- end -}}
{{- if ne $present $wanted -}}
{{- fail (printf "workers.%s.state: the volumes of an existing StatefulSet cannot be changed. First run `kubectl -n %s delete statefulset %s --cascade=orphan` (its pods keep running), then upgrade; the state is read again from Kafka." $.name $.root.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
