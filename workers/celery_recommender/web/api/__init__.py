"""The HTTP door: commands and questions as JSON under ``/api/v1``, in the words of the stream."""
