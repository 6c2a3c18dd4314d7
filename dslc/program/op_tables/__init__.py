"""The ops by family, one module each, found by listing this package; `TABLE` of a module holds its ops."""
