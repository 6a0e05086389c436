"""What the API is, as `/api/openapi.json` tells it: one module a resource.

words         schemas and operations as records
"""
