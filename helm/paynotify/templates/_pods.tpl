{{/* What every pod has in common. */}}

{{- define "paynotify.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.pod.runAsUser }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
fsGroup: {{ . | int64 }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "paynotify.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Scheduling; given root and component. */}}
{{- define "paynotify.scheduling" -}}
{{- $pod := .root.Values.pod -}}
{{- with $pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "paynotify.spread" -}}
{{- if .root.Values.pod.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $.root.Values.pod.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "paynotify.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Secrets and the configuration as volumes; given names (of Secrets), configMap, and suffix of the Secrets' objects. */}}
{{- define "paynotify.volumes" -}}
- name: configuration
  configMap: {name: {{ .configMap }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range $index, $name := .names }}
- name: secret-{{ $index }}
  secret: {secretName: {{ ternary (printf "%s-hook" $name) $name (has $name $.copied) | quote }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "paynotify.mounts" -}}
- {name: configuration, mountPath: /etc/paynotify, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- range $index, $name := .names }}
- {name: secret-{{ $index }}, mountPath: /run/secrets/paynotify/{{ $name }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "paynotify.environment" -}}
- {name: PAYNOTIFY_CONFIG, value: /etc/paynotify/paynotify.yaml}
- {name: PYTHONDONTWRITEBYTECODE, value: "1"}
{{- end -}}
