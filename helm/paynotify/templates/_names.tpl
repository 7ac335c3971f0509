{{/* Names and labels. A name is at most 30 characters, so that all that is made of it stays within 63. */}}
{{- define "paynotify.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains "paynotify" .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Name }}-paynotify
{{- end -}}
{{- end -}}

{{/* What selects the pods of one component; given (dict "root" $ "component" NAME). Never changes over upgrades. */}}
{{- define "paynotify.selector" -}}
app.kubernetes.io/name: paynotify
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{/* Of objects; given root, component, and perhaps more labels, which win over commonLabels. */}}
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

{{/* Of pods: without the chart's version, which would restart everything when only the chart changes. */}}
{{- define "paynotify.podLabels" -}}
{{ include "paynotify.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: paynotify
{{- with merge dict .root.Values.pod.labels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* All pods of the release. */}}
{{- define "paynotify.everything" -}}
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
