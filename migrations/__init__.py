"""The history of the schema; `Store.migrate` brings a database to its newest version."""
