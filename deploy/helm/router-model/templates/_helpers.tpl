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
{{- define "router.check" -}}
{{- if and .Values.state.claim (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) }}
{{- fail "state.claim is a volume of one pod: set autoscaling.enabled=false and replicas=1 (or 0), or leave it empty" }}
{{- end }}
{{- end }}
