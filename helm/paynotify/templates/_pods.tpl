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

{{/* Scheduling; given root, component, and spread for what has several pods. */}}
{{- define "paynotify.scheduling" -}}
{{- $pod := .root.Values.pod -}}
{{- $spread := and .spread $pod.topologySpread.enabled -}}
{{- with $pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := $pod.affinity -}}
{{- if and $spread (not (hasKey $affinity "podAntiAffinity")) -}}
{{- $affinity = merge (include "paynotify.apart" . | fromYaml) $affinity -}}
{{- end -}}
{{- with $affinity }}
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
{{- if $spread }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $pod.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "paynotify.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What the constraints say already, in the words that policy checks look for; given root and component. */}}
{{- define "paynotify.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "paynotify.selector" . | nindent 12 }}
{{- end -}}

{{/* An amount as it was written: numbers come from JSON, and a large one would get an exponent. */}}
{{- define "paynotify.amount" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ printf "%.0f" . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* What a container may use; given resources, and perhaps the size of a state that is kept in the pod. */}}
{{- define "paynotify.resources" -}}
{{- $size := .size -}}
{{- range $which, $amounts := .resources -}}
{{- with $amounts }}
{{ $which }}:
  {{- range $what, $amount := . -}}
  {{- $text := include "paynotify.amount" $amount -}}
  {{- if and $size (eq $what "ephemeral-storage") -}}
  {{- $thousandths := addf (include "paynotify.thousandths" $text) (include "paynotify.thousandths" $size) -}}
  {{- $text = printf "%.0fMi" (divf $thousandths 1048576e3 | ceil) -}}
  {{- end }}
  {{ $what }}: {{ $text | quote }}
  {{- end -}}
{{- end -}}
{{- end -}}
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
