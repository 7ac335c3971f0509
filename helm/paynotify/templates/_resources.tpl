{{/* Quantities of CPU, memory and storage. */}}

{{/* A quantity as it was written: numbers come from JSON, and a large one would be printed with an exponent. */}}
{{- define "paynotify.quantity" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ printf "%.0f" . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* A quantity as a number in thousandths, to compare and to add. */}}
{{- define "paynotify.thousandths" -}}
{{- $units := dict "" 1000 "m" 1 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "Ki" 1024e3 "Mi" 1048576e3 "Gi" 1073741824e3 "Ti" 1099511627776e3 -}}
{{- $text := include "paynotify.quantity" . -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text) | float64) -}}
{{- end -}}

{{/* A container's resources; given resources, and size if the worker's state is kept in the pod: the node must have
room for it besides logs and /tmp. */}}
{{- define "paynotify.resources" -}}
{{- $size := .size -}}
{{- range $which, $amounts := .resources -}}
{{- with $amounts }}
{{ $which }}:
  {{- range $what, $amount := . -}}
  {{- $text := include "paynotify.quantity" $amount -}}
  {{- if and $size (eq $what "ephemeral-storage") -}}
  {{- $thousandths := addf (include "paynotify.thousandths" $text) (include "paynotify.thousandths" $size) -}}
  {{- $text = printf "%.0fMi" (divf $thousandths 1048576e3 | ceil) -}}
  {{- end }}
  {{ $what }}: {{ $text | quote }}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
