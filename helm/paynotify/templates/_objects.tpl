{{/* The objects that several workloads have beside their pods; given root, component and name. */}}

{{- define "paynotify.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  labels:
    {{- include "paynotify.labels" . | nindent 4 }}
  {{- with .root.Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* The configuration file; given also configuration. */}}
{{- define "paynotify.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  labels:
    {{- include "paynotify.labels" . | nindent 4 }}
data:
  paynotify.yaml: |
    {{- .configuration | nindent 4 }}
{{- end -}}

{{/* The pods' metrics. */}}
{{- define "paynotify.managementService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "paynotify.labels" . | nindent 4 }}
spec:
  clusterIP: None
  # with two families Prometheus would find each pod twice
  ipFamilyPolicy: SingleStack
  publishNotReadyAddresses: true
  selector:
    {{- include "paynotify.selector" . | nindent 4 }}
  ports:
    - {name: management, port: 9090, targetPort: management, protocol: TCP}
{{- end -}}

{{/* Given also maxUnavailable. */}}
{{- define "paynotify.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "paynotify.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "paynotify.selector" . | nindent 6 }}
{{- end -}}

{{/* The way in through an Ingress; given also settings, and the path that it leads to. */}}
{{- define "paynotify.httpIngress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .name }}
  labels:
    {{- include "paynotify.labels" . | nindent 4 }}
  {{- with .settings.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .settings.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- if .settings.tlsSecret }}
  tls:
    - secretName: {{ .settings.tlsSecret | quote }}
      hosts:
        {{- toYaml .settings.hosts | nindent 8 }}
  {{- end }}
  rules:
    {{- range .settings.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: {{ $.path }}
            pathType: Prefix
            backend: {service: {name: {{ $.name }}, port: {name: http}}}
    {{- end }}
{{- end -}}
