"""The wire: URLs, headers, status codes, errors as clients see them."""
