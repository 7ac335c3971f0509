{{/* Security, scheduling and environment of all pods. Their volumes are in _volumes.tpl. */}}

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

{{/* Where the pods may run, and whom they ask for names; given root, component, and spread for workloads of several pods. */}}
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
{{- $affinity = merge (include "paynotify.antiAffinity" . | fromYaml) $affinity -}}
{{- end -}}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $pod.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
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

{{/* The spread constraints say the same; policy checkers look for this one. Given root and component. */}}
{{- define "paynotify.antiAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "paynotify.selector" . | nindent 12 }}
{{- end -}}

{{- define "paynotify.environment" -}}
- {name: PAYNOTIFY_CONFIG, value: /etc/paynotify/paynotify.yaml}
- {name: PYTHONDONTWRITEBYTECODE, value: "1"}
{{- with .Values.traces.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $.Values.traces.sampledShare | toString | quote }}}
{{- end }}
{{- with .Values.pod.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
