{{/* What no schema can say. Each sentence names the key, what is wrong, and what is allowed. */}}

{{/* A quantity as a number that can be compared, in thousandths. */}}
{{- define "paynotify.thousandths" -}}
{{- $units := dict "" 1000 "m" 1 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "Ki" 1024e3 "Mi" 1048576e3 "Gi" 1073741824e3 "Ti" 1099511627776e3 -}}
{{- $text := toString . -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text) | float64) -}}
{{- end -}}

{{- define "paynotify.checkResources" -}}
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
{{- $urls := dict (ternary "webservices_url" "base_url" (eq .provider "trustpayments")) (include "paynotify.baseURL" .) -}}
{{- with .charges -}}{{- $_ := set $urls "charges.public_url" .public_url -}}{{- end -}}
{{- range $key, $url := $urls -}}
{{- if not (or (hasPrefix "https://" $url) (and $.Values.configuration.sandbox (hasPrefix "http://" $url))) -}}
{{- fail (printf "configuration.merchants[%d].%s is %q and no https URL. Use https://…; http needs configuration.sandbox: true." $index $key $url) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "paynotify.checkTopics" -}}
{{- $known := dict -}}
{{- range (.Files.Get "files/topics.yaml" | fromYaml).topics -}}{{- $_ := set $known .name . -}}{{- end -}}
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

{{- define "paynotify.checkWorkers" -}}
{{- $done := dict -}}
{{- range $name, $group := include "paynotify.groups" . | fromJson -}}
{{- if has $name (list "ingest" "topics" "worker" "deny" "dashboards" "ingest-metrics") -}}
{{- fail (printf "workers.%s: the name is taken by another part of the chart. Choose another, such as %s-stages." $name $name) -}}
{{- end -}}
{{- $most := $group.replicas | default 1 | int -}}
{{- $key := "replicas" -}}
{{- if $group.autoscaling.enabled -}}
{{- $most = int $group.autoscaling.maxReplicas -}}
{{- $key = "autoscaling.maxReplicas" -}}
{{- if gt (int $group.autoscaling.minReplicas) $most -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas is %v and more than maxReplicas, %d. Set it to at most that." $name $group.autoscaling.minReplicas $most) -}}
{{- end -}}
{{- end -}}
{{- range $unit := $group.units -}}
{{- if hasKey $done $unit -}}
{{- fail (printf "workers.%s and workers.%s both run %s. Each stage of each provider belongs to exactly one group." (get $done $unit) $name $unit) -}}
{{- end -}}
{{- $_ := set $done $unit $name -}}
{{- $partitions := include "paynotify.partitions" (dict "root" $ "topic" (include "paynotify.source" $unit)) | int -}}
{{- if gt $most $partitions -}}
{{- fail (printf "workers.%s.%s is %d, but %s has %d partitions: a pod without one is never ready. Use at most %d." $name $key $most (include "paynotify.source" $unit) $partitions $partitions) -}}
{{- end -}}
{{- end -}}
{{- include "paynotify.checkResources" (dict "key" (printf "workers.%s.resources" $name) "resources" $group.resources) -}}
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
{{- if and (hasPrefix "SASL" ($values.configuration.kafka.security_protocol | default "")) (not $values.configuration.kafka.sasl_mechanism) -}}
{{- fail "configuration.kafka.sasl_mechanism is missing. Set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512." -}}
{{- end -}}
{{- if and $values.kafkaAccess.ca (not (and $values.kafkaAccess.ca.existingSecret $values.kafkaAccess.ca.key)) -}}
{{- fail "kafkaAccess.ca has only one of existingSecret and key. Give both or none." -}}
{{- end -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "ingest") -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "worker") -}}
{{- if eq $values.topics.manage "job" -}}
{{- include "paynotify.checkUser" (dict "root" . "user" "topics") -}}
{{- end -}}
{{- include "paynotify.checkMerchants" . -}}
{{- include "paynotify.checkTopics" . -}}
{{- include "paynotify.checkWorkers" . -}}
{{- include "paynotify.checkResources" (dict "key" "ingest.resources" "resources" $values.ingest.resources) -}}
{{- include "paynotify.checkResources" (dict "key" "topics.job.resources" "resources" $values.topics.job.resources) -}}
{{- if and $values.ingest.autoscaling.enabled (gt (int $values.ingest.autoscaling.minReplicas) (int $values.ingest.autoscaling.maxReplicas)) -}}
{{- fail (printf "ingest.autoscaling.minReplicas is %v and more than maxReplicas, %v. Set it to at most that." $values.ingest.autoscaling.minReplicas $values.ingest.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and (or (eq $values.topics.manage "strimzi") $values.strimzi.users.enabled) (not $values.strimzi.cluster) -}}
{{- fail "strimzi.cluster is missing. Set it to the name of the Kafka resource whose operators shall make topics and users." -}}
{{- end -}}
{{- if and $values.strimzi.users.enabled (eq $values.topics.manage "job") -}}
{{- fail "topics.manage is job, which runs before strimzi.users.enabled has made its user. Set it to strimzi or none." -}}
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
{{- $standstill := $worker.standstill_seconds | default 120 | float64 -}}
{{- if le $standstill ($worker.provider_timeout_seconds | default 15 | float64) -}}
{{- fail (printf "configuration.worker.standstill_seconds is %v and must be longer than provider_timeout_seconds, %v: waiting is no standstill." $standstill ($worker.provider_timeout_seconds | default 15)) -}}
{{- end -}}
{{- if le (float64 $values.alerts.standstillSeconds) $standstill -}}
{{- fail (printf "alerts.standstillSeconds is %v and must be longer than configuration.worker.standstill_seconds, %v: a pod that is started anew by then wakes nobody." $values.alerts.standstillSeconds $standstill) -}}
{{- end -}}
{{- end -}}
