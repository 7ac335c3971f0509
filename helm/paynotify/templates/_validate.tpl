{{/* What no schema can say. Each sentence names the key, what is wrong, and what is allowed. */}}

{{/* A list of times; given key, times, and least. Numbers come from JSON, so they are compared as they are. */}}
{{- define "paynotify.checkTimes" -}}
{{- if lt (len .times) .least -}}
{{- fail (printf "%s is empty. Give 1 to 20 times in seconds, each after the one before." .key) -}}
{{- end -}}
{{- if gt (len .times) 20 -}}
{{- fail (printf "%s has %d times. Give at most 20, in seconds, each after the one before." .key (len .times)) -}}
{{- end -}}
{{- $before := 0.0 -}}
{{- range .times -}}
{{- if lt (float64 .) $before -}}
{{- fail (printf "%s has %v after %v. Give times in seconds that do not get shorter." $.key . $before) -}}
{{- end -}}
{{- $before = float64 . -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkURL" -}}
{{- if not (or (hasPrefix "https://" .url) (and .root.Values.configuration.sandbox (hasPrefix "http://" .url))) -}}
{{- fail (printf "%s is %q and no https URL. Use https://…; http needs configuration.sandbox: true." .key .url) -}}
{{- end -}}
{{- $port := regexFind "^https?://[^/]*:[0-9]+(/|$)" .url | trimSuffix "/" | regexFind "[0-9]+$" | default "443" -}}
{{- if or (not (regexMatch "^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[!-~]*)?$" .url)) (regexMatch "[?#]" .url) (lt (int $port) 1) (gt (int $port) 65535) -}}
{{- fail (printf "%s is %q and no base URL. Give scheme, host and path only, such as https://api.provider.example/v1." .key .url) -}}
{{- end -}}
{{- end -}}

{{/* Labels of ours would be given twice, and selectors would not find the pods. */}}
{{- define "paynotify.checkLabels" -}}
{{- range $name, $_ := .labels -}}
{{- if or (hasPrefix "app.kubernetes.io/" $name) (hasPrefix "helm.sh/" $name) -}}
{{- fail (printf "%s.%s is set by the chart itself. Choose another name, such as example.com/%s." $.key $name (splitList "/" $name | last)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Each secret that a value speaks of is one that the operator is told to make, if it makes that Secret at all. */}}
{{- define "paynotify.checkSecrets" -}}
{{- if kindIs "map" .value -}}
{{- if hasKey .value "existingSecret" -}}
{{- with get .root.Values.externalSecrets.secrets .value.existingSecret -}}
{{- if not (hasKey . $.value.key) -}}
{{- fail (printf "externalSecrets.secrets.%s has no key %s, which %s asks for. Add it, or correct the name there; it has %s." $.value.existingSecret $.value.key $.key (keys . | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range $name, $child := .value -}}
{{- include "paynotify.checkSecrets" (dict "root" $.root "value" $child "key" (printf "%s.%s" $.key $name)) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $index, $child := .value -}}
{{- include "paynotify.checkSecrets" (dict "root" $.root "value" $child "key" (printf "%s[%d]" $.key $index)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An amount of bytes; `512` is 512 bytes, not MiB. */}}
{{- define "paynotify.checkBytes" -}}
{{- if lt (include "paynotify.thousandths" .amount | float64) 67108864e3 -}}
{{- fail (printf "%s is %s, less than 64Mi. Give the amount with its unit, such as 512Mi or 5Gi." .key (include "paynotify.amount" .amount)) -}}
{{- end -}}
{{- end -}}

{{/* A quantity as a number that can be compared, in thousandths. */}}
{{- define "paynotify.thousandths" -}}
{{- $units := dict "" 1000 "m" 1 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "Ki" 1024e3 "Mi" 1048576e3 "Gi" 1073741824e3 "Ti" 1099511627776e3 -}}
{{- $text := include "paynotify.amount" . -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text) | float64) -}}
{{- end -}}

{{- define "paynotify.checkResources" -}}
{{- range $which, $amounts := .resources -}}
{{- with $amounts.cpu -}}
{{- if gt (include "paynotify.thousandths" . | float64) 256e3 -}}
{{- fail (printf "%s.%s.cpu is %s, more CPUs than a node has. Give thousandths of one with their unit, such as 500m." $.key $which (include "paynotify.amount" .)) -}}
{{- end -}}
{{- end -}}
{{- with $amounts.memory -}}
{{- include "paynotify.checkBytes" (dict "key" (printf "%s.%s.memory" $.key $which) "amount" .) -}}
{{- end -}}
{{- end -}}
{{- with get (.resources.limits | default dict) "ephemeral-storage" -}}
{{- include "paynotify.checkBytes" (dict "key" (printf "%s.limits.ephemeral-storage" $.key) "amount" .) -}}
{{- end -}}
{{- $requests := .resources.requests | default dict -}}
{{- range $what, $limit := .resources.limits | default dict -}}
{{- with get $requests $what -}}
{{- if gt (include "paynotify.thousandths" . | float64) (include "paynotify.thousandths" $limit | float64) -}}
{{- fail (printf "%s.requests.%s is %v and more than its limit, %v. Ask for at most the limit." $.key $what . $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkUser" -}}
{{- $protocol := .root.Values.configuration.kafka.security_protocol | default "PLAINTEXT" -}}
{{- $user := get .root.Values.kafkaAccess .user -}}
{{- if hasPrefix "SASL" $protocol -}}
{{- if not (and $user.username $user.password) -}}
{{- fail (printf "kafkaAccess.%s needs username and password: configuration.kafka.security_protocol is %s. Give `username: NAME` and `password: {existingSecret: NAME, key: KEY}`." .user $protocol) -}}
{{- end -}}
{{- else if or $user.username $user.password -}}
{{- fail (printf "kafkaAccess.%s has a username or password, but configuration.kafka.security_protocol is %s. Set it to SASL_SSL, or leave them out." .user $protocol) -}}
{{- end -}}
{{- if ne (empty $user.certificate) (empty $user.privateKey) -}}
{{- fail (printf "kafkaAccess.%s has only one of certificate and privateKey. Give both or none." .user) -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkMerchants" -}}
{{- $ids := dict -}}
{{- range $index, $merchant := .Values.configuration.merchants -}}
{{- if hasKey $ids .id -}}
{{- fail (printf "configuration.merchants[%d].id is %s, which is another merchant's id too. Ids are part of every key and must differ." $index .id) -}}
{{- end -}}
{{- $_ := set $ids .id true -}}
{{- $base := ternary "webservices_url" "base_url" (eq .provider "trustpayments") -}}
{{- if and $.Values.networkPolicy.enabled $.Values.networkPolicy.cilium (regexMatch "^https?://(\\[|[0-9.]+(:|/|$))" (include "paynotify.baseURL" .)) -}}
{{- fail (printf "configuration.merchants[%d].%s is an address, and networkPolicy.cilium lets workers through by name only. Give the provider's name, or its networkPolicy.providerCIDRs and cilium: false." $index $base) -}}
{{- end -}}
{{- $urls := dict $base (include "paynotify.baseURL" .) -}}
{{- with .charges -}}{{- $_ := set $urls "charges.public_url" .public_url -}}{{- end -}}
{{- range $key, $url := $urls -}}
{{- include "paynotify.checkURL" (dict "root" $ "url" $url "key" (printf "configuration.merchants[%d].%s" $index $key)) -}}
{{- end -}}
{{- if hasKey (.charges | default dict) "poll_schedule_seconds" -}}
{{- include "paynotify.checkTimes" (dict "times" .charges.poll_schedule_seconds "least" 1 "key" (printf "configuration.merchants[%d].charges.poll_schedule_seconds" $index)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkTopics" -}}
{{- $known := dict -}}
{{- range (.Files.Get "files/topics.yaml" | fromYaml).topics -}}{{- $_ := set $known .name . -}}{{- end -}}
{{- with .Values.configuration.topics -}}
{{- if gt (.min_insync_replicas | default 0 | int) (int .replication_factor) -}}
{{- fail (printf "configuration.topics.min_insync_replicas is %v and more than replication_factor, %v. Set it to at most that, and to less if a broker may fail." .min_insync_replicas .replication_factor) -}}
{{- end -}}
{{- end -}}
{{- range $name, $override := .Values.configuration.topics.overrides -}}
{{- if not (hasKey $known $name) -}}
{{- fail (printf "configuration.topics.overrides.%s is not a topic of paynotify. Use one of these names, without the prefix: %s." $name (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- with (get $known $name).follows -}}
{{- if $override.partitions -}}
{{- fail (printf "configuration.topics.overrides.%s.partitions can't be set: it has as many as %s. Set the partitions of %s." $name . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a StatefulSet that is there can't change, given root, group's name, and state. Without a cluster nothing is there. */}}
{{- define "paynotify.checkVolume" -}}
{{- $name := printf "%s-%s" (include "paynotify.fullname" .root) .name -}}
{{- with lookup "apps/v1" "StatefulSet" .root.Release.Namespace $name -}}
{{- $had := "no volume" -}}
{{- range .spec.volumeClaimTemplates -}}
{{- $had = printf "%s of class %q" (include "paynotify.thousandths" .spec.resources.requests.storage) (.spec.storageClassName | default "") -}}
{{- end -}}
{{- $state := $.state -}}
{{- $wanted := "no volume" -}}
{{- if not $state.ephemeral -}}
{{- $wanted = printf "%s of class %q" (include "paynotify.thousandths" $state.size) ($state.storageClassName | default "") -}}
{{- end -}}
{{- if ne $had $wanted -}}
{{- fail (printf "workers.%s.state: a StatefulSet that is there can't change its volumes. First `kubectl -n %s delete statefulset %s --cascade=orphan` (its pods go on), then upgrade; what is on old volumes can be read again from Kafka." $.name $.root.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkWorkers" -}}
{{- $done := dict -}}
{{- range $name, $given := .Values.workers -}}
{{- range $stage := ($given | default dict).stages -}}
{{- if and (has $stage (splitList " " (include "paynotify.providerStages" $))) (not $given.providers) -}}
{{- fail (printf "workers.%s.providers is missing: %s is done for each provider. Name those that it is for, such as [omnikassa]." $name $stage) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* by the name that was written, before it is each group's */ -}}
{{- with .Values.workerDefaults -}}
{{- include "paynotify.checkResources" (dict "key" "workerDefaults.resources" "resources" .resources) -}}
{{- include "paynotify.checkBytes" (dict "key" "workerDefaults.state.size" "amount" .state.size) -}}
{{- end -}}
{{- range $name, $group := include "paynotify.groups" . | fromJson -}}
{{- $scaling := (get $.Values.workers $name).autoscaling | default dict -}}
{{- if has $name (list "ingest" "topics" "worker" "deny" "dashboards" "ingest-metrics") -}}
{{- fail (printf "workers.%s: the name is taken by another part of the chart. Choose another, such as %s-stages." $name $name) -}}
{{- end -}}
{{- $most := $group.replicas | default 1 | int -}}
{{- $key := printf "workers.%s.replicas" $name -}}
{{- if $group.autoscaling.enabled -}}
{{- $most = int $group.autoscaling.maxReplicas -}}
{{- $key = printf "%s.autoscaling.maxReplicas" (ternary (printf "workers.%s" $name) "workerDefaults" (hasKey $scaling "maxReplicas")) -}}
{{- if gt (int $group.autoscaling.minReplicas) $most -}}
{{- fail (printf "%s.autoscaling.minReplicas is %v and more than maxReplicas, %d. Set it to at most that." (ternary (printf "workers.%s" $name) "workerDefaults" (hasKey $scaling "minReplicas")) $group.autoscaling.minReplicas $most) -}}
{{- end -}}
{{- end -}}
{{- range $unit := $group.units -}}
{{- if hasKey $done $unit -}}
{{- fail (printf "workers.%s and workers.%s both run %s. Each stage of each provider belongs to exactly one group." (get $done $unit) $name $unit) -}}
{{- end -}}
{{- $_ := set $done $unit $name -}}
{{- $partitions := include "paynotify.partitions" (dict "root" $ "topic" (include "paynotify.source" $unit)) | int -}}
{{- if gt $most $partitions -}}
{{- fail (printf "%s is %d, but %s has %d partitions: a pod without one is never ready. Use at most %d." $key $most (include "paynotify.source" $unit) $partitions $partitions) -}}
{{- end -}}
{{- end -}}
{{- include "paynotify.checkResources" (dict "key" (printf "workers.%s.resources" $name) "resources" $group.resources) -}}
{{- include "paynotify.checkVolume" (dict "root" $ "name" $name "state" $group.state) -}}
{{- include "paynotify.checkBytes" (dict "key" (printf "workers.%s.state.size" $name) "amount" $group.state.size) -}}
{{- end -}}
{{- $missing := list -}}
{{- range $stage := list "resolve" "orders" "charge" -}}
{{- if not (hasKey $done $stage) -}}{{- $missing = append $missing $stage -}}{{- end -}}
{{- end -}}
{{- range $provider := get (include "paynotify.providersInUse" .| fromJson) "providers" -}}
{{- range $stage := splitList " " (include "paynotify.providerStages" $) -}}
{{- $unit := printf "%s.%s" $stage $provider -}}
{{- if not (hasKey $done $unit) -}}{{- $missing = append $missing $unit -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- with $missing -}}
{{- fail (printf "workers: no group runs %s. Add each to a group's stages (and its provider to that group's providers)." (join ", " .)) -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.validate" -}}
{{- $values := .Values -}}
{{- $full := include "paynotify.fullname" . -}}
{{- if gt (len $full) 30 -}}
{{- fail (printf "The release's name makes objects called %s, which is longer than 30 characters. Set fullnameOverride to a shorter name." $full) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
{{- fail (printf "The release's name makes objects called %s, and a Service's name begins with a letter and has no dot. Set fullnameOverride to such a name." $full) -}}
{{- end -}}
{{- range $port := get (include "paynotify.brokerPorts" . | fromJson) "ports" -}}
{{- if or (lt (int $port) 1) (gt (int $port) 65535) -}}
{{- fail (printf "configuration.kafka.bootstrap_servers has the port %d. Use one from 1 to 65535." (int $port)) -}}
{{- end -}}
{{- end -}}
{{- include "paynotify.checkLabels" (dict "key" "commonLabels" "labels" $values.commonLabels) -}}
{{- include "paynotify.checkLabels" (dict "key" "pod.labels" "labels" $values.pod.labels) -}}
{{- include "paynotify.checkLabels" (dict "key" "monitoring.labels" "labels" $values.monitoring.labels) -}}
{{- include "paynotify.checkLabels" (dict "key" "monitoring.dashboardLabels" "labels" $values.monitoring.dashboardLabels) -}}
{{- if hasKey $values.pod.annotations "checksum/configuration" -}}
{{- fail "pod.annotations.checksum/configuration is set by the chart itself. Leave it out." -}}
{{- end -}}
{{- if $values.externalSecrets.enabled -}}
{{- include "paynotify.checkSecrets" (dict "root" . "value" $values.kafkaAccess "key" "kafkaAccess") -}}
{{- include "paynotify.checkSecrets" (dict "root" . "value" $values.configuration.merchants "key" "configuration.merchants") -}}
{{- end -}}
{{- if and (hasPrefix "SASL" ($values.configuration.kafka.security_protocol | default "")) (not $values.configuration.kafka.sasl_mechanism) -}}
{{- fail "configuration.kafka.sasl_mechanism is missing. Set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512." -}}
{{- end -}}
{{- if and $values.kafkaAccess.ca (not (and $values.kafkaAccess.ca.existingSecret $values.kafkaAccess.ca.key)) -}}
{{- fail "kafkaAccess.ca has only one of existingSecret and key. Give both or none." -}}
{{- end -}}
{{- $protocol := $values.configuration.kafka.security_protocol -}}
{{- if not (hasSuffix "SSL" $protocol) -}}
{{- range $key := list "ca" "ingest.certificate" "worker.certificate" "topics.certificate" -}}
{{- $given := $values.kafkaAccess -}}
{{- range splitList "." $key -}}{{- $given = get ($given | default dict) . -}}{{- end -}}
{{- if $given -}}
{{- fail (printf "kafkaAccess.%s is given, but configuration.kafka.security_protocol is %s, which encrypts nothing. Set it to %s, or leave the certificate out." $key $protocol (ternary "SASL_SSL" "SSL" (hasPrefix "SASL" $protocol))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "ingest") -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "worker") -}}
{{- if eq $values.topics.manage "job" -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "topics") -}}
{{- end -}}
{{- include "paynotify.checkMerchants" . -}}
{{- include "paynotify.checkTopics" . -}}
{{- include "paynotify.checkNetwork" . -}}
{{- include "paynotify.checkScheduling" . -}}
{{- include "paynotify.checkWorkers" . -}}
{{- include "paynotify.checkResources" (dict "key" "ingest.resources" "resources" $values.ingest.resources) -}}
{{- include "paynotify.checkResources" (dict "key" "topics.job.resources" "resources" $values.topics.job.resources) -}}
{{- if and $values.ingest.autoscaling.enabled (gt (int $values.ingest.autoscaling.minReplicas) (int $values.ingest.autoscaling.maxReplicas)) -}}
{{- fail (printf "ingest.autoscaling.minReplicas is %v and more than maxReplicas, %v. Set it to at most that." $values.ingest.autoscaling.minReplicas $values.ingest.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and $values.ingest.autoscaling.enabled (not (or ($values.ingest.resources.requests | default dict).cpu ($values.ingest.resources.limits | default dict).cpu)) -}}
{{- fail "ingest.resources.requests.cpu is missing, which ingest.autoscaling measures by. Set it, or ingest.autoscaling.enabled: false." -}}
{{- end -}}
{{- if and (or (eq $values.topics.manage "strimzi") $values.strimzi.users.enabled) (not $values.strimzi.cluster) -}}
{{- fail "strimzi.cluster is missing. Set it to the name of the Kafka resource whose operators shall make topics and users." -}}
{{- end -}}
{{- if $values.strimzi.users.enabled -}}
{{- range $name := concat $values.strimzi.users.consumers (keys $values.strimzi.users.shops) -}}
{{- if has $name (list (printf "%s-ingest" $full) (printf "%s-worker" $full)) -}}
{{- fail (printf "strimzi.users: %s is the user of a process of paynotify. Choose another name." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $values.strimzi.users.enabled -}}
{{- $groups := printf "%spaynotify." ($values.configuration.kafka.topic_prefix | default "") -}}
{{- range $index, $name := $values.strimzi.users.consumers -}}
{{- if or (hasPrefix $name $groups) (hasPrefix $groups $name) -}}
{{- fail (printf "strimzi.users.consumers[%d] is %s: its rights on groups that begin so would be rights on the workers' own, %s*. Choose a name that shares no beginning with them, such as erp." $index $name $groups) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.strimzi.users.enabled (eq $values.topics.manage "job") -}}
{{- fail "topics.manage is job, which runs before strimzi.users.enabled has made its user. Set it to strimzi or none." -}}
{{- end -}}
{{- if $values.strimzi.users.enabled -}}
{{- $kafka := $values.configuration.kafka -}}
{{- $scram := eq $values.strimzi.users.authentication "scram-sha-512" -}}
{{- if and $scram (not (and (hasPrefix "SASL" $kafka.security_protocol) (eq $kafka.sasl_mechanism "SCRAM-SHA-512"))) -}}
{{- fail "strimzi.users.authentication is scram-sha-512. Set configuration.kafka.security_protocol to SASL_SSL and sasl_mechanism to SCRAM-SHA-512, or authentication to tls." -}}
{{- end -}}
{{- if and (not $scram) (ne $kafka.security_protocol "SSL") -}}
{{- fail (printf "strimzi.users.authentication is %s. Set configuration.kafka.security_protocol to SSL, or authentication to scram-sha-512." $values.strimzi.users.authentication) -}}
{{- end -}}
{{- range $process := ternary (list "ingest" "worker") list $scram -}}
{{- $name := (get $values.kafkaAccess $process).username -}}
{{- if ne $name (printf "%s-%s" $full $process) -}}
{{- fail (printf "kafkaAccess.%s.username is %s, but strimzi.users.enabled makes %s-%s. Use that name, and the Secret that Strimzi makes for it." $process $name $full $process) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.externalSecrets.enabled (not $values.externalSecrets.store.name) -}}
{{- fail "externalSecrets.store.name is missing. Set it to the name of a SecretStore or ClusterSecretStore." -}}
{{- end -}}
{{- if and $values.httpIngress.enabled (not $values.httpIngress.hosts) -}}
{{- fail "httpIngress.hosts is empty. Name the hosts that providers call, for example [hooks.shop.example]." -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty. Name the Gateways, for example [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- $worker := $values.configuration.worker | default dict -}}
{{- if hasKey $worker "retry_delays_seconds" -}}
{{- include "paynotify.checkTimes" (dict "times" $worker.retry_delays_seconds "least" 1 "key" "configuration.worker.retry_delays_seconds") -}}
{{- end -}}
{{- range $provider, $times := ($worker.overdue | default dict).poll_schedule_seconds | default dict -}}
{{- include "paynotify.checkTimes" (dict "times" $times "least" 0 "key" (printf "configuration.worker.overdue.poll_schedule_seconds.%s" $provider)) -}}
{{- end -}}
{{- with $worker.retention -}}
{{- $closed := .compress_after_days | default 400 | float64 -}}
{{- $forgotten := ternary .delete_after_days 3650 (hasKey . "delete_after_days") -}}
{{- if and (not (kindIs "invalid" $forgotten)) (le (float64 $forgotten) $closed) -}}
{{- fail (printf "configuration.worker.retention.delete_after_days is %v and must be longer than compress_after_days, %v." $forgotten $closed) -}}
{{- end -}}
{{- end -}}
{{- $standstill := $worker.stall_seconds | default 120 | float64 -}}
{{- if le $standstill ($worker.provider_timeout_seconds | default 15 | float64) -}}
{{- fail (printf "configuration.worker.stall_seconds is %v and must be longer than provider_timeout_seconds, %v: waiting is no standstill." $standstill ($worker.provider_timeout_seconds | default 15)) -}}
{{- end -}}
{{- if le (float64 $values.alerts.stallSeconds) $standstill -}}
{{- fail (printf "alerts.stallSeconds is %v and must be longer than configuration.worker.stall_seconds, %v: a pod that is started anew by then wakes nobody." $values.alerts.stallSeconds $standstill) -}}
{{- end -}}
{{- end -}}
