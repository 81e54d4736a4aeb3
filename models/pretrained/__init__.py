"""Encoders to start from: those of earlier runs, and of models that are installed as Python packages.

Nothing is fetched from a network. Parameters that another library named are renamed and regrouped, and every one of
them must be accounted for.
"""
