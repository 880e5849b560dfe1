"""The service: an exported model behind HTTP. See service.py for the routes."""
