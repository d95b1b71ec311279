"""The rows of the route table (`handlers/routes.py`), a file a subject."""
