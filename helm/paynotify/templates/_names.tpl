{{/* Names and labels. A name has at most 30 characters, so that every name derived from it has at most 63. */}}
{{- define "paynotify.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains "paynotify" .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Name }}-paynotify
{{- end -}}
{{- end -}}

{{/* The labels that select the pods of one component; given (dict "root" $ "component" NAME). They never change: a
selector cannot be changed by an upgrade. */}}
{{- define "paynotify.selector" -}}
app.kubernetes.io/name: paynotify
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{/* The labels of an object; given root, component, and optionally more labels, which win over commonLabels. */}}
{{- define "paynotify.labels" -}}
{{ include "paynotify.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: paynotify
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge dict (.more | default dict) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "paynotify.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The labels of pods: without the chart's version, which would restart them all when only the chart changes. */}}
{{- define "paynotify.podLabels" -}}
{{ include "paynotify.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: paynotify
{{- with merge dict .root.Values.pod.labels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels that select all pods of the release. */}}
{{- define "paynotify.releaseSelector" -}}
app.kubernetes.io/name: paynotify
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The first of the given API versions that the cluster serves, else the first; given root, kind and versions. */}}
{{- define "paynotify.apiVersion" -}}
{{- $found := first .versions -}}
{{- range reverse .versions -}}
{{- if $.root.Capabilities.APIVersions.Has (printf "%s/%s" . $.kind) -}}{{- $found = . -}}{{- end -}}
{{- end -}}
{{ $found }}
{{- end -}}
