"""Verification: graphs and bundles against the model they were made from. A breach is an error, never a warning."""
