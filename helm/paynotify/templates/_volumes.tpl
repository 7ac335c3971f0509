{{/* What the chart mounts into its containers:

  /etc/paynotify                    the process's configuration file (ConfigMap)
  /run/secrets/paynotify/SECRET     each Secret that the process may read, one file for each key
  /run/secrets/kafka                the token of the pod's service account for the brokers, if they take such
  /tmp                              64 MiB, emptied with the pod
  /var/lib/paynotify                the worker's local state: a volume of its own, or an emptyDir if it is ephemeral

and what pod.extraVolumes and pod.extraVolumeMounts say. */}}

{{/* The pod's volumes; given root, names (of Secrets), configMap, and copied: Secrets of which the hook has its own copy. */}}
{{- define "paynotify.volumes" -}}
- name: configuration
  configMap: {name: {{ .configMap }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range $index, $name := .names }}
- name: secret-{{ $index }}
  secret: {secretName: {{ ternary (printf "%s-hook" $name) $name (has $name $.copied) | quote }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.kafkaAccess.serviceAccountToken }}
{{- if .audience }}
- name: kafka-token
  projected:
    sources:
      - serviceAccountToken: {path: token, audience: {{ .audience | quote }}, expirationSeconds: {{ int64 .expirationSeconds }}}
{{- end }}
{{- end }}
{{- with .root.Values.pod.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the container finds them; given root and the same names. */}}
{{- define "paynotify.volumeMounts" -}}
- {name: configuration, mountPath: /etc/paynotify, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- range $index, $name := .names }}
- {name: secret-{{ $index }}, mountPath: /run/secrets/paynotify/{{ $name }}, readOnly: true}
{{- end }}
{{- if .root.Values.kafkaAccess.serviceAccountToken.audience }}
- {name: kafka-token, mountPath: /run/secrets/kafka, readOnly: true}
{{- end }}
{{- with .root.Values.pod.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The path of a secret in the container; given the reference {existingSecret, key}. */}}
{{- define "paynotify.secretPath" -}}
/run/secrets/paynotify/{{ .existingSecret }}/{{ .key }}
{{- end -}}

{{/* The worker's state in the pod; given the group's state. A persistent one is a claim template of the StatefulSet. */}}
{{- define "paynotify.stateVolume" -}}
{{- if .ephemeral }}
- name: state
  emptyDir: {sizeLimit: {{ include "paynotify.quantity" .size }}}
{{- end }}
{{- end -}}

{{- define "paynotify.stateMount" -}}
- {name: state, mountPath: /var/lib/paynotify}
{{- end -}}

{{/* The StatefulSet's claim for the state; given state and names (root and component). */}}
{{- define "paynotify.stateClaim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: state
    labels:
      {{- include "paynotify.selector" .names | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .state.storageClassName }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests: {storage: {{ include "paynotify.quantity" .state.size }}}
{{- end -}}
