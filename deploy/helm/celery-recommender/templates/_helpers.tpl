{{- define "recommender.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: celery-recommender
{{- end }}

{{- define "recommender.pod" -}}
enableServiceLinks: false # their variables would begin with RECOMMENDER_
automountServiceAccountToken: false
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "recommender.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}}
{{- end }}

{{- define "recommender.redis" -}}
- name: RECOMMENDER_REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: url}
{{- end }}

{{- define "recommender.user" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "recommender.claim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: {{ .name }}}
  spec:
    accessModes: [ReadWriteOncePod]
    {{- with .volume.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ .volume.size }}}}
{{- end }}
