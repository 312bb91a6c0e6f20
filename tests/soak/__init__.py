"""The soak: many clients at once, and a model beside them that knows what must be there."""
