"""The browser UI as files: how it is built from `static/`. It knows no HTTP."""
