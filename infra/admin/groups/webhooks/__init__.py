"""Commands on webhooks: who is told, what they were told, and what is sent again."""
