{{- define "router.labels" -}}
app.kubernetes.io/name: router-model
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "router.allLabels" -}}
{{ include "router.labels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
