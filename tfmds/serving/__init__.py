"""The service: an exported model behind HTTP. See app.py for the routes."""
