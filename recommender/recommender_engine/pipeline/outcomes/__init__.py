"""The events that answer commands: outcomes, rejections, summaries of silent commands."""
