{{/* Objects that exist before the release is installed or upgraded. */}}

{{/* The annotations of a hook; given weight, and optionally more annotations. */}}
{{- define "paynotify.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* One Secret made by the External Secrets operator; given root, name, keys, names, and weight for a hook's. */}}
{{- define "paynotify.externalSecret" -}}
apiVersion: {{ include "paynotify.apiVersion" (dict "root" .root "kind" "ExternalSecret" "versions" (list "external-secrets.io/v1" "external-secrets.io/v1beta1")) }}
kind: ExternalSecret
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "paynotify.labels" .names | nindent 4 }}
  {{- with .weight }}
  annotations:
    {{- include "paynotify.hook" (dict "weight" .) | nindent 4 }}
  {{- end }}
spec:
  refreshInterval: {{ .root.Values.externalSecrets.refreshInterval }}
  secretStoreRef:
    name: {{ .root.Values.externalSecrets.store.name | quote }}
    kind: {{ .root.Values.externalSecrets.store.kind | default "SecretStore" }}
  target: {name: {{ .name | quote }}, creationPolicy: Owner}
  data:
    {{- range $key, $from := .keys }}
    - secretKey: {{ $key | quote }}
      remoteRef:
        key: {{ $from.remoteKey | quote }}
        {{- with $from.property }}
        property: {{ . | quote }}
        {{- end }}
    {{- end }}
{{- end -}}
