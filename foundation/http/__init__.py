"""HTTP for services: typed endpoints, OpenAPI from them, problem documents, and the life of a service process."""
