"""Judgements become pages, pictures and tables."""
