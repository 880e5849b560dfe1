"""The whole job, from a folder of videos to a table beside the published figures."""
